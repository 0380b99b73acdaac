//! The layer and the service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    cached::{CachedKeys, Presented},
    credential,
    future::ResponseFuture,
};
use crate::{
    fault::Fault,
    stage::{AnswerBody, GenerationId, KeyKind, Principal},
};

/// Lets requests with a valid key through, as the [module](super) describes.
#[derive(Clone, Debug)]
pub struct AuthLayer(Gate);

/// The service that [`AuthLayer`] makes.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    gate: Arc<Gate>,
}

/// What decides.
#[derive(Clone, Debug)]
struct Gate {
    keys: CachedKeys,
    kind: KeyKind,
    trusts_host: bool,
}

/// What is known of a request without waiting.
enum Verdict {
    Accepted,
    Refused(Fault),
    AskStore(Box<Presented>),
}

impl AuthLayer {
    /// Lets requests with an inference key of `keys` through.
    pub fn new(keys: CachedKeys) -> Self {
        Self(Gate { keys, kind: KeyKind::Inference, trusts_host: false })
    }

    /// Sets which keys pass: the other kind is an invalid one. Default: inference.
    #[must_use]
    pub fn kind(self, kind: KeyKind) -> Self {
        Self(Gate { kind, ..self.0 })
    }

    /// Lets requests through, unchecked, whose extensions hold a [`Principal`] already. Default: no.
    ///
    /// For a host that knows some callers by other means, such as a session. Extensions cannot come over the network.
    #[must_use]
    pub fn trust_principal(self, trust: bool) -> Self {
        Self(Gate { trusts_host: trust, ..self.0 })
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, gate: Arc::new(self.0.clone()) }
    }
}

impl<S, B, ResBody> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<AnswerBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    /// Always ready: a refusal needs no inner service, and an accepted request waits for it afterwards.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = GenerationId::of(request.extensions_mut());
        match self.gate.judge(&mut request) {
            Verdict::Accepted => ResponseFuture::pass(self.inner.clone(), request),
            Verdict::Refused(fault) => ResponseFuture::refuse(&request, &id, &fault),
            Verdict::AskStore(presented) => {
                let gate = self.gate.clone();
                let check = Box::pin(async move { gate.keys.check_store(presented).await });
                ResponseFuture::check(check, self.inner.clone(), request, id)
            }
        }
    }
}

impl Gate {
    /// Takes the key out of the request and puts in who calls, as far as memory can tell.
    fn judge<B>(&self, request: &mut Request<B>) -> Verdict {
        if self.trusts_host && request.extensions().get::<Principal>().is_some() {
            credential::remove(request.headers_mut(), self.keys.format());
            return Verdict::Accepted;
        }
        let (key, places) = match credential::find(request.headers(), self.keys.format()) {
            Ok(found) => found,
            Err(kind) => return Verdict::Refused(kind.into()),
        };
        let checked = self.keys.check_memory(key, self.kind);
        places.remove(request.headers_mut(), self.keys.format());
        match checked {
            Ok(Ok(principal)) => {
                request.extensions_mut().insert(principal);
                Verdict::Accepted
            }
            Ok(Err(fault)) => Verdict::Refused(fault),
            Err(presented) => Verdict::AskStore(presented),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Auth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("inner", &self.inner).field("gate", &self.gate).finish()
    }
}
