//! Calls that do not wait where they need not.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

pin_project! {
    /// The future of a call.
    pub(crate) struct AtOnce<S: Service<R>, R> {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S: Service<R>, R> {
        Called { #[pin] future: S::Future },
        Waiting { call: Pin<Box<Oneshot<S, R>>> },
        Failed { error: Option<S::Error> },
    }
}

impl<S: Service<R>, R> AtOnce<S, R> {
    /// Calls `service` now, if it is ready; if not, once it is. As [`Oneshot`] does, but that a request which need not wait
    /// is not kept, nor is there room for one: most services are always ready.
    pub(crate) fn new(mut service: S, request: R) -> Self {
        let state = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => State::Called { future: service.call(request) },
            Poll::Ready(Err(error)) => State::Failed { error: Some(error) },
            // It is asked again, for the task that waits.
            Poll::Pending => return Self::later(service, request),
        };
        Self { state }
    }

    /// Calls `service` when the future is polled.
    pub(crate) fn later(service: S, request: R) -> Self {
        Self { state: State::Waiting { call: Box::pin(Oneshot::new(service, request)) } }
    }
}

impl<S: Service<R>, R> Future for AtOnce<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future } => future.poll(cx),
            StateProj::Waiting { call } => call.as_mut().poll(cx),
            StateProj::Failed { error } => error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }
}
