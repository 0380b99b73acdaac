//! What time it is.

use std::time::SystemTime;

/// Tells the time by the calendar, for expiry, grace and audits. Any `Fn() -> SystemTime` is one.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync + 'static> Clock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}
