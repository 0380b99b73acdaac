//! Deadlines of running answers, kept outside their bodies.
//!
//! A server does not poll a body while its write buffer is full, so a timer inside the body may fire late or never. The
//! watchdog looks at every running answer a few times a second, whoever polls it or not.

use std::{
    collections::HashSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};

/// Something with deadlines.
pub trait Watched: Send + Sync + 'static {
    /// Acts on what is due at `now`; `false` ends the watching.
    fn check(&self, now: Instant) -> bool;

    /// Ends it now: the process is going down.
    fn abort(&self);
}

/// The list of running answers. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Watchdog(Arc<Kennel>);

struct Kennel {
    list: Mutex<List>,
    spawn: bool,
}

#[derive(Default)]
struct List {
    watched: Vec<Weak<dyn Watched>>,
    running: bool,
}

/// How often the deadlines are looked at, and so how late one may fire.
const TICK: Duration = Duration::from_millis(200);

impl Watchdog {
    /// A watchdog that somebody [`run`](Self::run)s.
    pub fn new() -> Self {
        Self(Arc::new(Kennel { list: Mutex::default(), spawn: false }))
    }

    /// A watchdog that runs on the ambient Tokio runtime as long as there is something to watch: on that of the first call, and
    /// if that ends before the others', until the next call. With several runtimes, [`run`](Self::run) one.
    pub fn spawning() -> Self {
        Self(Arc::new(Kennel { list: Mutex::default(), spawn: true }))
    }

    /// Watches `watched` until it is dropped or says that it is done.
    pub fn watch<W: Watched>(&self, watched: &Arc<W>) {
        let weak: Weak<W> = Arc::downgrade(watched);
        let mut list = self.0.list();
        list.watched.push(weak);
        if self.0.spawn && !std::mem::replace(&mut list.running, true) {
            let round = Round(self.clone());
            tokio::spawn(async move { while round.0.tick().await {} });
        }
    }

    /// Looks at the deadlines for ever. Drop the future to stop.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.check(Instant::now());
        }
    }

    /// How many answers are running.
    pub fn len(&self) -> usize {
        self.0.list().watched.iter().filter(|watched| watched.strong_count() > 0).count()
    }

    /// Whether none is running.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all that is running.
    pub fn abort(&self) {
        let all = std::mem::take(&mut self.0.list().watched);
        for watched in all.iter().filter_map(Weak::upgrade) {
            guarded(|| watched.abort());
        }
    }

    /// Acts on all that is due at `now`.
    pub fn check(&self, now: Instant) {
        // Checked without the lock: an expired answer wakes tasks and writes records. The list stays in place, so that
        // whoever aborts meanwhile finds all of it.
        let all = self.0.list().watched.clone();
        let goes_on =
            |watched: &Weak<dyn Watched>| watched.upgrade().is_some_and(|watched| guarded(|| watched.check(now)).unwrap_or(false));
        // What is held in `all` keeps its address.
        let over: HashSet<*const ()> = all.iter().filter(|watched| !goes_on(watched)).map(address).collect();
        if !over.is_empty() {
            self.0.list().watched.retain(|watched| !over.contains(&address(watched)));
        }
    }

    /// One round of a spawned watchdog; `false` when there is nothing left to watch.
    async fn tick(&self) -> bool {
        tokio::time::sleep(TICK).await;
        self.check(Instant::now());
        let mut list = self.0.list();
        list.running = !list.watched.is_empty();
        list.running
    }
}

/// A spawned watchdog's task. However it ends, with its runtime too, the next answer may start another.
struct Round(Watchdog);

impl Drop for Round {
    fn drop(&mut self) {
        self.0.0.list().running = false;
    }
}

fn address(watched: &Weak<dyn Watched>) -> *const () {
    watched.as_ptr().cast()
}

/// Keeps one answer's panic from the others' deadlines.
fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(act)).ok();
    if result.is_none() {
        tracing::error!("an answer panicked while its deadlines were looked at");
    }
    result
}

impl Kennel {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::spawning()
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("running", &self.len()).finish()
    }
}
