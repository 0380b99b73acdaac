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
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
        recorder: Option<Recorder>,
        drain: Option<Drain>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Waiting { #[pin] inner: F },
        // The answer, once its record is written if all of it is there.
        Answered { answer: Option<Result<Response<B>, Fault>> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(inner: Result<F, Fault>, recorder: Recorder, drain: Option<Drain>) -> Self {
        let state = match inner {
            Ok(inner) => State::Waiting { inner },
            // It panicked while it was made.
            Err(fault) => State::Answered { answer: Some(Err(fault)) },
        };
        Self { state, recorder: Some(recorder), drain }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<MeteredBody<B>>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(recorder) = this.recorder else { return Poll::Ready(Err(panicked())) };
        if let StateProj::Waiting { inner } = this.state.as_mut().project() {
            let answer = match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
                Ok(poll) => ready!(poll).map_err(|error| Fault::from(error.into())),
                Err(_) => Err(panicked()),
            };
            // Whatever the inner future holds, a permit or a connection, is let go before the books are closed.
            if catch_unwind(AssertUnwindSafe(|| this.state.set(State::Answered { answer: None }))).is_err() {
                tracing::error!("a layer below the meter panicked while it was dropped");
            }
            if let Ok(response) = &answer {
                recorder.head(response.status(), response.headers());
                // A whole answer was read below: its end is known before its first byte is handed out. An empty body is
                // never polled.
                if recorder.outcome().is_some() || response.body().is_end_stream() {
                    recorder.finish(Cause::Told);
                }
            }
            this.state.set(State::Answered { answer: Some(answer) });
        }
        let StateProj::Answered { answer } = this.state.project() else { return Poll::Ready(Err(panicked())) };
        if let Some(Err(fault)) = answer {
            recorder.finish(Cause::Fault(fault));
        }
        ready!(recorder.poll_written(cx));
        let (Some(answer), Some(recorder)) = (answer.take(), this.recorder.take()) else { return Poll::Ready(Err(panicked())) };
        Poll::Ready(answer.map(|response| response.map(|body| MeteredBody::new(body, recorder, *this.drain))))
    }
}

/// The fault of a layer that panicked. What it said went to the panic hook.
pub(super) fn panicked() -> Fault {
    Fault::new(FaultKind::Internal)
}
