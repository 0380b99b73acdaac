//! A key that is there, as it is remembered.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use smallvec::SmallVec;
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
    /// What the store was asked because memory would refuse a caller; held while that goes on. One line for the key, however
    /// often it is read again.
    doubts: Arc<Mutex<Doubts>>,
}

/// Secrets that memory refuses and the store has refused as well. A secret just made is in doubt once and then opens its key;
/// wrong ones, however many and however often they come, reach the store a few times an interval.
#[derive(Default)]
pub(super) struct Doubts {
    tags: SmallVec<[Option<Tag>; DOUBTS]>,
    /// When the store last refused one.
    last: Option<Instant>,
}

/// How long the store's answer stands: it is asked as often what changed.
const DOUBT: Duration = Duration::from_millis(250);
/// How many secrets of one key may be in doubt in that time.
const DOUBTS: usize = 4;

impl Doubts {
    /// Whether the store may be asked about the secret tagged `tag`. Here alone an interval ends: however slowly the store
    /// answers, those who wait meanwhile are counted in one.
    pub(super) fn allow(&mut self, tag: Option<Tag>, now: Instant) -> bool {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= DOUBT) {
            self.tags.clear();
        }
        let refused = || {
            self.tags.iter().any(|refused| match (refused, &tag) {
                (Some(refused), Some(tag)) => refused.ct_eq(tag).into(),
                (refused, tag) => refused.is_none() && tag.is_none(),
            })
        };
        self.tags.len() < DOUBTS && !refused()
    }

    /// Notes that the store was asked about a secret it was allowed to be asked about, and refuses it.
    pub(super) fn note(&mut self, tag: Option<Tag>, now: Instant) {
        self.tags.push(tag);
        self.last = Some(now);
    }
}

impl Known {
    /// A key just read; `before` is how it was remembered.
    pub(super) fn new(record: KeyRecord, before: Option<&Self>) -> Self {
        let doubts = before.map(|before| before.doubts.clone()).unwrap_or_default();
        let tags = record.hashes.iter().map(|_| OnceLock::new()).collect();
        Self { principal: record.principal(), record, tags, noted: AtomicBool::new(false), doubts }
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

    /// Whether the store may be asked about a secret that memory refuses, or is being asked.
    pub(super) fn may_be_doubted(&self, tag: Option<Tag>, now: Instant) -> bool {
        self.doubts.try_lock().map_or(true, |mut doubts| doubts.allow(tag, now))
    }

    /// The turn to ask the store, kept while it is asked.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().await
    }

    /// Notes that the store refuses a secret that it was asked about out of turn.
    pub(super) fn refused(&self, tag: Option<Tag>) {
        let now = Instant::now();
        if let Ok(mut doubts) = self.doubts.try_lock()
            && doubts.allow(tag, now)
        {
            doubts.note(tag, now);
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
