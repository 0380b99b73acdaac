//! The gateway as a service.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;
use tokio::sync::{Notify, futures::OwnedNotified};
use tower::BoxError;
use tower_service::Service;

use super::{
    GatewayBuilder,
    body::{GatewayBody, InFlight},
    driver::Drained,
};
use crate::{
    api::Api,
    catalog::Catalogs,
    dialect::Dialect,
    fault::{Fault, FaultKind},
    stage::{Access, Endpoint, GenerationId, Health, Missing, Watchdog, fault_response},
};

/// A gateway: answers the API's routes in the callers' dialects.
///
/// Cheap to clone; clones share everything. Takes any request body, never fails, is always ready. Paths start at `/v1`;
/// to mount it elsewhere, see [`GatewayLayer`](super::GatewayLayer).
#[derive(Clone)]
pub struct Gateway {
    /// Auth, then whatever the endpoint asks for.
    pub(super) keyed: Keyed,
    pub(super) shared: Arc<Shared>,
}

pub(super) type GatewayRequest = Request<UnsyncBoxBody<Bytes, BoxError>>;
/// A service that is always ready, its types hidden. Shared: each call clones what is inside, and no box around it.
pub(super) type Keyed = Arc<dyn Fn(GatewayRequest) -> Answer + Send + Sync>;
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<GatewayBody>, Infallible>> + Send>>;

pub(super) struct Shared {
    pub(super) api: Arc<Api>,
    pub(super) in_flight: InFlight,
    pub(super) draining: AtomicBool,
    /// Told to the calls that have no head yet, when a drain's deadline passes.
    pub(super) aborted: Arc<Notify>,
    pub(super) watchdog: Watchdog,
}

/// How long ended calls have to be let go of.
const LETTING_GO: Duration = Duration::from_secs(1);

impl Gateway {
    /// Starts to assemble a gateway that routes by `catalogs`.
    pub fn builder(catalogs: impl Into<Catalogs>) -> GatewayBuilder {
        GatewayBuilder::new(catalogs.into())
    }

    /// How the targets are doing.
    pub fn health(&self) -> &Health {
        &self.shared.api.health
    }

    /// The catalogue's handle: [`swap`](Catalogs::swap) it while serving.
    pub fn catalogs(&self) -> &Catalogs {
        &self.shared.api.catalogs
    }

    /// How many answers are running.
    pub fn running(&self) -> usize {
        self.shared.in_flight.running()
    }

    /// Takes no new calls and waits for the running ones; after `deadline` those left are ended and settled.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        // In one order with the counting of calls: a call that was let in is waited for.
        self.shared.draining.store(true, Ordering::SeqCst);
        if tokio::time::timeout(deadline, self.shared.in_flight.idle()).await.is_ok() {
            return Drained::Clean;
        }
        let left = self.running();
        self.shared.aborted.notify_waiters();
        self.shared.watchdog.abort();
        // Their tasks drop what they held, which settles it; an answer that nobody takes is settled already.
        let _ = tokio::time::timeout(LETTING_GO, self.shared.in_flight.idle()).await;
        Drained::Aborted { left }
    }

    /// Answers a request that needs no inner service.
    fn refuse(parts: &mut Parts, fault: &Fault) -> Response<GatewayBody> {
        let id = GenerationId::of(&mut parts.extensions);
        let dialect = Endpoint::dialect_of(parts.uri.path(), &parts.headers);
        fault_response(dialect, fault, &id).map(GatewayBody::from)
    }
}

/// What a path that is not listed, or not with this method, is answered.
pub(super) fn missing(missing: Missing, parts: &Parts) -> Fault {
    match missing {
        Missing::Method(allow) => FaultKind::MethodNotAllowed { allow }.into(),
        Missing::Path => {
            let path: String = parts.uri.path().chars().take(256).collect();
            FaultKind::NotFound { what: format!("{} {path}", parts.method) }.into()
        }
    }
}

impl<B> Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<GatewayBody>;
    type Error = Infallible;
    type Future = GatewayFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> GatewayFuture {
        let running = self.shared.in_flight.start();
        // Heard from here on: a drain that this call does not see yet sees it, and aborts it.
        let aborted = self.shared.aborted.clone().notified_owned();
        let (mut parts, body) = request.into_parts();
        let endpoint = match Endpoint::of(&parts) {
            Ok(endpoint) => endpoint,
            Err(reason) => {
                let fault = missing(reason, &parts);
                return GatewayFuture::ready(Self::refuse(&mut parts, &fault));
            }
        };
        if self.shared.draining.load(Ordering::SeqCst) && !matches!(endpoint, Endpoint::Read(_)) {
            return GatewayFuture::ready(Self::refuse(&mut parts, &FaultKind::Overloaded.into()));
        }
        let told = (Endpoint::dialect(Some(endpoint), &parts), GenerationId::of(&mut parts.extensions));
        let answer: Answer = match (endpoint, endpoint.access()) {
            (Endpoint::Read(read), Access::Open) => {
                let api = self.shared.api.clone();
                Box::pin(async move { Ok(api.answer(read, parts).await.map(GatewayBody::from)) })
            }
            _ => {
                let body = body.map_err(Into::into).boxed_unsync();
                let request = Request::from_parts(parts, body);
                let Ok(answer) = catch_unwind(AssertUnwindSafe(|| (self.keyed)(request))) else {
                    return GatewayFuture::ready(told_of(FaultKind::Internal, &told));
                };
                answer
            }
        };
        GatewayFuture { state: State::Running { answer, aborted, told }, running: Some(running) }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("running", &self.running()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of a [`Gateway`].
    #[must_use = "futures do nothing unless polled"]
    pub struct GatewayFuture {
        // Dropped first: a call is settled before it stops to count.
        #[pin]
        state: State,
        running: Option<super::body::Running>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State {
        Ready { response: Option<Response<GatewayBody>> },
        Running {
            answer: Answer,
            #[pin]
            aborted: OwnedNotified,
            // Who is told of a panic, and in whose words.
            told: Told,
        },
    }
}

type Told = (&'static dyn Dialect, GenerationId);

/// What a caller is told of a panic, or of a shutdown: without an answer, the server would close the connection with
/// others' calls on it.
fn told_of(kind: FaultKind, (dialect, id): &Told) -> Response<GatewayBody> {
    fault_response(*dialect, &kind.into(), id).map(GatewayBody::from)
}

impl GatewayFuture {
    fn ready(response: Response<GatewayBody>) -> Self {
        Self { state: State::Ready { response: Some(response) }, running: None }
    }
}

impl Future for GatewayFuture {
    type Output = Result<Response<GatewayBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.state.as_mut().project() {
            StateProj::Ready { response } => response.take(),
            StateProj::Running { answer, aborted, told } => match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
                Ok(Poll::Ready(Ok(response))) => Some(response),
                Ok(Poll::Pending) if aborted.poll(cx).is_pending() => return Poll::Pending,
                Ok(Poll::Pending) => Some(told_of(FaultKind::Cancelled, told)),
                Err(_) => Some(told_of(FaultKind::Internal, told)),
            },
        };
        let Some(response) = response else { return Poll::Pending };
        // What is done is not polled again, least of all after a panic.
        this.state.set(State::Ready { response: None });
        let running = this.running.take();
        Poll::Ready(Ok(response.map(|body| match running {
            Some(running) => body.running(running),
            None => body,
        })))
    }
}

impl fmt::Debug for GatewayFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayFuture")
    }
}
