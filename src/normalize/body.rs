//! The answer's body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::BoxError;

use super::service::Told;
use crate::{fault::Fault, stage::AnswerBody};

pin_project! {
    /// The inner body, its error told as the dialect's last event.
    ///
    /// Only in an event stream is there a way to tell. Elsewhere the error goes on, and the connection breaks rather
    /// than end an answer that looks whole.
    pub struct NormalizedBody<B> {
        #[pin]
        inner: AnswerBody<B>,
        told: Option<Told>,
        ended: bool,
    }
}

impl<B> NormalizedBody<B> {
    pub(super) fn own(bytes: Bytes) -> Self {
        Self { inner: AnswerBody::own(bytes), told: None, ended: false }
    }

    pub(super) fn inner(body: B, told: Option<Told>) -> Self {
        Self { inner: AnswerBody::inner(body), told, ended: false }
    }
}

impl<B> Body for NormalizedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let next = ready!(this.inner.poll_frame(cx));
        Poll::Ready(next.map(|frame| {
            frame.or_else(|error| {
                *this.ended = true;
                let fault = Fault::from(error.into());
                let Some((dialect, id)) = this.told else { return Err(fault) };
                // What came may have stopped inside a line. A blank line more does no harm.
                let mut event = BytesMut::from("\n\n");
                dialect.encode_fault_event(&fault, id.as_str(), &mut event);
                Ok(Frame::data(event.freeze()))
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // An error event may come on top of what the inner body says.
        if self.told.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

impl<B> std::fmt::Debug for NormalizedBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NormalizedBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}
