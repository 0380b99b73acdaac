//! Behind auth: calls and reads part.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, request::Parts};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::service::{GatewayRequest, missing};
use crate::{
    api::Api,
    fault::{Fault, FaultKind},
    stage::{AnswerBody, Endpoint, GenerationId, fault_response},
};

/// Gives calls to the layers below, and answers the rest.
#[derive(Clone)]
pub(super) struct Dispatch<C> {
    pub(super) api: Arc<Api>,
    pub(super) calls: C,
}

impl<C, B> Service<GatewayRequest> for Dispatch<C>
where
    C: Service<GatewayRequest, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = DispatchFuture<C::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The normalising layer below is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: GatewayRequest) -> Self::Future {
        let kind = match Endpoint::at(request.method(), request.uri().path()) {
            Ok(Endpoint::Call { .. }) => Kind::Call { call: self.calls.call(request) },
            Ok(Endpoint::Read(read)) => {
                let (api, parts) = (self.api.clone(), request.into_parts().0);
                Kind::Read { answer: Box::pin(async move { api.answer(read, parts).await }) }
            }
            Ok(Endpoint::Unbuilt) => Kind::refused(request, |parts| {
                Fault::new(FaultKind::NotImplemented { what: format!("{} {}", parts.method, parts.uri.path()) })
            }),
            Err(reason) => Kind::refused(request, |parts| missing(reason, parts)),
        };
        DispatchFuture { kind }
    }
}

pin_project! {
    /// The future of [`Dispatch`].
    pub(super) struct DispatchFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Call { #[pin] call: F },
        Read { answer: Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> },
    }
}

impl<F> Kind<F> {
    fn refused(request: GatewayRequest, fault: impl FnOnce(&Parts) -> Fault) -> Self {
        let (mut parts, _) = request.into_parts();
        let fault = fault(&parts);
        let id = GenerationId::of(&mut parts.extensions);
        let dialect = Endpoint::dialect_of(parts.uri.path(), &parts.headers);
        Self::Read { answer: Box::pin(std::future::ready(fault_response(dialect, &fault, &id))) }
    }
}

impl<F, B> Future for DispatchFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<AnswerBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Call { call } => ready!(call.poll(cx)).map(|response| response.map(AnswerBody::inner)),
            KindProj::Read { answer } => Ok(ready!(answer.as_mut().poll(cx)).map(AnswerBody::own)),
        })
    }
}
