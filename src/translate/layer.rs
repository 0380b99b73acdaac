//! Configuration.

use std::{fmt, sync::Arc, time::Duration};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::Translate;
use crate::{
    dialect::EventMap,
    stage::{CallFacts, Fidelity, Outgoing, Watchdog},
};

/// Applies [`Translate`]. Fits only where the inner service takes [`Outgoing`] requests.
#[derive(Clone, Debug)]
pub struct TranslateLayer {
    pub(super) config: Config,
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) annotate: bool,
    pub(super) fidelity: Fidelity,
    pub(super) hold: Duration,
    pub(super) keep_alive: Duration,
    pub(super) write_stall: Duration,
    pub(super) max_answer: usize,
    pub(super) watchdog: Watchdog,
    pub(super) map: Option<MakeMap>,
}

/// Makes a call's hand in its events.
pub(super) type MakeMap = Arc<dyn Fn(&CallFacts) -> Box<dyn EventMap> + Send + Sync>;

impl TranslateLayer {
    /// Annotated answers, losses reported, streams held for up to 10 s, whole answers up to 64 MiB.
    pub fn new() -> Self {
        Self {
            config: Config {
                annotate: true,
                fidelity: Fidelity::Report,
                hold: Duration::from_secs(10),
                keep_alive: Duration::from_secs(15),
                write_stall: Duration::from_secs(30),
                max_answer: 64 << 20,
                watchdog: Watchdog::spawning(),
                map: None,
            },
        }
    }

    /// Whether bodies carry `provider`, cost and the like. Without, they are the dialect's own; headers carry it still.
    #[must_use]
    pub fn annotate(mut self, annotate: bool) -> Self {
        self.config.annotate = annotate;
        self
    }

    /// How requests are treated that a target cannot carry whole, where the caller does not say.
    #[must_use]
    pub fn fidelity(mut self, fidelity: Fidelity) -> Self {
        self.config.fidelity = fidelity;
        self
    }

    /// How long a stream may be held back for its first content, from the provider's head on. Zero commits at once.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.config.hold = hold;
        self
    }

    /// How long a stream may be silent before the caller gets a keep-alive.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.config.keep_alive = interval;
        self
    }

    /// How long an answer may lie ready without being taken.
    #[must_use]
    pub fn write_stall(mut self, limit: Duration) -> Self {
        self.config.write_stall = limit;
        self
    }

    /// The largest whole answer taken from a provider, in bytes.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.config.max_answer = bytes;
        self
    }

    /// Sends the events of each chat answer through a map of its own: to redact, to filter, to stop.
    ///
    /// `make` is called for each attempt. It takes the same dialect through the hub, too, so answers are no longer the
    /// provider's bytes. The map of a long whole answer runs on a blocking thread, outside the call's task.
    ///
    /// ```
    /// use portcullis::{dialect::{conversation::Event, event_map_fn}, translate::TranslateLayer};
    ///
    /// let layer = TranslateLayer::new().map_events(|_call| event_map_fn(|event: Event<'_>, out| out.push(event)));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn map_events<M: EventMap + 'static>(mut self, make: impl Fn(&CallFacts) -> M + Send + Sync + 'static) -> Self {
        self.config.map = Some(Arc::new(move |call| Box::new(make(call))));
        self
    }

    /// Who keeps the deadlines of running streams. Default: one that runs while there are any.
    #[must_use]
    pub fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.config.watchdog = watchdog;
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("annotate", &self.annotate)
            .field("fidelity", &self.fidelity)
            .field("hold", &self.hold)
            .field("maps_events", &self.map.is_some())
            .finish_non_exhaustive()
    }
}

impl Default for TranslateLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Service<Request<Outgoing>>> Layer<S> for TranslateLayer {
    type Service = Translate<S>;

    fn layer(&self, inner: S) -> Translate<S> {
        Translate::new(inner, self.config.clone())
    }
}
