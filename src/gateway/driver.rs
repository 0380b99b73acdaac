//! The work beside the calls.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::Gateway;

/// Work to be done now and then. Implemented for closures that give a future.
pub trait Chore: Send + 'static {
    /// Does it once.
    fn run(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<F, Fut> Chore for F
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn run(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self())
    }
}

/// What goes on beside the calls: deadlines of running answers, changes of keys, shipping of records, the drain.
///
/// Spawn [`run`](Self::run) on the runtime that serves, or on one beside it that no call can keep busy; a gateway without its
/// driver enforces no deadline of a running stream and writes records no further than its journal.
#[must_use = "the driver does nothing until it is run"]
pub struct Driver {
    gateway: Gateway,
    chores: Vec<(Duration, Box<dyn Chore>)>,
    drain: Duration,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every running answer came to its own end.
    Clean,
    /// The deadline passed: those that were left were ended, and settled.
    Aborted {
        /// How many.
        left: usize,
    },
}

impl Driver {
    pub(super) fn new(gateway: Gateway, chores: Vec<(Duration, Box<dyn Chore>)>, drain: Duration) -> Self {
        Self { gateway, chores, drain }
    }

    /// Works until `shutdown` resolves; then drains, and does every chore a last time. A chore that panics is done again at
    /// its next turn.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { gateway, mut chores, drain } = self;
        let drained = {
            let watchdog = gateway.shared.watchdog.clone();
            let work = chores.iter_mut().map(|(period, chore)| repeat(*period, &mut **chore)).map(|chore| Box::pin(chore) as Work<'_>);
            let mut work: Vec<Work<'_>> = work.chain([Box::pin(async move { watchdog.run().await }) as Work<'_>]).collect();
            // Never ends by itself; each wake-up looks at all, and there are few.
            let mut beside = pin!(poll_fn(|cx| {
                for work in &mut work {
                    let _ = work.as_mut().poll(cx);
                }
                Poll::<()>::Pending
            }));
            tokio::select! {
                () = beside.as_mut() => {}
                () = shutdown => {}
            }
            tokio::select! {
                drained = gateway.drain(drain) => drained,
                () = beside => Drained::Clean,
            }
        };
        for (_, chore) in &mut chores {
            once(&mut **chore).await;
        }
        drained
    }
}

type Work<'w> = Pin<Box<dyn Future<Output = ()> + Send + 'w>>;

async fn repeat(period: Duration, chore: &mut dyn Chore) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        once(chore).await;
    }
}

/// Does a chore once. If it panics, the deadlines of running answers and the other chores do not go down with it.
async fn once(chore: &mut dyn Chore) {
    let mut run = pin!(async { chore.run().await });
    let done = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(())),
    });
    if done.await.is_err() {
        tracing::error!("a chore of the gateway's driver panicked");
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("chores", &self.chores.len()).field("drain", &self.drain).finish_non_exhaustive()
    }
}
