//! Configuration.

use std::{fmt, sync::Arc};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{Configured, Route, Strategy};
use crate::{catalog::Catalogs, stage::Routed};

/// Applies [`Route`]. Fits only where the inner service takes [`Routed`] calls.
#[derive(Clone)]
pub struct RouteLayer {
    catalogs: Catalogs,
    strategy: Arc<dyn Strategy>,
}

impl RouteLayer {
    /// Routes by `catalogs`; keep a clone to swap the catalogue while serving.
    pub fn new(catalogs: impl Into<Catalogs>) -> Self {
        Self { catalogs: catalogs.into(), strategy: Arc::new(Configured) }
    }

    /// Orders targets by `strategy` instead of what the catalogue says of the model.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }
}

impl<S: Service<Request<Routed>>> Layer<S> for RouteLayer {
    type Service = Route<S>;

    fn layer(&self, inner: S) -> Route<S> {
        Route::new(inner, self.catalogs.clone(), self.strategy.clone())
    }
}

impl fmt::Debug for RouteLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLayer").field("catalogs", &self.catalogs).finish_non_exhaustive()
    }
}
