use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{
    Ledger, Meter,
    observer::{Observer, PriceList},
};
use crate::{catalog::Price, dialect::Seen, stage::CallFacts};

/// Keeps a record of each call: see the [module](super).
#[derive(Clone)]
pub struct MeterLayer {
    options: Arc<Options>,
}

/// Whom a meter works for, and how. One piece, since each call holds it.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) drain: Option<Drain>,
    prices: Option<Arc<PriceList>>,
}

/// How far an answer is read on after its caller left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

impl MeterLayer {
    /// Gives each call's record to `ledger`.
    pub fn new(ledger: impl Ledger) -> Self {
        Self { options: Arc::new(Options { ledger: Arc::new(ledger), drain: None, prices: None }) }
    }

    /// When a caller leaves in the middle of an answer, reads it on for at most `bytes` and `time`, so that the record
    /// has the provider's own count. Default: the answer is cancelled, and its usage partial or estimated.
    ///
    /// The rest is read in a task on the Tokio runtime that drops the body; without one the answer is cancelled.
    #[must_use]
    pub fn drain(mut self, bytes: u64, time: Duration) -> Self {
        Arc::make_mut(&mut self.options).drain = Some(Drain { bytes, time });
        self
    }

    /// Meters answers that no layer below reports on, such as those of a host's own reverse proxy: usage is read from the
    /// answer's bytes, in the caller's dialect, and `prices` says what it costs.
    ///
    /// Whole answers past 8 MiB and compressed ones are not read. Their usage is estimated and flagged, and so is that of a
    /// chat stream whose caller did not ask for usage. No attempts are recorded and no intents announced. `prices` is asked
    /// when the call is over; `None` gives flagged lines at zero.
    #[must_use]
    pub fn observe(mut self, prices: impl Fn(&CallFacts, &Seen) -> Option<Arc<Price>> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.options).prices = Some(Arc::new(prices));
        self
    }
}

impl Options {
    /// What follows an answer, where nobody below reports.
    pub(super) fn observer(&self) -> Option<Observer> {
        self.prices.clone().map(Observer::new)
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter::new(inner, self.options.clone())
    }
}

impl fmt::Debug for MeterLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterLayer")
            .field("drain", &self.options.drain)
            .field("observes", &self.options.prices.is_some())
            .finish_non_exhaustive()
    }
}
