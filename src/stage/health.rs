//! How targets are doing, from the outcomes of real calls.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::catalog::Target;

/// Sliding windows of upstream outcomes and a breaker, per target. Cheap to clone; clones share it.
///
/// Only what a provider did counts: not a caller's mistake, not a hang-up.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<HashMap<Key, Window>>>);

/// Provider and model.
type Key = (Arc<str>, Arc<str>);

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

/// How far back the window reaches, in slots of [`SLOT`].
const SLOTS: usize = 6;
const SLOT: Duration = Duration::from_secs(5);
/// Fewer calls than this in the window open no breaker.
const MIN_CALLS: u32 = 20;
/// How long an open breaker stays shut before a probe.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// What callers are told to wait while a probe is out.
pub(crate) const PROBE_WAIT: Duration = Duration::from_secs(1);
/// The longest that a provider's `Retry-After` keeps its quota shut here.
const MAX_COOLING: Duration = Duration::from_secs(30);
/// Latencies kept for the percentiles.
const SAMPLES: usize = 64;
/// The most targets watched at a time: behind a wildcard, callers make up the models' names.
const MOST: usize = 1024;

struct Window {
    slots: [(u32, u32); SLOTS],
    /// The slot that `slots[0]` is, counted from `epoch`.
    newest: u64,
    epoch: Instant,
    opened: Option<Instant>,
    limited_until: Option<Instant>,
    probing: bool,
    running: u32,
    samples: Vec<u32>,
    next_sample: usize,
}

impl Health {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `target`'s breaker lets through now.
    pub fn breaker(&self, target: &Target) -> Breaker {
        let now = Instant::now();
        self.windows().get(&key(target)).map_or(Breaker::Closed, |window| window.breaker(now))
    }

    /// Starts a call at `target`, if its breaker and its quota let it through. Drop the pass without a report and
    /// nothing counts.
    ///
    /// # Errors
    /// Why not, and for how long.
    pub fn admit(&self, target: &Target) -> Result<Pass, Closed> {
        let now = Instant::now();
        let key = key(target);
        let mut windows = self.windows();
        if windows.len() >= MOST && !windows.contains_key(&key) {
            windows.retain(|_, window| !window.is_idle(now));
            if windows.len() >= MOST {
                return Ok(Pass::new(&Self::new(), key, false, now));
            }
        }
        let window = windows.entry(key.clone()).or_insert_with(|| Window::new(now));
        if let Some(wait) = window.limited_until.and_then(|until| until.checked_duration_since(now)).filter(|wait| !wait.is_zero()) {
            return Err(Closed::Limited(wait));
        }
        let probe = match window.breaker(now) {
            Breaker::Closed => false,
            Breaker::HalfOpen if !window.probing => true,
            Breaker::HalfOpen => return Err(Closed::Breaker(PROBE_WAIT)),
            Breaker::Open(wait) => return Err(Closed::Breaker(wait)),
        };
        window.probing |= probe;
        window.running += 1;
        drop(windows);
        Ok(Pass::new(self, key, probe, now))
    }

    /// All targets that were called, by name.
    pub fn vitals(&self) -> Vec<Vitals> {
        let now = Instant::now();
        let mut windows = self.windows();
        let mut all: Vec<_> = windows.iter_mut().map(|((provider, model), window)| window.vitals(provider, model, now)).collect();
        all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    health: Health,
    key: Key,
    so_far: AtomicU8,
}

/// What is known of a running call: nothing, that the target did its part up to the commit point, that it failed.
const UNKNOWN: u8 = 0;
const SUCCEEDED: u8 = 1;
const BROKE: u8 = 2;

impl Running {
    /// Says that the target failed. Behind the commit point this counts although its success was counted before.
    pub(crate) fn broke(&self) {
        if self.so_far.swap(BROKE, Ordering::AcqRel) == SUCCEEDED
            && let Some(window) = self.health.windows().get_mut(&self.key)
        {
            window.fail_late(Instant::now());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(window) = self.health.windows().get_mut(&self.key) {
            window.running = window.running.saturating_sub(1);
        }
    }
}

impl Pass {
    fn new(health: &Health, key: Key, probe: bool, now: Instant) -> Self {
        let running = Running { health: health.clone(), key, so_far: AtomicU8::new(UNKNOWN) };
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
        let so_far = &self.running.so_far;
        // What broke the answer may have come together with its first content.
        let whole = so_far.compare_exchange(UNKNOWN, SUCCEEDED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.report(Some(whole));
    }

    /// Reports that the target failed.
    pub fn fail(mut self) {
        self.report(Some(false));
    }

    /// Reports that the target's quota is used up, and when it told us to come back. No failure.
    pub fn limited(self, wait: Duration) {
        if let Some(window) = self.running.health.windows().get_mut(&self.running.key) {
            window.limited_until = Some(Instant::now() + wait.min(MAX_COOLING));
        }
    }

    fn report(&mut self, success: Option<bool>) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let now = Instant::now();
        let mut windows = self.running.health.windows();
        let Some(window) = windows.get_mut(&self.running.key) else { return };
        window.probing &= !self.probe;
        match success {
            Some(true) => {
                window.count(now, true);
                window.sample(now.duration_since(self.started));
                if self.probe {
                    window.opened = None;
                    window.slots = [(0, 0); SLOTS];
                }
            }
            Some(false) => {
                window.count(now, false);
                if self.probe || window.should_open() {
                    window.opened = Some(now);
                }
            }
            None => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.report(None);
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            slots: [(0, 0); SLOTS],
            newest: 0,
            epoch: now,
            opened: None,
            limited_until: None,
            probing: false,
            running: 0,
            samples: Vec::new(),
            next_sample: 0,
        }
    }

    fn breaker(&self, now: Instant) -> Breaker {
        match self.opened {
            None => Breaker::Closed,
            Some(opened) => match OPEN_FOR.checked_sub(now.duration_since(opened)) {
                Some(wait) if !wait.is_zero() => Breaker::Open(wait),
                _ => Breaker::HalfOpen,
            },
        }
    }

    fn count(&mut self, now: Instant, success: bool) {
        self.turn(now);
        let (calls, failures) = &mut self.slots[0];
        *calls = calls.saturating_add(1);
        *failures = failures.saturating_add(u32::from(!success));
    }

    /// Moves the window to `now`.
    fn turn(&mut self, now: Instant) {
        let slot = now.duration_since(self.epoch).as_secs() / SLOT.as_secs();
        let steps = usize::try_from(slot.saturating_sub(self.newest)).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_right(steps);
        self.slots[..steps].fill((0, 0));
        self.newest = self.newest.max(slot);
    }

    /// Makes a failure of a call that was counted as a success.
    fn fail_late(&mut self, now: Instant) {
        self.turn(now);
        let (calls, failures) = self.sums();
        let [(newest_calls, newest_failures), ..] = &mut self.slots;
        // Its success may have left the window since.
        *newest_calls = newest_calls.saturating_add(u32::from(failures >= calls));
        *newest_failures = newest_failures.saturating_add(1);
        if self.should_open() {
            self.opened = Some(now);
        }
    }

    /// Whether nothing would be lost by forgetting it.
    fn is_idle(&mut self, now: Instant) -> bool {
        self.turn(now);
        let limited = self.limited_until.is_some_and(|until| until > now);
        self.running == 0 && self.opened.is_none() && !limited && self.sums().0 == 0
    }

    fn sums(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(calls, failures), slot| (calls.saturating_add(slot.0), failures.saturating_add(slot.1)))
    }

    fn should_open(&self) -> bool {
        let (calls, failures) = self.sums();
        calls >= MIN_CALLS && failures.saturating_mul(2) >= calls
    }

    fn sample(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        match self.samples.get_mut(self.next_sample) {
            Some(sample) => *sample = micros,
            None => self.samples.push(micros),
        }
        self.next_sample = (self.next_sample + 1) % SAMPLES;
    }

    fn vitals(&mut self, provider: &Arc<str>, model: &Arc<str>, now: Instant) -> Vitals {
        self.turn(now);
        let (calls, failures) = self.sums();
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let percentile = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).map(|micros| Duration::from_micros(u64::from(*micros)))
        };
        Vitals {
            provider: provider.clone(),
            model: model.clone(),
            breaker: self.breaker(now),
            calls,
            failures,
            running: self.running,
            p50: percentile(50),
            p95: percentile(95),
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("targets", &self.windows().len()).finish()
    }
}
