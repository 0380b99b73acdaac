//! The signals that end a server.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT; where there are none, Ctrl-C.
pub(super) struct Signals {
    #[cfg(unix)]
    each: [Signal; 2],
}

impl Signals {
    /// Listens from now on.
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { each: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?] })
    }

    /// The next of either.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.each;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    /// Listens from now on.
    #[cfg(not(unix))]
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// The next one.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
