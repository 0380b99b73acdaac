//! Configuration.

use std::time::Duration;

use tower_layer::Layer;

use super::{Normalize, buffer::Buffers};

/// Applies [`Normalize`].
#[derive(Clone, Debug)]
pub struct NormalizeLayer {
    pub(super) config: Config,
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) max_body: u64,
    pub(super) body_idle: Duration,
    pub(super) body_total: Duration,
    pub(super) members: bool,
    pub(super) buffers: Buffers,
}

impl NormalizeLayer {
    /// Bodies up to 32 MiB, within 120 s and never silent for more than 15 s.
    pub fn new() -> Self {
        Self {
            config: Config {
                max_body: 32 << 20,
                body_idle: Duration::from_secs(15),
                body_total: Duration::from_secs(120),
                members: true,
                buffers: Buffers::default(),
            },
        }
    }

    /// The largest body taken, in bytes. Larger ones are a 413.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.config.max_body = bytes;
        self
    }

    /// How long a body may be silent, and how long it may take in all. Slower ones are a 408.
    #[must_use]
    pub fn body_timeouts(mut self, idle: Duration, total: Duration) -> Self {
        self.config.body_idle = idle;
        self.config.body_total = total;
        self
    }

    /// Leaves the gateway's own members of the body (`provider`, `models`, `session_id`, `usage`, `meta`) unread.
    ///
    /// For a stack without a translating layer, which would cut them out: the provider sees them as they are.
    #[must_use]
    pub fn without_members(mut self) -> Self {
        self.config.members = false;
        self
    }
}

impl Default for NormalizeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for NormalizeLayer {
    type Service = Normalize<S>;

    fn layer(&self, inner: S) -> Normalize<S> {
        Normalize::new(inner, self.config.clone())
    }
}
