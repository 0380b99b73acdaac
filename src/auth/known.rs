//! A key that is there, as it is remembered.

use std::{
    sync::{OnceLock, atomic::AtomicBool},
    time::SystemTime,
};

use subtle::ConstantTimeEq;

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
}

impl Known {
    pub(super) fn new(record: KeyRecord) -> Self {
        let tags = record.hashes.iter().map(|_| OnceLock::new()).collect();
        Self { principal: record.principal(), record, tags, noted: AtomicBool::new(false) }
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
