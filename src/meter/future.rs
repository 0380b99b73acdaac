use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tower::BoxError;

use super::{MeteredBody, fold::Cause, layer::Drain, recorder::Recorder};
use crate::fault::{Fault, FaultKind};

pin_project! {
    /// Waits for the answer's head, then wraps its body.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>,
        // Why there is no inner future: it panicked while it was made.
        failed: Option<Fault>,
        recorder: Option<Recorder>,
        drain: Option<Drain>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: Result<F, Fault>, recorder: Recorder, drain: Option<Drain>) -> Self {
        let (inner, failed) = match inner {
            Ok(inner) => (Some(inner), None),
            Err(fault) => (None, Some(fault)),
        };
        Self { inner, failed, recorder: Some(recorder), drain }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<MeteredBody<B>>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
                Ok(poll) => ready!(poll).map_err(|error| Fault::from(error.into())),
                Err(_) => Err(panicked()),
            },
            None => Err(this.failed.take().unwrap_or_else(panicked)),
        };
        // Whatever the inner future holds, a permit or a connection, is let go before the books are closed.
        if catch_unwind(AssertUnwindSafe(|| this.inner.set(None))).is_err() {
            tracing::error!("a layer below the meter panicked while it was dropped");
        }
        let Some(mut recorder) = this.recorder.take() else { return Poll::Ready(Err(panicked())) };
        Poll::Ready(match answer {
            Ok(response) => {
                recorder.head(response.status(), response.headers());
                Ok(response.map(|body| MeteredBody::new(body, recorder, *this.drain)))
            }
            Err(fault) => {
                recorder.finish(Cause::Fault(&fault));
                Err(fault)
            }
        })
    }
}

/// The fault of a layer that panicked. What it said went to the panic hook.
pub(super) fn panicked() -> Fault {
    Fault::new(FaultKind::Internal)
}
