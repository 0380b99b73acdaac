//! How targets are doing, from the outcomes of real calls.

mod window;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

use self::window::Window;
use crate::catalog::Target;

/// Sliding windows of upstream outcomes and a breaker, per target. Cheap to clone; clones share it.
///
/// Only what a provider did counts: not a caller's mistake, not a hang-up.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<HashMap<Key, Shared>>>);

/// Provider and model.
type Key = (Arc<str>, Arc<str>);
/// A target's window, which its running calls hold as well.
type Shared = Arc<Mutex<Window>>;

/// What a target's breaker lets through.
///
/// ```text
///            half of at least MIN_CALLS failed
///  Closed ─────────────────────────────────────▶ Open
///    ▲                                            │ after OPEN_FOR
///    │ the probe succeeds                         ▼
///    └───────────────────────────────────────── HalfOpen: one probe at a time
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Everything.
    Closed,
    /// One call, to see whether it is back.
    HalfOpen,
    /// Nothing, for this long.
    Open(Duration),
}

impl Breaker {
    /// Its name in `/v1/health`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open(_) => "open",
        }
    }
}

/// Why a target takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its breaker is open, or a probe is out.
    Breaker(Duration),
    /// It told us to wait before we use its quota again.
    Limited(Duration),
}

/// A target's recent past.
#[derive(Clone, Debug, PartialEq)]
pub struct Vitals {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The provider's model.
    pub model: Arc<str>,
    /// What the breaker lets through.
    pub breaker: Breaker,
    /// Calls that ended in the window.
    pub calls: u32,
    /// Those of them that failed.
    pub failures: u32,
    /// Calls that are running.
    pub running: u32,
    /// Median time to the commit point.
    pub p50: Option<Duration>,
    /// 95th percentile of the time to the commit point.
    pub p95: Option<Duration>,
}

/// What callers are told to wait while a probe is out.
pub(crate) const PROBE_WAIT: Duration = Duration::from_secs(1);
/// The longest that a provider's `Retry-After` keeps its quota shut here.
const MAX_COOLING: Duration = Duration::from_secs(30);
/// The most targets watched at a time: behind a wildcard, callers make up the models' names.
const MOST: usize = 1024;

impl Health {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `target`'s breaker lets through now.
    pub fn breaker(&self, target: &Target) -> Breaker {
        let now = Instant::now();
        self.windows().get(&key(target)).map_or(Breaker::Closed, |window| lock(window).breaker(now))
    }

    /// Starts a call at `target`, if its breaker and its quota let it through. Drop the pass without a report and
    /// nothing counts.
    ///
    /// # Errors
    /// Why not, and for how long.
    pub fn admit(&self, target: &Target) -> Result<Pass, Closed> {
        let now = Instant::now();
        let shared = self.window(target, now);
        let probe = lock(&shared).admit(now)?;
        Ok(Pass::new(shared, probe, now))
    }

    /// The window of `target`; one that is not remembered where there are too many.
    fn window(&self, target: &Target, now: Instant) -> Shared {
        let key = key(target);
        let mut windows = self.windows();
        if let Some(window) = windows.get(&key) {
            return window.clone();
        }
        if windows.len() >= MOST {
            // Who else holds a window is a call that is about to run.
            windows.retain(|_, window| Arc::strong_count(window) > 1 || !lock(window).is_idle(now));
        }
        let window = Shared::new(Mutex::new(Window::new(now)));
        if windows.len() < MOST {
            windows.insert(key, window.clone());
        }
        window
    }

    /// All targets that were called, by name.
    pub fn vitals(&self) -> Vec<Vitals> {
        let now = Instant::now();
        let windows = self.windows();
        let mut all: Vec<_> = windows.iter().map(|((provider, model), window)| lock(window).vitals(provider, model, now)).collect();
        drop(windows);
        all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Shared>> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(target: &Target) -> Key {
    (target.provider.name.shared(), target.model.clone())
}

/// A call that is running at a target, up to its commit point.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    running: Arc<Running>,
    probe: bool,
    started: Instant,
    reported: bool,
}

/// A call that is running at a target, up to the end of its answer.
#[derive(Debug)]
pub(crate) struct Running {
    window: Shared,
    /// Changed under the window's lock alone: what is known and what is counted never differ, whoever is first.
    so_far: AtomicU8,
}

/// What is known of a running call: nothing, that the target did its part up to the commit point, that it failed.
const UNKNOWN: u8 = 0;
const SUCCEEDED: u8 = 1;
const BROKE: u8 = 2;

impl Running {
    /// Says that the target failed. Behind the commit point this counts although its success was counted before.
    pub(crate) fn broke(&self) {
        let mut window = lock(&self.window);
        if self.so_far.swap(BROKE, Ordering::Relaxed) == SUCCEEDED {
            window.fail_late(Instant::now());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.window).leave();
    }
}

impl Pass {
    fn new(window: Shared, probe: bool, now: Instant) -> Self {
        let running = Running { window, so_far: AtomicU8::new(UNKNOWN) };
        Self { running: Arc::new(running), probe, started: now, reported: false }
    }

    /// What the answer keeps until its end.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.clone()
    }

    /// Whether it is the one probe of a half-open breaker.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Reports that the target did its part.
    pub fn succeed(mut self) {
        // What broke the answer may have come together with its first content.
        self.report(|so_far| Some(so_far.compare_exchange(UNKNOWN, SUCCEEDED, Ordering::Relaxed, Ordering::Relaxed).is_ok()));
    }

    /// Reports that the target failed.
    pub fn fail(mut self) {
        self.report(|_| Some(false));
    }

    /// Reports that the target's quota is used up, and when it told us to come back. No failure.
    pub fn limited(self, wait: Duration) {
        lock(&self.running.window).limit(Instant::now() + wait.min(MAX_COOLING));
    }

    /// Counts what `success` says, which is asked under the window's lock.
    fn report(&mut self, success: impl FnOnce(&AtomicU8) -> Option<bool>) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let mut window = lock(&self.running.window);
        let now = Instant::now();
        let outcome = success(&self.running.so_far).map(|success| if success { Ok(now.duration_since(self.started)) } else { Err(()) });
        window.report(now, self.probe, outcome);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.report(|_| None);
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("targets", &self.windows().len()).finish()
    }
}
