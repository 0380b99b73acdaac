//! A key that is there, as it is remembered.

use std::{
    sync::{OnceLock, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use subtle::ConstantTimeEq;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use super::{
    pepper::Hashes,
    record::{KeyRecord, KeyStatus, SecretHash},
    tag::Tag,
};
use crate::stage::{KeyId, KeyKind, Principal};

/// A key as its store had it, and by what its secrets are known again.
pub(super) struct Known {
    record: KeyRecord,
    /// The tag of each of its secrets, once that has opened it.
    tags: Vec<OnceLock<Tag>>,
    pub(super) principal: Principal,
    /// Whether a use of it waits to be noted.
    pub(super) noted: AtomicBool,
    /// When the store was last asked because it would refuse a caller; held while that goes on.
    doubted: Mutex<Option<Instant>>,
}

/// How often the store may be asked whether a refusal still holds: as often as it is asked what changed.
const DOUBT: Duration = Duration::from_millis(250);

impl Known {
    pub(super) fn new(record: KeyRecord) -> Self {
        let tags = record.hashes.iter().map(|_| OnceLock::new()).collect();
        Self { principal: record.principal(), record, tags, noted: AtomicBool::new(false), doubted: Mutex::default() }
    }

    pub(super) fn kid(&self) -> &KeyId {
        &self.record.kid
    }

    /// Whether the secret tagged `tag` opens the key at `now`, as it did before.
    pub(super) fn opens_again(&self, kind: KeyKind, tag: Tag, now: impl Fn() -> SystemTime) -> bool {
        let mut secrets = self.secrets(&now);
        secrets.any(|(_, known)| known.get().is_some_and(|known| known.ct_eq(&tag).into())) && self.works(kind, &now)
    }

    /// Whether one of `hashes` opens the key at `now`. All are compared, whichever matches. From then on the secret is known
    /// by its tag.
    pub(super) fn opens(&self, kind: KeyKind, hashes: &Hashes, tag: Option<Tag>, now: impl Fn() -> SystemTime) -> bool {
        let mut matched = None;
        for (secret, known) in self.secrets(&now) {
            for hash in hashes {
                if secret.hash.ct_eq(hash).into() {
                    matched = Some(known);
                }
            }
        }
        if let (Some(known), Some(tag)) = (matched, tag) {
            let _ = known.set(tag);
        }
        matched.is_some() && self.works(kind, &now)
    }

    /// Whether the store may say otherwise by `now`, or is being asked.
    pub(super) fn may_be_doubted(&self, now: Instant) -> bool {
        self.doubted.try_lock().map_or(true, |doubted| is_old(*doubted, now))
    }

    /// The turn to ask the store, kept while it is asked; `None` if somebody else did, just before.
    pub(super) async fn doubt(&self) -> Option<MutexGuard<'_, Option<Instant>>> {
        let mut doubted = self.doubted.lock().await;
        let now = Instant::now();
        is_old(*doubted, now).then(|| {
            *doubted = Some(now);
            doubted
        })
    }

    /// Notes that the store itself refuses a caller, as of `asked`.
    pub(super) fn confirmed(&self, asked: Instant) {
        // Whoever holds it is asking again.
        if let Ok(mut doubted) = self.doubted.try_lock() {
            *doubted = Some(asked);
        }
    }

    /// The secrets that are good at `now`. The time is asked only where it matters.
    fn secrets(&self, now: &impl Fn() -> SystemTime) -> impl Iterator<Item = (&SecretHash, &OnceLock<Tag>)> {
        let secrets = self.record.hashes.iter().zip(&self.tags);
        secrets.filter(move |(secret, _)| secret.until.is_none_or(|until| now() < until))
    }

    fn works(&self, kind: KeyKind, now: &impl Fn() -> SystemTime) -> bool {
        let lasts = self.record.expires.is_none_or(|expires| now() < expires);
        lasts && self.record.status == KeyStatus::Active && self.record.kind == kind
    }
}

fn is_old(doubted: Option<Instant>, now: Instant) -> bool {
    doubted.is_none_or(|doubted| now.saturating_duration_since(doubted) >= DOUBT)
}
