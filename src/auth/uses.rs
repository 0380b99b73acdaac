//! When keys were last used, gathered for the store.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{known::Known, store::KeyUse};

/// The uses since the last flush: the first of each key. A key in heavy use is noted once per period, without a lock
/// for all its other calls.
#[derive(Default)]
pub(super) struct Uses(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    batch: Vec<Use>,
    taken: Option<Instant>,
}

type Use = (Arc<Known>, SystemTime);

/// The uses of one period.
pub(super) struct Batch(Vec<Use>);

impl Uses {
    pub(super) fn note(&self, known: &Arc<Known>, now: impl FnOnce() -> SystemTime) {
        // The load keeps a hot key's cache line shared between cores.
        if !known.noted.load(Ordering::Relaxed) && !known.noted.swap(true, Ordering::Relaxed) {
            self.gathered().push((known.clone(), now()));
        }
    }

    /// Whether there is something to tell the store, and it was left alone for long enough.
    pub(super) fn are_due(&self, now: Instant) -> bool {
        let gathered = self.gathered();
        let rested = gathered.taken.is_none_or(|taken| now.saturating_duration_since(taken) >= PERIOD);
        rested && !gathered.batch.is_empty()
    }

    pub(super) fn take(&self) -> Batch {
        let mut gathered = self.gathered();
        gathered.taken = Some(Instant::now());
        let batch = mem::take(&mut gathered.batch);
        drop(gathered);
        batch.iter().for_each(|(known, _)| known.noted.store(false, Ordering::Relaxed));
        Batch(batch)
    }

    /// Keeps a batch that the store did not take; keys used again since are in the next one anyway.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut gathered = self.gathered();
        batch.0.into_iter().filter(|(known, _)| !known.noted.swap(true, Ordering::Relaxed)).for_each(|used| gathered.push(used));
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    /// While a store is away for long, the uses past a limit are not kept: they are for people to look at.
    fn push(&mut self, used: Use) {
        if self.batch.len() < LIMIT {
            self.batch.push(used);
        }
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn uses(&self) -> Vec<KeyUse> {
        self.0.iter().map(|(known, at)| KeyUse { kid: known.kid().clone(), at: *at }).collect()
    }
}

const PERIOD: Duration = Duration::from_secs(10);
const LIMIT: usize = 65_536;
