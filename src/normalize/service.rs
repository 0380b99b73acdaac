//! The service.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request::Parts};
use http_body::Body;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use super::{
    NormalizedBody,
    control::{self, Asked},
    head::Head,
    layer::Config,
    read,
};
use crate::{
    dialect::Dialect,
    fault::{Fault, FaultKind},
    stage::{Call, Endpoint, GenerationId, LONGEST_SCANNED, Missing, annotate_fault, aside, fault_response, name_call},
};

/// Reads requests into [`Call`]s, and answers errors in the caller's dialect.
#[derive(Clone, Debug)]
pub struct Normalize<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> Normalize<S> {
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self { inner, config: Arc::new(config) }
    }
}

impl<S, B, ResBody> Service<Request<B>> for Normalize<S>
where
    S: Service<Request<Call>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes>,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<NormalizedBody<ResBody>>;
    type Error = Infallible;
    type Future = ResponseFuture<ResBody>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The body comes first: only then is a ready inner service worth holding.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<ResBody> {
        let started = Instant::now();
        let (mut inner, config) = (self.inner.clone(), self.config.clone());
        let (mut parts, body) = request.into_parts();
        let id = GenerationId::of(&mut parts.extensions);
        let endpoint = Endpoint::of(&parts);
        let dialect = Endpoint::dialect(endpoint.ok(), &parts);
        ResponseFuture(Box::pin(async move {
            let answer = match normalize(endpoint, &parts, body, &config, &id, started).await {
                // Not by `oneshot`, which moves what it is given once more.
                Ok(call) => match inner.ready().await.map_err(|error| Fault::from(error.into())) {
                    Ok(ready) => ready.call(Request::from_parts(parts, call)).await.map_err(|error| Fault::from(error.into())),
                    Err(fault) => Err(fault),
                },
                Err(fault) => Err(fault),
            };
            match answer {
                Ok(response) => {
                    let (mut parts, body) = response.into_parts();
                    name_call(dialect, &id, &mut parts.headers);
                    let stream = is_event_stream(&parts.headers);
                    Response::from_parts(parts, NormalizedBody::inner(body, stream.then_some((dialect, id))))
                }
                Err(fault) => {
                    let mut response = fault_response(dialect, &fault, &id).map(NormalizedBody::own);
                    annotate_fault(&fault, started.elapsed(), response.headers_mut());
                    response
                }
            }
        }))
    }
}

/// Makes the call.
async fn normalize<B>(
    endpoint: Result<Endpoint, Missing>,
    parts: &Parts,
    body: B,
    config: &Config,
    id: &GenerationId,
    started: Instant,
) -> Result<Call, Fault>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (operation, dialect) = match endpoint {
        Ok(Endpoint::Call { operation, dialect }) => (operation, dialect),
        Ok(Endpoint::Unbuilt) => return Err(FaultKind::NotImplemented { what: named(parts) }.into()),
        Ok(Endpoint::Read(_)) | Err(Missing::Path) => return Err(FaultKind::NotFound { what: named(parts) }.into()),
        Err(Missing::Method(allow)) => return Err(FaultKind::MethodNotAllowed { allow }.into()),
    };
    let head = Head::of(&parts.headers);
    head.takes()?;
    let body = read::whole(body, head.length(), config).await?;
    let scanned = if body.len() > LONGEST_SCANNED {
        let body = body.clone();
        // Boxed: the future of a call that needs none has no room for it.
        Some(Box::pin(aside(move || control::scan(&body))).await??)
    } else {
        None
    };
    control::read(body, scanned, Asked { operation, dialect, id: id.clone(), started, head }, &parts.headers, config.members)
}

/// Method and path, for a message.
fn named(parts: &Parts) -> String {
    format!("{} {}", parts.method, parts.uri.path())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// The future of [`Normalize`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<ResBody>(Pin<Box<dyn Future<Output = Response<NormalizedBody<ResBody>>> + Send>>);

impl<ResBody> Future for ResponseFuture<ResBody> {
    type Output = Result<Response<NormalizedBody<ResBody>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl<ResBody> fmt::Debug for ResponseFuture<ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// Who is told of an error inside a stream, and in whose words.
pub(super) type Told = (&'static dyn Dialect, GenerationId);
