//! Configuration.

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{Retry, RetryPolicy};
use crate::stage::{Attempt, Health};

/// Applies [`Retry`]. Fits only where the inner service takes [`Attempt`]s.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: RetryPolicy,
    health: Health,
}

impl RetryLayer {
    /// Tries as `policy` says.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, health: Health::new() }
    }

    /// Shares what is known of the targets. Default: its own.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }
}

impl<S: Service<Request<Attempt>>> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, self.policy.clone(), self.health.clone())
    }
}
