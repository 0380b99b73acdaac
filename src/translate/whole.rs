//! Whole answers, and the body that is either.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use smallvec::SmallVec;
use tokio::time::Instant;
use tower::BoxError;

use super::{StreamBody, exchange::protocol};
use crate::{
    dialect::{StreamError, StreamErrorKind},
    fault::{Failure, Fault, FaultKind, Phase, Timeout},
    stage::{Alarm, deadline},
};

pin_project! {
    /// Reads a body to its end: its bytes, or those so far and why there are no more.
    ///
    /// It may be silent for `idle` and take until `total`. One piece is not copied.
    pub(super) struct Collect<B> {
        #[pin]
        body: B,
        first: Bytes,
        rest: BytesMut,
        limit: usize,
        total: Instant,
        idle: Duration,
        // Since it is waited for: until when.
        silent: Option<Instant>,
        alarm: Alarm,
    }
}

impl<B> Collect<B> {
    pub(super) fn new(body: B, limit: usize, total: Instant, idle: Duration) -> Self {
        Self { body, first: Bytes::new(), rest: BytesMut::new(), limit, total, idle, silent: None, alarm: Alarm::default() }
    }
}

impl<B> Future for Collect<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = (Bytes, Result<(), Fault>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let end = loop {
            let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) else {
                let silent = *this.silent.get_or_insert_with(|| {
                    let silent = deadline(*this.idle);
                    this.alarm.set(silent.min(*this.total));
                    silent
                });
                ready!(this.alarm.poll(cx));
                break Err(Fault::new(FaultKind::Timeout(if silent < *this.total { Timeout::Idle } else { Timeout::Total })));
            };
            *this.silent = None;
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => break Err(broken(error.into())),
                None => break Ok(()),
            };
            let more = !this.first.is_empty() || !this.rest.is_empty();
            if (more || data.is_empty()) && Instant::now() >= *this.total {
                // A body that is always ready never comes to the alarm.
                break Err(Fault::new(FaultKind::Timeout(Timeout::Total)));
            }
            if data.is_empty() {
                // Nothing bounds how many of these there are: others run between them.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.first.len() + this.rest.len() + data.len() > *this.limit {
                let message = format!("the answer is larger than {} bytes", this.limit);
                break Err(protocol(StreamError { kind: StreamErrorKind::TooLarge, message }));
            }
            if this.first.is_empty() && this.rest.is_empty() {
                *this.first = data;
                continue;
            }
            if this.rest.is_empty() {
                let left = this.body.size_hint().exact().and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
                this.rest.reserve((this.first.len() + data.len()).saturating_add(left).min(*this.limit));
                this.rest.extend_from_slice(&std::mem::take(this.first));
            }
            this.rest.extend_from_slice(&data);
        };
        let whole = if this.rest.is_empty() { std::mem::take(this.first) } else { std::mem::take(this.rest).freeze() };
        Poll::Ready((whole, end))
    }
}

/// An error from the provider's side: the connection broke, unless it is one of ours.
pub(super) fn broken(error: BoxError) -> Fault {
    // A defect of ours, told as such by a transport, is not the provider's.
    let ours = error.is::<Fault>();
    let fault = Fault::from(error);
    match fault.kind() {
        FaultKind::Internal if ours => fault,
        // A foreign error's words are about the sender of a body, which is the provider here.
        FaultKind::Internal | FaultKind::BodyTimeout | FaultKind::BodyTooLarge { .. } | FaultKind::BodyTruncated | FaultKind::Cancelled => {
            Fault::new(FaultKind::Upstream(Failure::Connection)).at(Phase::BeforeHead).with_source(fault)
        }
        _ => fault,
    }
}

pin_project! {
    /// The body of a translated answer.
    pub struct TranslatedBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Whole { slices: smallvec::IntoIter<Slices> },
        Stream { #[pin] body: StreamBody<B> },
    }
}

/// Most answers are one slice.
pub(super) type Slices = [Bytes; 1];

/// Shows no completion.
impl<B> fmt::Debug for TranslatedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Whole { slices } => write!(f, "Whole({} slices)", slices.as_slice().len()),
            Kind::Stream { body } => body.fmt(f),
        }
    }
}

impl<B> TranslatedBody<B> {
    pub(super) fn whole(mut slices: SmallVec<Slices>) -> Self {
        slices.retain(|slice| !slice.is_empty());
        Self { kind: Kind::Whole { slices: slices.into_iter() } }
    }

    pub(super) fn stream(body: StreamBody<B>) -> Self {
        Self { kind: Kind::Stream { body } }
    }
}

impl<B> Body for TranslatedBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.project().kind.project() {
            KindProj::Whole { slices } => Poll::Ready(slices.next().map(|slice| Ok(Frame::data(slice)))),
            KindProj::Stream { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { slices } => slices.as_slice().is_empty(),
            Kind::Stream { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { slices } => SizeHint::with_exact(slices.as_slice().iter().map(|slice| slice.len() as u64).sum()),
            Kind::Stream { body } => body.size_hint(),
        }
    }
}
