//! The server's threads, each with a runtime of its own: one a core to serve, and one for the driver.

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
/// Threads for blocking work, such as a look-up of a provider's name: shared out among the runtimes, and the least of each.
const BLOCKING: usize = 512;
const LEAST_BLOCKING: usize = 32;

/// The threads. Dropping this ends them and all that runs on them, and waits for that, but not for long.
pub(super) struct Workers {
    serving: Vec<Handle>,
    driver: Handle,
    /// `None` once they are to end.
    stop: Option<watch::Sender<()>>,
    /// Closed when the last has ended.
    ended: mpsc::Receiver<Infallible>,
}

impl Workers {
    /// Starts so many to serve, or one a core.
    pub(super) fn start(count: Option<NonZeroUsize>) -> io::Result<Self> {
        let count = count.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let blocking = (BLOCKING / (count + 1)).max(LEAST_BLOCKING);
        let (stop, stopping) = watch::channel(());
        let (alive, ended) = mpsc::channel();
        let start = |name: String| start(name, blocking, stopping.clone(), alive.clone());
        // A disk that takes its time over what the driver writes keeps nobody from being accepted or told to end.
        let driver = start("driver".into())?;
        let serving = (0..count).map(|number| start(format!("worker-{number}"))).collect::<io::Result<_>>()?;
        Ok(Self { serving, driver, stop: Some(stop), ended })
    }

    /// The runtimes that serve.
    pub(super) fn serving(&self) -> Vec<Handle> {
        self.serving.clone()
    }

    /// The runtime of the work beside the calls.
    pub(super) fn driver(&self) -> &Handle {
        &self.driver
    }
}

/// Starts a thread that runs what is spawned on its runtime, until nobody holds the other end of `stopping`.
fn start(name: String, blocking: usize, stopping: watch::Receiver<()>, alive: mpsc::Sender<Infallible>) -> io::Result<Handle> {
    let (report, started) = mpsc::channel();
    thread::Builder::new().name(name).spawn(move || {
        match Builder::new_current_thread().enable_all().max_blocking_threads(blocking).thread_name("blocking").build() {
            Ok(runtime) => {
                let _ = report.send(Ok(runtime.handle().clone()));
                work(runtime, stopping);
            }
            Err(error) => drop(report.send(Err(error))),
        }
        drop(alive);
    })?;
    started.recv().unwrap_or_else(|_| Err(io::Error::other("a thread ended as it started")))
}

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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn each_has_a_thread_and_all_end_together() {
        let workers = Workers::start(NonZeroUsize::new(3)).unwrap();
        let mut names = Vec::new();
        for runtime in workers.serving().iter().chain([workers.driver()]) {
            let name = runtime.spawn(async { thread::current().name().map(str::to_owned) });
            names.extend(name.await.unwrap());
        }
        assert_eq!(names, ["worker-0", "worker-1", "worker-2", "driver"]);
        // What still runs is dropped.
        let (held, dropped) = oneshot::channel::<()>();
        workers.driver().spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(workers);
        assert!(dropped.await.is_err());
    }
}
