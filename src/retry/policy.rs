//! How often and how long.

use std::{fmt, sync::Arc, time::Duration};

use tower::retry::budget::{Budget, TpsBudget};

/// How often to try, how long to wait, and how much of it in all. Cheap to clone; clones share the budget.
#[derive(Clone)]
pub struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) backoff: Duration,
    pub(super) max_backoff: Duration,
    pub(super) max_retry_after: Duration,
    pub(super) total: Duration,
    pub(super) budget: Arc<TpsBudget>,
}

impl RetryPolicy {
    /// Three attempts within ten minutes, backoff from 250 ms to 5 s, a budget of a fifth of the calls.
    pub fn new() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(5),
            max_retry_after: Duration::from_secs(5),
            total: Duration::from_secs(600),
            budget: Arc::new(TpsBudget::new(BUDGET_WINDOW, BUDGET_FLOOR, BUDGET_SHARE)),
        }
    }

    /// The most attempts of one call, at all targets together; at least 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first and the longest wait before a repeat. The wait doubles each time and is drawn between zero and that.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = first;
        self.max_backoff = longest;
        self
    }

    /// The longest `Retry-After` to sit out.
    #[must_use]
    pub fn max_retry_after(mut self, wait: Duration) -> Self {
        self.max_retry_after = wait;
        self
    }

    /// How long all attempts together may take, up to the answer's head.
    #[must_use]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// The repeats allowed, as a share of the calls of the last ten seconds, and per second besides.
    #[must_use]
    pub fn budget(mut self, share: f32, per_second: u32) -> Self {
        self.budget = Arc::new(TpsBudget::new(BUDGET_WINDOW, per_second, share.clamp(0.0, 1.0)));
        self
    }

    pub(super) fn deposit(&self) {
        self.budget.deposit();
    }

    pub(super) fn withdraw(&self) -> bool {
        self.budget.withdraw()
    }
}

const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Repeats per second that a quiet gateway may make whatever the share.
const BUDGET_FLOOR: u32 = 10;
const BUDGET_SHARE: f32 = 0.2;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("max_backoff", &self.max_backoff)
            .field("max_retry_after", &self.max_retry_after)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
