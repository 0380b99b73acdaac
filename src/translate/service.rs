//! The service.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::{
    TranslatedBody,
    exchange::{Answer, Exchange, Next},
    head,
    layer::Config,
    request::{self, Said, Translated, translate},
    whole::Collect,
};
use crate::{
    dialect::EventMap,
    fault::{Fault, FaultKind},
    stage::{Attempt, By, Outgoing, by, deadline},
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
    S: Service<Request<Outgoing>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<TranslatedBody<ResBody>>;
    type Error = Fault;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx).map_err(|error| Fault::from(error.into()))
    }

    fn call(&mut self, request: Request<Attempt>) -> Self::Future {
        let (parts, attempt) = request.into_parts();
        let map = self.config.map.as_ref().map(|map| map(attempt.call.facts()));
        if request::long(&attempt).is_none() {
            return send(&mut self.inner, &self.config, parts, attempt, map, None);
        }
        // The service that is ready is the one that is called, later.
        let spare = self.inner.clone();
        let (mut inner, config) = (mem::replace(&mut self.inner, spare), self.config.clone());
        attempt.tally.dispatched(false);
        let answer = async move {
            let said = request::said_aside(&attempt).await?;
            attempt.tally.dispatched(true);
            let sent = send(&mut inner, &config, parts, attempt, map, said);
            drop(inner);
            sent.await
        };
        ResponseFuture { state: State::Other { answer: Box::pin(answer) } }
    }
}

/// Sends an attempt through `inner`, in its target's words. What was `said` aside is not said again.
#[inline]
fn send<S, ResBody>(
    inner: &mut S,
    config: &Arc<Config>,
    parts: Parts,
    attempt: Attempt,
    map: Option<Box<dyn EventMap>>,
    said: Option<Box<Said>>,
) -> ResponseFuture<S::Future, ResBody>
where
    S: Service<Request<Outgoing>, Response = Response<ResBody>>,
{
    let (tally, until) = (attempt.call.tally().clone(), attempt.deadline);
    let translated = translate(attempt, config, map, said).and_then(|translated| {
        let Translated { dialect, body, pipe, notes, losses } = translated;
        let request = head::outgoing(parts, &notes, dialect, body)?;
        let total = deadline(notes.target.timeouts.total);
        let (config, headers) = (config.clone(), HeaderMap::new());
        Ok((request, Box::new(Exchange { tally, dialect, pipe, notes, losses, config, total, status: None, headers })))
    });
    let state = match translated {
        Ok((request, exchange)) => State::Sent { head: by(exchange.patience(until), inner.call(request)), exchange: Some(exchange) },
        Err(fault) => State::Refused { fault: Some(fault) },
    };
    ResponseFuture { state }
}

pin_project! {
    /// The future of [`Translate`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, ResBody> {
        #[pin]
        state: State<F, ResBody>,
    }
}

pin_project! {
    /// ```text
    /// Sent ──▶ Whole ──▶ an answer
    ///  └─────▶ Other ──▶ a stream, or an error; a long answer
    ///            ▲
    ///            └── a long request: all of this over again, once it is translated
    /// ```
    #[project = StateProj]
    enum State<F, ResBody> {
        Sent { #[pin] head: By<F>, exchange: Option<Box<Exchange>> },
        Whole { #[pin] body: Collect<ResBody>, exchange: Option<Box<Exchange>> },
        Other { answer: Pin<Box<dyn Future<Output = Answer<ResBody>> + Send>> },
        // Never sent, or over.
        Refused { fault: Option<Fault> },
    }
}

impl<F, E, ResBody> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    E: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Answer<ResBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<ResBody>> {
        let mut state = self.project().state;
        let answer = loop {
            let next = match state.as_mut().project() {
                StateProj::Sent { head, exchange } => {
                    let head = ready!(head.poll(cx));
                    exchange.take().ok_or_else(over).and_then(|exchange| exchange.head(head))
                }
                StateProj::Whole { body, exchange } => {
                    let (body, end) = ready!(body.poll(cx));
                    match exchange.take() {
                        Some(exchange) if body.len() > exchange.longest() => Ok(Next::Other(Box::pin(exchange.long(body, end)))),
                        exchange => break exchange.ok_or_else(over).and_then(|exchange| exchange.whole(&body, end)),
                    }
                }
                StateProj::Other { answer } => break ready!(answer.as_mut().poll(cx)),
                StateProj::Refused { fault } => break Err(fault.take().unwrap_or_else(over)),
            };
            state.set(match next {
                Ok(Next::Whole(body, exchange)) => State::Whole { body, exchange: Some(exchange) },
                Ok(Next::Other(answer)) => State::Other { answer },
                Err(fault) => break Err(fault),
            });
        };
        // What is done lets go of its connection, and is not polled again.
        state.set(State::Refused { fault: None });
        Poll::Ready(answer)
    }
}

/// The future was polled after its end.
fn over() -> Fault {
    Fault::new(FaultKind::Internal)
}

impl<F, ResBody> fmt::Debug for ResponseFuture<F, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
