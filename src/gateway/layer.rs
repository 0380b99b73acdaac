//! A gateway in front of a host's own service.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, Uri, uri::PathAndQuery};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::{Gateway, GatewayFuture, LayeredBody};
use crate::stage::{Endpoint, Missing};

/// Mounts a [`Gateway`] in front of an inner service.
///
/// Below the [prefix](Self::prefix), a listed path is the gateway's (with another method, its 405); everything else goes
/// to the inner service untouched, with that service's own answers, errors and readiness.
#[derive(Clone, Debug)]
pub struct GatewayLayer {
    gateway: Gateway,
    prefix: Arc<str>,
}

impl GatewayLayer {
    /// Mounts `gateway` at the root: `/v1/...`.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, prefix: "".into() }
    }

    /// Mounts it below `prefix`, such as `/llm`, instead. Slashes at its ends may be there or not.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        self.prefix = if prefix.is_empty() { "".into() } else { format!("/{prefix}").into() };
        self
    }
}

impl<S> Layer<S> for GatewayLayer {
    type Service = GatewayService<S>;

    fn layer(&self, inner: S) -> GatewayService<S> {
        GatewayService { inner, gateway: self.gateway.clone(), prefix: self.prefix.clone() }
    }
}

/// The service that [`GatewayLayer`] makes.
#[derive(Clone, Debug)]
pub struct GatewayService<S> {
    inner: S,
    gateway: Gateway,
    prefix: Arc<str>,
}

impl<S> GatewayService<S> {
    /// The request's target below the prefix, if it is the gateway's.
    fn own<B>(&self, request: &Request<B>) -> Option<Uri> {
        let path = request.uri().path().strip_prefix(&*self.prefix)?;
        if matches!(Endpoint::at(request.method(), path), Err(Missing::Path)) {
            return None;
        }
        if self.prefix.is_empty() {
            return Some(request.uri().clone());
        }
        let mut parts = request.uri().clone().into_parts();
        let whole = parts.path_and_query.as_ref()?.as_str();
        parts.path_and_query = Some(PathAndQuery::try_from(whole.strip_prefix(&*self.prefix)?).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl<S, B, ResBody> Service<Request<B>> for GatewayService<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<LayeredBody<ResBody>>;
    type Error = S::Error;
    type Future = LayeredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.own(&request) {
            Some(uri) => {
                *request.uri_mut() = uri;
                LayeredFuture { state: State::Gateway { future: self.gateway.call(request) } }
            }
            None => LayeredFuture { state: State::Inner { future: self.inner.call(request) } },
        }
    }
}

pin_project! {
    /// The future of [`GatewayService`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct LayeredFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Gateway { #[pin] future: GatewayFuture },
        Inner { #[pin] future: F },
    }
}

impl<F, ResBody, E> Future for LayeredFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<LayeredBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StateProj::Gateway { future } => {
                let Ok(response) = ready!(future.poll(cx));
                Ok(response.map(LayeredBody::gateway))
            }
            StateProj::Inner { future } => ready!(future.poll(cx)).map(|response| response.map(LayeredBody::inner)),
        })
    }
}
