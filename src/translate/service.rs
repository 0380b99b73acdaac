//! The service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, response};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;
use tower_service::Service;

use super::{
    TranslatedBody, head,
    layer::Config,
    notes::{AnswerNotes, write_millis},
    request::{Translated, translate},
    stream::StreamBody,
    whole,
};
use crate::{
    catalog::Picodollars,
    dialect::{Dialect, End, Losses, Pipe, Seen, StreamError, upstream},
    fault::{Failure, Fault, FaultKind, Phase, Timeout, UpstreamError},
    stage::{Attempt, CallFacts, Outgoing, Tally, by, deadline},
};

/// Says attempts in their target's dialect, and answers in the caller's.
#[derive(Clone, Debug)]
pub struct Translate<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> Translate<S> {
    pub(super) fn new(inner: S, config: Config) -> Self {
        Self { inner, config: Arc::new(config) }
    }
}

impl<S, ResBody> Service<Request<Attempt>> for Translate<S>
where
    S: Service<Request<Outgoing>, Response = Response<ResBody>>,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<TranslatedBody<ResBody>>;
    type Error = Fault;
    type Future = ResponseFuture<ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx).map_err(|error| Fault::from(error.into()))
    }

    fn call(&mut self, request: Request<Attempt>) -> ResponseFuture<ResBody> {
        let (parts, attempt) = request.into_parts();
        let (call, target) = (attempt.call.facts().clone(), attempt.target.clone());
        let (tally, until) = (attempt.call.tally().clone(), attempt.deadline);
        let map = self.config.map.as_ref().map(|map| map(&call));
        let translated = translate(attempt, &self.config, map).and_then(|translated| {
            let Translated { dialect, body, pipe, notes, losses } = translated;
            let request = head::outgoing(parts, call.operation, call.dialect, dialect, &target, body)?;
            Ok((request, Exchange { call, tally, until, dialect, pipe, notes, losses, config: self.config.clone() }))
        });
        match translated {
            Ok((request, exchange)) => ResponseFuture(Box::pin(exchange.run(self.inner.call(request)))),
            Err(fault) => ResponseFuture(Box::pin(async { Err(fault) })),
        }
    }
}

/// One request that is out.
struct Exchange {
    call: Arc<CallFacts>,
    tally: Tally,
    /// When the attempt's sender gives up.
    until: Option<Instant>,
    dialect: &'static dyn Dialect,
    pipe: Box<dyn Pipe>,
    notes: Arc<AnswerNotes>,
    losses: Losses,
    config: Arc<Config>,
}

impl Exchange {
    async fn run<F, E, ResBody>(self, sent: F) -> Result<Response<TranslatedBody<ResBody>>, Fault>
    where
        F: Future<Output = Result<Response<ResBody>, E>>,
        E: Into<BoxError>,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Into<BoxError>,
    {
        let timeouts = self.notes.target.timeouts;
        let total = deadline(timeouts.total);
        // A whole answer's head comes when all of it is thought out.
        let (head, late) = match self.call.stream {
            true if timeouts.first_byte < timeouts.total => (deadline(timeouts.first_byte), Timeout::FirstByte),
            _ => (total, Timeout::Total),
        };
        let response = match self.until {
            Some(until) if until <= head => Some(sent.await),
            _ => by(head, sent).await,
        };
        let response = response.ok_or_else(|| Fault::new(FaultKind::Timeout(late)).at(Phase::BeforeHead))?;
        let response = response.map_err(|error| whole::broken(error.into()))?;
        let (parts, body) = response.into_parts();
        self.notes.tally.head(parts.status.as_u16());
        if !parts.status.is_success() {
            return Err(refusal(self.dialect, &parts, body, total).await);
        }
        if is_packed(&parts.headers) {
            // That was not asked for.
            return Err(foreign("a content encoding"));
        }
        let streamed = media_type(&parts.headers).is_some_and(|media| media.eq_ignore_ascii_case(b"text/event-stream"));
        match (self.call.stream, streamed) {
            (true, true) => self.stream(body, total).await,
            (false, false) => self.whole(parts, body, total).await,
            // An error object where a stream was asked for is an error; anything else is not what was asked for.
            (true, false) => Err(self.no_stream(parts, body, total).await),
            (false, true) => Err(foreign("a stream that was not asked for")),
        }
    }

    /// A whole answer.
    async fn whole<ResBody>(
        mut self,
        parts: response::Parts,
        body: ResBody,
        total: Instant,
    ) -> Result<Response<TranslatedBody<ResBody>>, Fault>
    where
        ResBody: Body<Data = Bytes>,
        ResBody::Error: Into<BoxError>,
    {
        let (body, end) = whole::collect(body, self.config.max_answer, total, self.notes.target.timeouts.idle).await;
        if let Err(fault) = end {
            return Err(fault.at(Phase::BeforeCommit));
        }
        let _ = self.notes.committed.set(std::time::Instant::now());
        let mut seen = Seen::default();
        let slices = match self.pipe.whole(&body, &mut seen) {
            Ok(slices) => slices,
            Err(error) => {
                let provider = &self.notes.target.provider.name;
                tracing::warn!(%provider, %error, media_type = ?parts.headers.get(header::CONTENT_TYPE), "answer is not the provider's dialect");
                return Err(protocol(error));
            }
        };
        if let Some(error) = seen.error.clone() {
            self.notes.tally.seen(&seen);
            return Err(in_band(error).at(Phase::BeforeCommit));
        }
        self.tally.lost(self.losses.clone());
        self.tally.lost(self.pipe.losses().clone());
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let cost = seen.usage.map(|usage| self.notes.tally.cost(&usage).total());
        annotate(&self.notes, seen.model.as_deref(), [&self.losses, self.pipe.losses()], cost, &mut headers);
        self.notes.tally.complete(seen);
        let mut response = Response::new(TranslatedBody::whole(slices));
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Something whole where a stream was asked for.
    async fn no_stream<ResBody>(mut self, parts: response::Parts, body: ResBody, total: Instant) -> Fault
    where
        ResBody: Body<Data = Bytes>,
        ResBody::Error: Into<BoxError>,
    {
        let (body, _) = whole::collect(body, LONGEST_REFUSAL, total.min(deadline(PATIENCE)), PATIENCE).await;
        let mut seen = Seen::default();
        let read = self.pipe.whole(&body, &mut seen);
        match (read, seen.error.take()) {
            // What kind of error it is, its object says: the status does not.
            (Ok(_), Some(error)) => in_band(error).at(Phase::BeforeCommit),
            _ => self.dialect.decode_fault(StatusCode::BAD_GATEWAY, &parts.headers, &body).at(Phase::BeforeCommit),
        }
    }

    /// A streamed answer: resolves at the commit point.
    async fn stream<ResBody>(mut self, body: ResBody, total: Instant) -> Result<Response<TranslatedBody<ResBody>>, Fault>
    where
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Into<BoxError>,
    {
        let losses = std::mem::take(&mut self.losses);
        let stream = StreamBody::new(body, self.pipe, self.notes.clone(), self.tally.clone(), total, &self.config);
        stream.committed(self.config.hold).await?;
        self.tally.lost(losses.clone());
        let (model, answer_losses) = stream.so_far();
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        annotate(&self.notes, model.as_deref(), [&losses, &answer_losses], None, &mut headers);
        let mut response = Response::new(TranslatedBody::stream(stream));
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// What the provider's error answer means.
async fn refusal<B>(dialect: &'static dyn Dialect, parts: &response::Parts, body: B, total: Instant) -> Fault
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if parts.status.is_redirection() {
        // Never followed: it may lead anywhere.
        return foreign("a redirection");
    }
    // What came of it is what can be told; what is packed has no words.
    let (body, _) = match is_packed(&parts.headers) {
        true => (Bytes::new(), Ok(())),
        false => whole::collect(body, LONGEST_REFUSAL, total.min(deadline(PATIENCE)), PATIENCE).await,
    };
    dialect.decode_fault(parts.status, &parts.headers, &body).at(Phase::BeforeCommit)
}

/// How much of an error answer is read, in bytes, and how long it is waited for.
const LONGEST_REFUSAL: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

fn foreign(what: &str) -> Fault {
    protocol(StreamError::malformed(format!("the provider sent {what}")))
}

const X_ACCEL_BUFFERING: http::HeaderName = http::HeaderName::from_static("x-accel-buffering");

/// Room for an answer's headers, those of the layers above included.
const HEADERS: usize = 12;

/// Writes the headers that every answer has, and what a whole one cost.
fn annotate(notes: &AnswerNotes, model: Option<&str>, losses: [&Losses; 2], cost: Option<Picodollars>, headers: &mut HeaderMap) {
    let target = &notes.target;
    let mut line = head::Line::new(headers);
    line.write(head::X_GATEWAY_PROVIDER, |out| out.extend_from_slice(target.provider.name.as_str().as_bytes()));
    line.write(head::X_GATEWAY_MODEL, |out| out.extend_from_slice(model.unwrap_or(&target.model).as_bytes()));
    let now = std::time::Instant::now();
    let (before, with) = (notes.sent.saturating_duration_since(notes.call.started), now.saturating_duration_since(notes.sent));
    line.write(head::SERVER_TIMING, |out| {
        out.extend_from_slice(b"gateway;dur=");
        write_millis(out, before);
        out.extend_from_slice(b", provider;dur=");
        write_millis(out, with);
    });
    if let Some(cost) = cost {
        line.write(head::X_GATEWAY_COST_USD, |out| cost.write(out));
    }
    headers.insert(head::X_GATEWAY_ATTEMPTS, notes.attempt.into());
    head::tell_losses(losses, headers);
}

fn is_packed(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::CONTENT_TYPE)?.as_bytes();
    value.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii)
}

/// The provider's answer is not its dialect.
pub(super) fn protocol(error: StreamError) -> Fault {
    Fault::new(FaultKind::Upstream(Failure::Protocol)).at(Phase::BeforeCommit).with_source(error)
}

/// An error inside a 200.
pub(super) fn in_band(error: UpstreamError) -> Fault {
    let status = error.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
    Fault::new(upstream::kind_of(status)).with_upstream(error)
}

/// How a stream that ended cleanly was told.
pub(super) fn told(end: End) -> Result<(), Fault> {
    match end {
        End::Complete => Ok(()),
        End::Truncated => Err(Fault::new(FaultKind::Truncated)),
    }
}

/// The future of [`Translate`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<ResBody>(Pin<Box<dyn Future<Output = Answer<ResBody>> + Send>>);

type Answer<ResBody> = Result<Response<TranslatedBody<ResBody>>, Fault>;

impl<ResBody> Future for ResponseFuture<ResBody> {
    type Output = Result<Response<TranslatedBody<ResBody>>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<ResBody> fmt::Debug for ResponseFuture<ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
