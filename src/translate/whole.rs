//! Whole answers, and the body that is either.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use smallvec::SmallVec;
use tokio::time::Instant;
use tower::BoxError;

use super::{StreamBody, service::protocol};
use crate::{
    dialect::{StreamError, StreamErrorKind},
    fault::{Failure, Fault, FaultKind, Phase, Timeout},
    stage::{by, deadline},
};

/// Reads `body` up to `limit`, until `total` and never silent for `idle`: what came, and how it ended.
pub(super) async fn collect<B>(body: B, limit: usize, total: Instant, idle: Duration) -> (Bytes, Result<(), Fault>)
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let expected = body.size_hint().exact().and_then(|length| usize::try_from(length).ok()).unwrap_or(0).min(limit);
    let read = async {
        loop {
            let silent = deadline(idle);
            let late = || Fault::new(FaultKind::Timeout(if silent < total { Timeout::Idle } else { Timeout::Total }));
            let next = by(silent.min(total), poll_fn(|cx| body.as_mut().poll_frame(cx)));
            let Some(frame) = next.await.ok_or_else(late)? else { break };
            let Ok(data) = frame.map_err(|error| broken(error.into()))?.into_data() else { continue };
            if first.len() + rest.len() + data.len() > limit {
                let message = format!("the answer is larger than {limit} bytes");
                return Err(protocol(StreamError { kind: StreamErrorKind::TooLarge, message }));
            }
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.reserve(expected.max(first.len() + data.len()));
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    let end = read.await;
    (if rest.is_empty() { first } else { rest.freeze() }, end)
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
type Slices = [Bytes; 1];

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
