//! [`Transport`].

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;
use tower::{
    BoxError, ServiceExt,
    util::{BoxCloneSyncService, Oneshot},
};
use tower_service::Service;

use super::demo::{Demo, DemoBody, DemoFuture};
use crate::{
    catalog::{ProviderId, Wire},
    fault::{Fault, FaultKind},
    stage::{AtOnce, Outgoing},
};

type OwnBody = UnsyncBoxBody<Bytes, BoxError>;
type Own = BoxCloneSyncService<Request<Outgoing>, Response<OwnBody>, Fault>;

/// Picks who carries a request, by its target: a service that the host brought for this provider, else `H` for providers
/// over HTTP, else the [`Demo`].
///
/// Always ready: the picked service is cloned, and awaited in the future, so that one that is slow to get ready delays
/// only its own calls. Clones share what the services share.
///
/// ```
/// # #[cfg(feature = "client")] {
/// use portcullis::transport::{HttpClient, Transport};
///
/// let transport = Transport::new(HttpClient::new());
/// # }
/// ```
#[derive(Clone)]
pub struct Transport<H> {
    http: H,
    demo: Demo,
    own: Arc<HashMap<ProviderId, Own>>,
}

impl<H> Transport<H> {
    /// A transport that sends requests to providers over HTTP with `http`, such as
    /// `HttpClient`.
    pub fn new(http: H) -> Self {
        Self { http, demo: Demo::default(), own: Arc::default() }
    }

    /// Answers for the provider called `name` with `service`, however the catalogue says that it is reached.
    #[must_use]
    pub fn provider<S, B>(mut self, name: impl Into<ProviderId>, service: S) -> Self
    where
        S: Service<Request<Outgoing>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let boxed = |response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync());
        let service = service.map_response(boxed).map_err(|error: S::Error| Fault::from(error.into()));
        Arc::make_mut(&mut self.own).insert(name.into(), BoxCloneSyncService::new(service));
        self
    }

    /// Has `demo` for the demo provider.
    #[must_use]
    pub fn demo(self, demo: Demo) -> Self {
        Self { demo, ..self }
    }
}

impl Transport<NoHttp> {
    /// A transport without HTTP: for the demo, and for providers that the host brings.
    pub fn local() -> Self {
        Self::new(NoHttp)
    }
}

impl<H, B> Service<Request<Outgoing>> for Transport<H>
where
    H: Service<Request<Outgoing>, Response = Response<B>> + Clone,
    H::Error: Into<BoxError>,
{
    type Response = Response<TransportBody<B>>;
    type Error = Fault;
    type Future = TransportFuture<H>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Outgoing>) -> TransportFuture<H> {
        let provider = &request.body().target().provider;
        let kind = match (self.own.get(&provider.name), &provider.wire) {
            (Some(own), _) => FutureKind::Own { future: Box::pin(own.clone().oneshot(request)) },
            (None, Wire::Http(_)) => FutureKind::Http { future: AtOnce::new(self.http.clone(), request) },
            (None, Wire::Demo) => FutureKind::Demo { future: self.demo.call(request) },
        };
        TransportFuture { kind }
    }
}

pin_project! {
    /// The head of a provider's answer, to come.
    #[must_use = "futures do nothing unless polled"]
    pub struct TransportFuture<H>
    where
        H: Service<Request<Outgoing>>,
    {
        #[pin]
        kind: FutureKind<H>,
    }
}

pin_project! {
    #[project = FutureProjection]
    enum FutureKind<H>
    where
        H: Service<Request<Outgoing>>,
    {
        Http { #[pin] future: AtOnce<H, Request<Outgoing>> },
        Demo { future: DemoFuture },
        Own { future: Pin<Box<Oneshot<Own, Request<Outgoing>>>> },
    }
}

impl<H, B> Future for TransportFuture<H>
where
    H: Service<Request<Outgoing>, Response = Response<B>>,
    H::Error: Into<BoxError>,
{
    type Output = Result<Response<TransportBody<B>>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match self.project().kind.project() {
            FutureProjection::Http { future } => {
                ready!(future.poll(cx)).map(|head| head.map(|body| BodyKind::Http { body })).map_err(|error| Fault::from(error.into()))
            }
            FutureProjection::Demo { future } => ready!(Pin::new(future).poll(cx)).map(|head| head.map(|body| BodyKind::Demo { body })),
            FutureProjection::Own { future } => ready!(future.as_mut().poll(cx)).map(|head| head.map(|body| BodyKind::Own { body })),
        };
        Poll::Ready(answer.map(|head| head.map(|kind| TransportBody { kind })))
    }
}

pin_project! {
    /// The body of a provider's answer, whoever carried it. `B` is that of the HTTP client.
    pub struct TransportBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    #[project = BodyProjection]
    enum BodyKind<B> {
        Http { #[pin] body: B },
        Demo { body: DemoBody },
        Own { body: OwnBody },
    }
}

impl<B> Body for TransportBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.project().kind.project() {
            BodyProjection::Http { body } => body.poll_frame(cx).map_err(|error| Fault::from(error.into())),
            BodyProjection::Demo { body } => Pin::new(body).poll_frame(cx),
            BodyProjection::Own { body } => Pin::new(body).poll_frame(cx).map_err(Fault::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Http { body } => body.is_end_stream(),
            BodyKind::Demo { body } => body.is_end_stream(),
            BodyKind::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Http { body } => body.size_hint(),
            BodyKind::Demo { body } => body.size_hint(),
            BodyKind::Own { body } => body.size_hint(),
        }
    }
}

/// Stands for an HTTP client where there is none: whatever it is sent fails, with the phase `BeforeSend`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHttp;

impl Service<Request<Outgoing>> for NoHttp {
    type Response = Response<DemoBody>;
    type Error = Fault;
    type Future = std::future::Ready<Result<Self::Response, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Outgoing>) -> Self::Future {
        std::future::ready(Err(Fault::new(FaultKind::Internal).with_source("there is no HTTP client to reach this provider with")))
    }
}

impl<H: fmt::Debug> fmt::Debug for Transport<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("http", &self.http).field("own", &self.own.keys()).finish_non_exhaustive()
    }
}

impl<H: Service<Request<Outgoing>>> fmt::Debug for TransportFuture<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportFuture").finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for TransportBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBody").finish_non_exhaustive()
    }
}
