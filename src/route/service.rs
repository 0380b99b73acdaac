//! The service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::{Strategy, plan::plan};
use crate::{
    catalog::Catalogs,
    fault::Fault,
    stage::{Call, Principal, Routed},
};

/// Plans calls by a catalogue.
#[derive(Clone)]
pub struct Route<S> {
    inner: S,
    catalogs: Catalogs,
    strategy: Arc<dyn Strategy>,
}

impl<S> Route<S> {
    pub(super) fn new(inner: S, catalogs: Catalogs, strategy: Arc<dyn Strategy>) -> Self {
        Self { inner, catalogs, strategy }
    }
}

impl<S, ResBody> Service<Request<Call>> for Route<S>
where
    S: Service<Request<Routed>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<ResBody>;
    type Error = Fault;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx).map_err(|error| Fault::from(error.into()))
    }

    fn call(&mut self, request: Request<Call>) -> ResponseFuture<S::Future> {
        let (parts, call) = request.into_parts();
        let catalog = self.catalogs.current();
        let state = match plan(&catalog, &*self.strategy, call.facts(), parts.extensions.get::<Principal>()) {
            Ok(plan) => State::Routed { future: self.inner.call(Request::from_parts(parts, Routed { call, plan })) },
            Err(fault) => State::Refused { fault: Some(fault) },
        };
        ResponseFuture { state }
    }
}

impl<S: fmt::Debug> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("inner", &self.inner).field("catalogs", &self.catalogs).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Route`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Routed { #[pin] future: F },
        Refused { fault: Option<Fault> },
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<ResBody>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Routed { future } => {
                let result = ready!(future.poll(cx));
                Poll::Ready(result.map_err(|error| Fault::from(error.into())))
            }
            StateProj::Refused { fault } => Poll::Ready(Err(fault.take().unwrap_or_else(|| Fault::new(crate::fault::FaultKind::Internal)))),
        }
    }
}
