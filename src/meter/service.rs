use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::BoxError;
use tower_service::Service;

use super::{MeteredBody, ResponseFuture, future, layer::Options, recorder::Recorder};
use crate::{fault::Fault, stage::Call};

/// Meters each call: see [`MeterLayer`](super::MeterLayer).
#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S> Meter<S> {
    pub(super) fn new(inner: S, options: Arc<Options>) -> Self {
        Self { inner, options }
    }
}

impl<S, ResBody> Service<Request<Call>> for Meter<S>
where
    S: Service<Request<Call>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<MeteredBody<ResBody>>;
    type Error = Fault;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx).map_err(|error| Fault::from(error.into()))
    }

    fn call(&mut self, request: Request<Call>) -> Self::Future {
        let (parts, call) = request.into_parts();
        let (recorder, call) = Recorder::open(self.options.clone(), call, &parts.extensions);
        let request = Request::from_parts(parts, call);
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        ResponseFuture::new(inner.map_err(|_| future::panicked()), recorder, self.options.drain)
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for Meter<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("inner", &self.inner).finish_non_exhaustive()
    }
}
