//! A stack that its clones share.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

/// Makes a clone of `S` for each call, and none before: the layers above are cloned for each call as well.
///
/// For services that are always ready.
pub(super) struct Template<S>(Arc<S>);

impl<S> Template<S> {
    pub(super) fn new(service: S) -> Self {
        Self(Arc::new(service))
    }
}

impl<S> Clone for Template<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service<R> + Clone, R> Service<R> for Template<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        S::clone(&self.0).call(request)
    }
}
