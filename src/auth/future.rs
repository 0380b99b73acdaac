//! Waits for the key store if it must, then for the inner service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    fault::Fault,
    stage::{AnswerBody, AtOnce, Endpoint, GenerationId, Principal, fault_response},
};

/// What the key store will say.
type Check = Pin<Box<dyn Future<Output = Result<Principal, Fault>> + Send>>;

pin_project! {
    /// The future of [`Auth`](super::Auth).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    /// ```text
    /// Checking ──▶ Passed ──▶ the inner answer
    ///     └──────▶ Refused
    /// ```
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // Boxed: it is rare, and larger than the others.
        Checking { check: Check, waiting: Option<Box<Waiting<S, B>>> },
        Passed { #[pin] call: AtOnce<S, Request<B>> },
        Refused { response: Option<Response<Bytes>> },
    }
}

/// A request whose key is being looked up.
struct Waiting<S, B> {
    inner: S,
    request: Request<B>,
    id: GenerationId,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn pass(inner: S, request: Request<B>) -> Self {
        Self { state: State::pass(inner, request) }
    }

    pub(super) fn refuse(request: &Request<B>, id: &GenerationId, fault: &Fault) -> Self {
        Self { state: State::refuse(request, id, fault) }
    }

    pub(super) fn check(check: Check, inner: S, request: Request<B>, id: GenerationId) -> Self {
        Self { state: State::Checking { check, waiting: Some(Box::new(Waiting { inner, request, id })) } }
    }
}

impl<S, B> State<S, B>
where
    S: Service<Request<B>>,
{
    fn pass(inner: S, request: Request<B>) -> Self {
        Self::Passed { call: AtOnce::new(inner, request) }
    }

    /// The request's body is dropped unread.
    fn refuse(request: &Request<B>, id: &GenerationId, fault: &Fault) -> Self {
        tracing::debug!(%id, code = fault.code(), "request refused");
        let dialect = Endpoint::dialect_of(request.uri().path(), request.headers());
        Self::Refused { response: Some(fault_response(dialect, fault, id)) }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<AnswerBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Checking { check, waiting } => {
                    let answer = ready!(check.as_mut().poll(cx));
                    let Waiting { inner, mut request, id } = *waiting.take().expect("polled after completion");
                    match answer {
                        Ok(principal) => {
                            request.extensions_mut().insert(principal);
                            State::pass(inner, request)
                        }
                        Err(fault) => State::refuse(&request, &id, &fault),
                    }
                }
                StateProj::Passed { call } => {
                    let response = ready!(call.poll(cx))?;
                    return Poll::Ready(Ok(response.map(AnswerBody::inner)));
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map(AnswerBody::own)));
                }
            };
            state.set(next);
        }
    }
}
