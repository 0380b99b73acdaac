use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower::BoxError;

use super::{fold::Cause, future::panicked, layer::Drain, recorder::Recorder};
use crate::fault::{Fault, Phase};

/// An answer's body, watched until it ends, fails or is dropped. Its bytes, size and trailers are the inner body's.
pub struct MeteredBody<B> {
    // `None` once there is nothing more to read.
    watched: Option<Watched<B>>,
    drain: Option<(Drain, Spawn<B>)>,
}

/// A body and the record it owes.
struct Watched<B> {
    inner: Pin<Box<B>>,
    recorder: Recorder,
    /// The end, while its record has yet to be written.
    held: Option<Next>,
    /// Whether the caller has left.
    left: bool,
}

/// What polling a body gives.
type Next = Option<Result<Frame<Bytes>, Fault>>;

/// Reads a body on, in a task of its own. A function, so that only the one who makes it must know that `B` can be sent.
type Spawn<B> = fn(Watched<B>, Drain);

impl<B> MeteredBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(body: B, recorder: Recorder, drain: Option<Drain>) -> Self {
        let watched = Some(Watched { inner: Box::pin(body), recorder, held: None, left: false });
        Self { watched, drain: drain.map(|drain| (drain, spawn::<B> as Spawn<B>)) }
    }
}

impl<B> Watched<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let next = match self.held.take() {
            Some(held) => held,
            None => ready!(self.poll_inner(cx)),
        };
        if self.recorder.poll_written(cx).is_pending() {
            self.held = Some(next);
            return Poll::Pending;
        }
        Poll::Ready(next)
    }

    /// The next frame; if it is the last, the record is the ledger's.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let inner = self.inner.as_mut();
        let next = match catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))) {
            Ok(poll) => ready!(poll).map(|frame| frame.map_err(|error| Fault::from(error.into()))),
            Err(_) => Some(Err(panicked().at(Phase::AfterCommit))),
        };
        let end = matches!(&next, Some(Ok(frame)) if frame.data_ref().is_some_and(|data| self.recorder.observe(data)));
        let told = if self.left { Cause::Drained } else { Cause::Told };
        match &next {
            // Written before this frame is handed out, if it is the last: the provider's own end came with it, or hyper
            // will trust `is_end_stream` and not ask for the final `None`.
            Some(Ok(_)) if self.recorder.is_open() && (end || self.recorder.outcome().is_some() || self.inner.is_end_stream()) => {
                self.recorder.finish(told);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) if self.left => self.recorder.finish(told),
            Some(Err(fault)) => self.recorder.finish(Cause::Fault(fault)),
            None => self.recorder.finish(told),
        }
        Poll::Ready(next)
    }
}

impl<B> Body for MeteredBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        let Some(watched) = &mut self.watched else { return Poll::Ready(None) };
        let next = ready!(watched.poll_frame(cx));
        // After an error a body is not asked again: one that panicked must not be.
        if !matches!(next, Some(Ok(_))) {
            self.watched = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.held.is_none() && watched.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(watched) = &self.watched else { return SizeHint::with_exact(0) };
        let hint = watched.inner.size_hint();
        // What is held was counted out of it.
        match &watched.held {
            Some(Some(Ok(frame))) => plus(&hint, frame.data_ref().map_or(0, |data| data.len() as u64)),
            _ => hint,
        }
    }
}

/// The size of a body, and of `length` bytes more.
fn plus(hint: &SizeHint, length: u64) -> SizeHint {
    let mut sum = SizeHint::new();
    sum.set_lower(hint.lower().saturating_add(length));
    if let Some(upper) = hint.upper() {
        sum.set_upper(upper.saturating_add(length));
    }
    sum
}

impl<B> Drop for MeteredBody<B> {
    fn drop(&mut self) {
        if let (Some(watched), Some((drain, spawn))) = (self.watched.take(), self.drain)
            && watched.recorder.is_open()
        {
            spawn(watched, drain);
        }
    }
}

impl<B> std::fmt::Debug for MeteredBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeteredBody").finish_non_exhaustive()
    }
}

/// Reads `watched` on within the bounds of `drain`. Without a runtime, dropping it records that the caller left.
fn spawn<B>(mut watched: Watched<B>, drain: Drain)
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    watched.left = true;
    let read = async move {
        let mut left = drain.bytes;
        while watched.recorder.is_open() {
            let Some(Ok(frame)) = poll_fn(|cx| watched.poll_frame(cx)).await else { break };
            match left.checked_sub(frame.data_ref().map_or(0, |data| data.len() as u64)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    runtime.spawn(tokio::time::timeout(drain.time, read));
}
