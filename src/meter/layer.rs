use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{Ledger, Meter};

/// Keeps a record of each call: see the [module](super).
#[derive(Clone)]
pub struct MeterLayer {
    ledger: Arc<dyn Ledger>,
    options: Arc<Options>,
}

/// How a meter deals with callers that leave.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) drain: Option<Drain>,
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
        Self { ledger: Arc::new(ledger), options: Arc::default() }
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
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter::new(inner, self.ledger.clone(), self.options.clone())
    }
}

impl fmt::Debug for MeterLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterLayer").field("options", &self.options).finish_non_exhaustive()
    }
}
