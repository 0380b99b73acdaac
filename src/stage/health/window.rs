//! What is remembered of one target.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Breaker, Closed, PROBE_WAIT, Vitals};

/// How far back the window reaches, in slots of [`SLOT`].
const SLOTS: usize = 6;
const SLOT: Duration = Duration::from_secs(5);
/// Fewer calls than this in the window open no breaker.
const MIN_CALLS: u32 = 20;
/// How long an open breaker stays shut before a probe.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// Latencies kept for the percentiles.
const SAMPLES: usize = 64;

/// A sliding window of outcomes, and what follows of them.
#[derive(Debug)]
pub(super) struct Window {
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

impl Window {
    pub(super) fn new(now: Instant) -> Self {
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

    /// What it lets through.
    pub(super) fn breaker(&self, now: Instant) -> Breaker {
        match self.opened {
            None => Breaker::Closed,
            Some(opened) => match OPEN_FOR.checked_sub(now.duration_since(opened)) {
                Some(wait) if !wait.is_zero() => Breaker::Open(wait),
                _ => Breaker::HalfOpen,
            },
        }
    }

    /// Lets a call in, and says whether it is a breaker's probe.
    pub(super) fn admit(&mut self, now: Instant) -> Result<bool, Closed> {
        if let Some(wait) = self.limited_until.and_then(|until| until.checked_duration_since(now)).filter(|wait| !wait.is_zero()) {
            return Err(Closed::Limited(wait));
        }
        let probe = match self.breaker(now) {
            Breaker::Closed => false,
            Breaker::HalfOpen if !self.probing => true,
            Breaker::HalfOpen => return Err(Closed::Breaker(PROBE_WAIT)),
            Breaker::Open(wait) => return Err(Closed::Breaker(wait)),
        };
        self.probing |= probe;
        self.running += 1;
        Ok(probe)
    }

    /// Hears how a call did up to its commit point: how long that took, that it failed, or neither.
    pub(super) fn report(&mut self, now: Instant, probe: bool, outcome: Option<Result<Duration, ()>>) {
        self.probing &= !probe;
        match outcome {
            Some(Ok(latency)) => {
                self.count(now, true);
                self.sample(latency);
                if probe {
                    self.opened = None;
                    self.slots = [(0, 0); SLOTS];
                }
            }
            Some(Err(())) => {
                self.count(now, false);
                if probe || self.should_open() {
                    self.opened = Some(now);
                }
            }
            None => {}
        }
    }

    /// Lets no call in until then, or until later if it was told so before.
    pub(super) fn limit(&mut self, until: Instant) {
        self.limited_until = self.limited_until.max(Some(until));
    }

    /// Sees a call end that was let in.
    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
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
    pub(super) fn fail_late(&mut self, now: Instant) {
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
    pub(super) fn is_idle(&mut self, now: Instant) -> bool {
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

    pub(super) fn vitals(&mut self, provider: &Arc<str>, model: &Arc<str>, now: Instant) -> Vitals {
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
