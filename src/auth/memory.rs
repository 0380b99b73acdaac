//! Keys in memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    record::{Applied, KeyAudit, KeyChange, KeyRecord},
    store::{Changed, KeyChanges, KeyFuture, KeyRegister, KeyRegisterError, KeyStore, KeyStoreError, KeyUse},
};
use crate::stage::KeyId;

/// Keys in memory, for fixed keys of a configuration and for tests. Cheap to clone; clones share the keys.
#[derive(Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<Register>>);

#[derive(Default)]
struct Register {
    keys: HashMap<KeyId, KeyRecord>,
    /// Its length is the version.
    audit: Vec<KeyAudit>,
}

impl MemoryKeys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    fn apply(&mut self, change: &KeyChange) -> Result<KeyRecord, KeyRegisterError> {
        let applied = change.apply(self.keys.get(&change.kid).cloned())?;
        match &applied {
            Applied::Kept(record) => self.keys.insert(change.kid.clone(), record.clone()),
            Applied::Gone(_) => self.keys.remove(&change.kid),
        };
        self.audit.push(change.audit());
        Ok(applied.into_record())
    }

    fn changes(&self, since: Option<u64>) -> KeyChanges {
        let new = since.and_then(|since| self.audit.get(usize::try_from(since).ok()?..));
        let keys = new.map_or(Changed::Any, |new| Changed::These(new.iter().map(|entry| entry.kid.clone()).collect()));
        KeyChanges { version: self.audit.len() as u64, keys }
    }
}

/// Collects keys as they are, without an audit.
impl FromIterator<KeyRecord> for MemoryKeys {
    fn from_iter<I: IntoIterator<Item = KeyRecord>>(records: I) -> Self {
        let keys = records.into_iter().map(|record| (record.kid.clone(), record)).collect();
        Self(Arc::new(Mutex::new(Register { keys, audit: Vec::new() })))
    }
}

impl KeyStore for MemoryKeys {
    fn find<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Option<KeyRecord>, KeyStoreError>> {
        Box::pin(async move { Ok(self.register().keys.get(kid).cloned()) })
    }

    fn changes(&self, since: Option<u64>) -> KeyFuture<'_, Result<KeyChanges, KeyStoreError>> {
        Box::pin(async move { Ok(self.register().changes(since)) })
    }

    fn used(&self, uses: Vec<KeyUse>) -> KeyFuture<'_, Result<(), KeyStoreError>> {
        Box::pin(async move {
            let mut register = self.register();
            for KeyUse { kid, at } in uses {
                if let Some(record) = register.keys.get_mut(&kid) {
                    record.last_used = record.last_used.max(Some(at));
                }
            }
            Ok(())
        })
    }
}

impl KeyRegister for MemoryKeys {
    fn apply(&self, change: KeyChange) -> KeyFuture<'_, Result<KeyRecord, KeyRegisterError>> {
        Box::pin(async move { self.register().apply(&change) })
    }

    fn list<'a>(&'a self, workspace: Option<&'a str>) -> KeyFuture<'a, Result<Vec<KeyRecord>, KeyStoreError>> {
        Box::pin(async move {
            let register = self.register();
            let listed = |record: &&KeyRecord| workspace.is_none_or(|workspace| record.workspace == workspace);
            let mut records: Vec<_> = register.keys.values().filter(listed).cloned().collect();
            records.sort_by(|a, b| (a.created, &a.kid).cmp(&(b.created, &b.kid)));
            Ok(records)
        })
    }

    fn audit<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Vec<KeyAudit>, KeyStoreError>> {
        Box::pin(async move { Ok(self.register().audit.iter().filter(|entry| entry.kid == *kid).cloned().collect()) })
    }
}

impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryKeys({})", self.register().keys.len())
    }
}
