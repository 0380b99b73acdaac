//! The threads that serve connections: one a core, each with a runtime of its own.

use std::{
    convert::Infallible,
    io,
    num::NonZeroUsize,
    sync::mpsc,
    thread::{self, available_parallelism},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
};

/// How long blocking work, such as a read of a database that hangs, may keep a thread from its end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The threads. Dropping this ends them and all that runs on them, and waits for that, but not for long.
pub(super) struct Workers {
    runtimes: Vec<Handle>,
    /// `None` once they are to end.
    stop: Option<watch::Sender<()>>,
    /// Closed when the last has ended.
    ended: mpsc::Receiver<Infallible>,
}

impl Workers {
    /// Starts so many, or one a core.
    pub(super) fn start(count: Option<NonZeroUsize>) -> io::Result<Self> {
        let count = count.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let (stop, stopping) = watch::channel(());
        let (alive, ended) = mpsc::channel();
        let mut workers = Self { runtimes: Vec::with_capacity(count), stop: Some(stop), ended };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.runtimes.push(runtime.handle().clone());
            let (stopping, alive) = (stopping.clone(), alive.clone());
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                work(runtime, stopping);
                drop(alive);
            })?;
        }
        Ok(workers)
    }

    /// A handle of each.
    pub(super) fn runtimes(&self) -> Vec<Handle> {
        self.runtimes.clone()
    }
}

/// Runs what is spawned on `runtime`, until nobody holds the other end of `stopping`.
fn work(runtime: Runtime, mut stopping: watch::Receiver<()>) {
    runtime.block_on(async { while stopping.changed().await.is_ok() {} });
    runtime.shutdown_timeout(PATIENCE);
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: this waits until all senders are gone, or too long.
        let _ = self.ended.recv_timeout(2 * PATIENCE);
    }
}
