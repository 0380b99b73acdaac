//! [`HttpClient`].

use std::{
    collections::hash_map::Entry,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use foldhash::HashMap;
use http::{
    Request, Response, StatusCode, Uri, Version,
    header::HOST,
    uri::{Authority, PathAndQuery},
};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use rustls::ClientConfig;
use tower_service::Service;

use super::{
    body::ProviderBody,
    error, http2,
    line::{Broken, Head, Line},
    origin::{Key, Limits, Origin},
    tls,
};
use crate::{
    catalog::{HttpOrigin, HttpVersion, Target, Wire},
    fault::{Failure, Fault, FaultKind, Phase},
    stage::{Outgoing, Spare},
};

/// Carries requests to providers over HTTP. Always ready; clones share their connections, as far as they are on one runtime.
///
/// It adds the provider's credential and the `host`, and changes nothing else. Redirects are answers like any other.
///
/// Over HTTP/1.1 each running call has a connection, which is driven by the call's own future and by its answer's body:
/// dropping either closes it. After an answer's clean end it rests until the next call, at most
/// [`idle_timeout`](HttpClientBuilder::idle_timeout). Over HTTP/2 all calls to an origin share one connection, which a
/// spawned task drives. A connection is used again on the runtime that opened it
/// alone, and ends with it.
///
/// A request that found its resting connection closed, without a byte of an answer, is sent once more on a new
/// connection, if it is in memory. There are no other retries here.
///
/// # Errors
/// | kind | phase | when |
/// | --- | --- | --- |
/// | `Timeout(Connect)` | `BeforeSend` | no connection within the target's connect timeout, TLS and proxy included |
/// | `Upstream(Connect)` | `BeforeSend` | refused, name not found, certificate not trusted, proxy unwilling |
/// | `Upstream(Connection)` | `BeforeHead` | the connection broke while sending or waiting |
/// | `Upstream(Protocol)` | `BeforeHead` | what came is not HTTP, or its head is larger than 32 KiB or has over 100 headers |
/// | the caller's own | `BeforeHead` | the upload failed |
///
/// Other deadlines are kept by the layers above: they drop the future or the body.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    tls: ClientConfig,
    limits: Limits,
    origins: RwLock<HashMap<Key, Arc<Origin>>>,
}

/// Settings of an [`HttpClient`].
#[derive(Clone, Debug)]
pub struct HttpClientBuilder {
    tls: Option<Arc<ClientConfig>>,
    limits: Limits,
}

impl HttpClient {
    /// A client with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings to start from.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder { tls: None, limits: Limits { max_idle: 256, idle_timeout: Duration::from_secs(60) } }
    }

    /// Closes connections that rest too long, were closed by the other side, or whose runtime has ended. To be called now and
    /// then, say each 30 s by the gateway's driver: else those to a provider that is not asked any more are closed when
    /// another provider, or one on another runtime, is asked for the first time.
    pub fn sweep(&self) {
        self.sweep_connections();
        // Who else holds an origin is a call, which may give it a connection.
        let mut origins = self.shared.origins.write().unwrap_or_else(PoisonError::into_inner);
        origins.retain(|_, origin| origin.is_used() || Arc::strong_count(origin) > 1);
    }

    fn sweep_connections(&self) {
        let all: Vec<Arc<Origin>> = self.shared.origins.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for origin in all {
            origin.sweep();
        }
    }

    fn origin(&self, uri: &Uri, http: &HttpOrigin) -> Result<Arc<Origin>, Fault> {
        let key = Key::new(uri, http)?;
        if let Some(origin) = self.shared.origins.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(origin));
        }
        // Seldom, and mostly because something has changed: a good moment to look at what is left of before.
        self.sweep_connections();
        let mut origins = self.shared.origins.write().unwrap_or_else(PoisonError::into_inner);
        match origins.entry(key) {
            Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let origin = Origin::new(entry.key(), self.shared.limits, &self.shared.tls)
                    .map_err(|error| Fault::new(FaultKind::Upstream(Failure::Connect)).with_source(error))?;
                Ok(Arc::clone(entry.insert(Arc::new(origin))))
            }
        }
    }

    /// Does all that needs no waiting.
    fn send(&self, mut request: Request<Outgoing>) -> Result<Exchange, Fault> {
        let target = Arc::clone(request.body().target());
        let http = wire(&target)?;
        let connect = target.timeouts.connect;
        Ok(match http.version {
            HttpVersion::Http1 => {
                let origin = self.origin(request.uri(), http)?;
                let spare = request.body().is_replayable().then(|| (Spare::of(&request), request.body().clone()));
                address(&mut request, http, &origin)?;
                match origin.checkout() {
                    Some(line) => Reused::send(line, origin, request, spare, connect),
                    None => Box::pin(anew(origin, request, connect)),
                }
            }
            HttpVersion::Http2 => {
                authorize(&mut request, http)?;
                *request.version_mut() = Version::HTTP_2;
                let client = self.clone();
                Box::pin(async move {
                    // The connection is of the runtime that waits for the call.
                    let origin = client.origin(request.uri(), wire(&target)?)?;
                    http2::exchange(&origin, request, connect).await.map(|head| head.map(ProviderBody::http2))
                })
            }
        })
    }
}

/// How `target` is reached, which is over HTTP.
fn wire(target: &Target) -> Result<&HttpOrigin, Fault> {
    match &target.provider.wire {
        Wire::Http(http) => Ok(http),
        Wire::Demo => Err(error::unsendable("the provider is not reached over HTTP")),
    }
}

/// Adds the credential, for the configured origin alone.
fn authorize(request: &mut Request<Outgoing>, http: &HttpOrigin) -> Result<(), Fault> {
    if let Some((name, value)) = &http.credential {
        let (to, home) = (request.uri(), http.base_url.uri());
        // Mostly the very same text, which is sooner seen than that two authorities are one.
        let same = to.authority().map(Authority::as_str) == home.authority().map(Authority::as_str) || to.authority() == home.authority();
        if to.scheme() != home.scheme() || !same {
            return Err(error::unsendable("a request with a credential leaves its provider's origin"));
        }
        let mut value = value.clone();
        value.set_sensitive(true);
        request.headers_mut().insert(name.clone(), value);
    }
    Ok(())
}

/// Adds what a request needs on a connection of its origin.
fn address(request: &mut Request<Outgoing>, http: &HttpOrigin, origin: &Origin) -> Result<(), Fault> {
    authorize(request, http)?;
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(HOST, origin.host.clone());
    Ok(())
}

pin_project! {
    /// A request on its way over HTTP/1.1.
    struct Sent<H> {
        #[pin]
        head: H,
        // `None` once it is answered.
        line: Option<Box<Line>>,
        origin: Arc<Origin>,
    }
}

impl<H: Head> Sent<H> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Answer, Broken>> {
        let this = self.project();
        let Some(mut line) = this.line.take() else { return Poll::Pending };
        match line.poll_head(this.head, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.map(|response| answer(response, line, this.origin.clone()))),
            Poll::Pending => {
                *this.line = Some(line);
                Poll::Pending
            }
        }
    }
}

pin_project! {
    /// A request on a connection that rested before, and that its provider may have closed at this moment.
    struct Reused<H> {
        #[pin]
        sent: Sent<H>,
        // Without what is added for a connection.
        spare: Option<(Spare, Outgoing)>,
        connect: Duration,
        // The second try.
        again: Option<Exchange>,
    }
}

impl Reused<()> {
    fn send(
        mut line: Box<Line>,
        origin: Arc<Origin>,
        request: Request<Outgoing>,
        spare: Option<(Spare, Outgoing)>,
        connect: Duration,
    ) -> Exchange {
        let head = line.send(request);
        Box::pin(Reused { sent: Sent { head, line: Some(line), origin }, spare, connect, again: None })
    }
}

impl<H: Head> Future for Reused<H> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut this = self.project();
        if this.again.is_none() {
            let Broken { error, unsent, heard } = match ready!(this.sent.as_mut().poll(cx)) {
                Ok(answer) => return Poll::Ready(answer),
                Err(broken) => broken,
            };
            // The provider closed while the request was on its way: nobody's fault, and nobody answered it.
            let silent = !heard && !error.is_user();
            let origin = this.sent.origin.clone();
            let request = match (unsent, this.spare.take().filter(|_| silent)) {
                (Some(unsent), _) => unsent,
                (None, Some((spare, body))) => again(spare, body, &origin)?,
                (None, None) => return Poll::Ready(Err(error::of_exchange(error, Phase::BeforeHead))),
            };
            *this.again = Some(Box::pin(anew(origin, request, *this.connect)));
        }
        this.again.as_mut().map_or(Poll::Pending, |again| again.as_mut().poll(cx))
    }
}

/// Sends a request on a new connection.
async fn anew(origin: Arc<Origin>, request: Request<Outgoing>, connect: Duration) -> Answer {
    let stream = origin.dial(connect).await?;
    let line = Line::new(stream).await.map_err(|error| error::of_exchange(error, Phase::BeforeSend))?;
    let mut line = Box::new(line);
    let mut sent = pin!(Sent { head: line.send(request), line: Some(line), origin });
    match poll_fn(|cx| sent.as_mut().poll(cx)).await {
        Ok(answer) => answer,
        Err(Broken { error, unsent, .. }) => {
            let phase = if unsent.is_some() { Phase::BeforeSend } else { Phase::BeforeHead };
            Err(error::of_exchange(error, phase))
        }
    }
}

fn answer(response: Response<Incoming>, line: Box<Line>, origin: Arc<Origin>) -> Answer {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::new(FaultKind::Upstream(Failure::Protocol)).at(Phase::BeforeHead).with_source("an upgrade nobody asked for"));
    }
    Ok(response.map(|incoming| ProviderBody::http1(incoming, line, origin)))
}

/// The same request once more.
fn again(spare: Spare, body: Outgoing, origin: &Origin) -> Result<Request<Outgoing>, Fault> {
    let target = Arc::clone(body.target());
    let mut request = spare.into_request(body);
    address(&mut request, wire(&target)?, origin)?;
    Ok(request)
}

impl HttpClientBuilder {
    /// How TLS is done with providers that have no CA text of their own: whom to trust, client certificates, the crypto
    /// provider. What it says of ALPN is replaced. Default: rustls on `ring`, trusting the web's certificate authorities.
    #[must_use]
    pub fn tls(self, config: Arc<ClientConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// How many connections to one origin rest at most, on each runtime. Default 256.
    #[must_use]
    pub fn max_idle(mut self, connections: usize) -> Self {
        self.limits.max_idle = connections;
        self
    }

    /// How long a connection rests at most. Default 60 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// The client.
    pub fn build(self) -> HttpClient {
        let tls = match self.tls {
            Some(config) => ClientConfig::clone(&config),
            None => tls::config(None).expect("ring has every protocol version that is asked of it"),
        };
        HttpClient { shared: Arc::new(Shared { tls, limits: self.limits, origins: RwLock::default() }) }
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<Request<Outgoing>> for HttpClient {
    type Response = Response<ProviderBody>;
    type Error = Fault;
    type Future = HttpFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Outgoing>) -> HttpFuture {
        HttpFuture(self.send(request).map_err(Some))
    }
}

/// The head of a provider's answer, to come. Dropping it closes the connection.
#[must_use = "dropping it closes the connection that it was sent on"]
pub struct HttpFuture(Result<Exchange, Option<Fault>>);

type Answer = Result<Response<ProviderBody>, Fault>;
type Exchange = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Future for HttpFuture {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.0 {
            Ok(exchange) => exchange.as_mut().poll(cx),
            Err(fault) => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}
