//! Keys that are checked without asking the store each time.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, timeout};

use super::{
    clock::Clock,
    format::{KeyFormat, ParsedKey},
    generations::Generations,
    known::Known,
    pepper::{Hashes, Peppers},
    record::KeyRecord,
    store::{Changed, KeyStore, KeyStoreError},
    tag::{Tag, Tagger},
    uses::Uses,
};
use crate::{
    fault::{Fault, FaultKind},
    stage::{KeyId, KeyKind, Principal},
};

/// Checks keys against one or more stores, and remembers what it read. Cheap to clone; clones share the memory.
///
/// | a key was read or refreshed | what it costs |
/// | --- | --- |
/// | less than [`fresh_for`](Self::fresh_for) ago (1 s) | a SipHash for a secret that has opened it since, else one HMAC per pepper |
/// | less than that ago, and memory would refuse the secret | one store read, for at most four secrets a key and 250 ms: it may be a new one |
/// | longer ago | one store read |
/// | longer ago, and the store does not answer | the last known answer, up to [`stale_for`](Self::stale_for) (60 s); then 503 |
///
/// [`refresh`](Self::refresh) asks the stores what changed and refreshes everything else: call it a few times a second
/// (the gateway's driver does), and a key in use costs no store read, while a change made by another process takes
/// effect within the interval. Without it keys are read once a second each.
///
/// Unknown ids are remembered by the same rules, in a memory of their own: guessing ids costs others nothing.
#[derive(Clone)]
pub struct CachedKeys {
    stores: Vec<Arc<dyn KeyStore>>,
    peppers: Peppers,
    tagger: Tagger,
    format: KeyFormat,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    stale: Duration,
    patience: Duration,
    memory: Arc<RwLock<Memory>>,
    uses: Arc<Uses>,
    refreshing: Arc<tokio::sync::Mutex<Versions>>,
}

/// The version of each store, as of the last refresh.
type Versions = Vec<Option<u64>>;

/// A key as presented: its secret only as what it hashes to.
pub(super) struct Presented {
    kid: KeyId,
    kind: KeyKind,
    hashes: Hashes,
    tag: Option<Tag>,
    /// What memory knew and would refuse it by.
    doubted: Option<Arc<Known>>,
}

/// What is remembered.
struct Memory {
    known: Generations<KeyId, (Arc<Known>, Instant)>,
    unknown: Generations<KeyId, Instant>,
    /// Of when everything remembered is known to be still true.
    refreshed: Option<Instant>,
    /// When a store last failed to answer; `None` once it did answer.
    failed: Option<Instant>,
    /// Counts the changes seen: what was being read meanwhile may be the state before.
    epoch: u64,
}

/// What memory says of a kid.
#[derive(Clone)]
enum Remembered {
    Known(Arc<Known>),
    Unknown,
}

impl CachedKeys {
    /// Checks keys in `store`.
    pub fn new(store: impl KeyStore, peppers: impl Into<Peppers>) -> Self {
        Self {
            stores: vec![Arc::new(store)],
            peppers: peppers.into(),
            tagger: Tagger::new(),
            format: KeyFormat::default(),
            clock: Arc::new(SystemTime::now),
            fresh: FRESH,
            stale: STALE,
            patience: PATIENCE,
            memory: Arc::new(RwLock::new(Memory::new(CAPACITY))),
            uses: Arc::default(),
            refreshing: Arc::default(),
        }
    }

    /// Adds a store for keys that the earlier ones do not have.
    #[must_use]
    pub fn also(mut self, store: impl KeyStore) -> Self {
        self.stores.push(Arc::new(store));
        self
    }

    /// Sets what keys look like.
    #[must_use]
    pub fn with_format(self, format: KeyFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets the clock that expiry and grace go by.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Sets for how long a key is not read again. Default: 1 s.
    #[must_use]
    pub fn fresh_for(self, fresh: Duration) -> Self {
        Self { fresh, ..self }
    }

    /// Sets how long a key works on while its store does not answer. Default: 60 s; zero disables.
    ///
    /// A key that was seen to be paused, revoked or changed is never taken on the word of an older memory.
    #[must_use]
    pub fn stale_for(self, stale: Duration) -> Self {
        Self { stale, ..self }
    }

    /// Sets how long a store may take to answer. Default: 2 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets how many keys are remembered, and as many unknown ids. Default: 65,536. Forgets all.
    #[must_use]
    pub fn remember(self, keys: usize) -> Self {
        Self { memory: Arc::new(RwLock::new(Memory::new(keys))), ..self }
    }

    /// What keys look like.
    pub fn format(&self) -> &KeyFormat {
        &self.format
    }

    /// Checks a key: who calls with it?
    ///
    /// # Errors
    /// [`FaultKind::InvalidKey`], whatever the reason; [`FaultKind::KeyStoreUnavailable`].
    pub async fn check(&self, key: ParsedKey<'_>, kind: KeyKind) -> Result<Principal, Fault> {
        match self.check_memory(key, kind) {
            Ok(answer) => answer,
            Err(presented) => self.check_store(presented).await,
        }
    }

    /// Answers from memory; else gives what [`check_store`](Self::check_store) wants.
    pub(super) fn check_memory(&self, key: ParsedKey<'_>, kind: KeyKind) -> Result<Result<Principal, Fault>, Box<Presented>> {
        if key.kind() != kind {
            return Ok(Err(FaultKind::InvalidKey.into()));
        }
        let now = Instant::now();
        let remembered = self.recall(key.kid()).filter(|(remembered, as_of)| self.holds(remembered, *as_of, now));
        let remembered = remembered.map(|(remembered, _)| remembered);
        let tag = self.tagger.tag(key.secret());
        if let (Some(Remembered::Known(known)), Some(tag)) = (&remembered, tag)
            && known.opens_again(kind, tag, || self.clock.now())
        {
            return Ok(Ok(self.accept(known)));
        }
        // Memory refuses an unknown kid no faster than a wrong secret. A wrong secret may then go on to the store, which takes
        // longer: who measures that learns that a kid is there, and a kid is no secret.
        let hashes = self.peppers.hashes(key.secret());
        let doubted = match &remembered {
            None => None,
            Some(remembered) => match (self.decide(remembered, kind, &hashes, tag), remembered) {
                (Err(_), Remembered::Known(known)) if !self.is_down(now) && known.may_be_doubted(tag, now) => Some(known.clone()),
                (answer, _) => return Ok(answer),
            },
        };
        Err(Box::new(Presented { kid: key.kid().into(), kind, hashes, tag, doubted }))
    }

    /// Answers from the store, or from an older memory if it does not answer.
    pub(super) async fn check_store(&self, presented: Box<Presented>) -> Result<Principal, Fault> {
        let Presented { kid, kind, hashes, tag, doubted } = *presented;
        // Of those whom memory would refuse, one asks and the others wait for it.
        let mut turn = None;
        if let Some(doubted) = &doubted {
            let mut doubts = doubted.turn().await;
            let now = Instant::now();
            // What changed meanwhile is forgotten, and only the store knows it: everybody asks, as for any key that is not fresh.
            if let Some((remembered, _)) = self.recall(kid.as_str()).filter(|(remembered, as_of)| self.holds(remembered, *as_of, now)) {
                let answer = self.decide(&remembered, kind, &hashes, tag);
                if answer.is_ok() || self.is_down(now) || !doubts.allow(tag, now) {
                    return answer;
                }
                turn = Some(doubts);
            }
        }
        let epoch = self.memory().epoch;
        let asked = Instant::now();
        let remembered = match self.find(&kid).await {
            Ok(record) => self.remember_at(kid, record, asked, epoch),
            Err(error) => {
                self.failed(&error);
                return match self.recall(kid.as_str()) {
                    Some((known @ Remembered::Known(_), as_of)) if as_of.elapsed() < self.stale => self.decide(&known, kind, &hashes, tag),
                    _ => Err(Fault::new(FaultKind::KeyStoreUnavailable).with_retry_after(RETRY).with_source(error)),
                };
            }
        };
        let answer = self.decide(&remembered, kind, &hashes, tag);
        if answer.is_err() {
            // Not before: a secret that nobody has refused is not held to be wrong.
            match (&mut turn, &remembered) {
                (Some(doubts), _) => doubts.note(tag, Instant::now()),
                (None, Remembered::Known(known)) => known.refused(tag),
                (None, Remembered::Unknown) => {}
            }
        }
        answer
    }

    /// Asks the stores what changed, and now and then tells them which keys were used.
    ///
    /// # Errors
    /// A store did not answer. Keys go on working as [`stale_for`](Self::stale_for) says.
    pub async fn refresh(&self) -> Result<(), KeyStoreError> {
        let asked = Instant::now();
        self.follow(asked).await.inspect_err(|error| self.failed(error))?;
        if self.uses.are_due(asked) { self.flush().await } else { Ok(()) }
    }

    /// Forgets what changed. The rest is then as good as read when `asked`.
    async fn follow(&self, asked: Instant) -> Result<(), KeyStoreError> {
        let mut versions = self.refreshing.lock().await;
        versions.resize(self.stores.len(), None);
        for (store, version) in self.stores.iter().zip(versions.iter_mut()) {
            let changes = self.patiently(store.changes(*version)).await?;
            *version = Some(changes.version);
            self.memory_mut().forget(&changes.keys);
        }
        self.memory_mut().refreshed_at(asked);
        Ok(())
    }

    /// Tells the stores which keys were used since the last time. For a shutdown; else [`refresh`](Self::refresh) does it.
    ///
    /// # Errors
    /// A store did not answer; the uses are kept for the next time.
    pub async fn flush(&self) -> Result<(), KeyStoreError> {
        let batch = self.uses.take();
        if batch.is_empty() {
            return Ok(());
        }
        for store in &self.stores {
            if let Err(error) = self.patiently(store.used(batch.uses())).await {
                self.uses.put_back(batch);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether what is remembered may be answered with.
    fn holds(&self, remembered: &Remembered, as_of: Instant, now: Instant) -> bool {
        let age = now.saturating_duration_since(as_of);
        // While the store is known not to answer, callers of known keys do not wait to hear it again.
        age < self.fresh || (matches!(remembered, Remembered::Known(_)) && age < self.stale && self.is_down(now))
    }

    /// Whether the store failed to answer a moment ago.
    fn is_down(&self, now: Instant) -> bool {
        self.memory().failed.is_some_and(|failed| now.saturating_duration_since(failed) < RETRY)
    }

    fn decide(&self, remembered: &Remembered, kind: KeyKind, hashes: &Hashes, tag: Option<Tag>) -> Result<Principal, Fault> {
        match remembered {
            Remembered::Known(known) if known.opens(kind, hashes, tag, || self.clock.now()) => Ok(self.accept(known)),
            _ => Err(FaultKind::InvalidKey.into()),
        }
    }

    fn accept(&self, known: &Arc<Known>) -> Principal {
        self.uses.note(known, || self.clock.now());
        known.principal.clone()
    }

    fn recall(&self, kid: &str) -> Option<(Remembered, Instant)> {
        let memory = self.memory();
        let known = memory.known.get(kid).map(|((known, read), old)| (Remembered::Known(known.clone()), *read, old));
        let (remembered, read, old) = known.or_else(|| memory.unknown.get(kid).map(|(read, old)| (Remembered::Unknown, *read, old)))?;
        let as_of = memory.refreshed.map_or(read, |refreshed| read.max(refreshed));
        drop(memory);
        if old {
            let mut memory = self.memory_mut();
            memory.known.keep(kid);
            memory.unknown.keep(kid);
        }
        Some((remembered, as_of))
    }

    fn remember_at(&self, kid: KeyId, record: Option<KeyRecord>, asked: Instant, epoch: u64) -> Remembered {
        let mut memory = self.memory_mut();
        memory.failed = None;
        let before = memory.known.get(&kid).map(|((known, _), _)| &**known);
        let remembered = record.map_or(Remembered::Unknown, |record| Remembered::Known(Arc::new(Known::new(record, before))));
        if memory.epoch == epoch {
            match &remembered {
                Remembered::Known(known) => {
                    memory.unknown.remove(&kid);
                    memory.known.insert(kid, (known.clone(), asked));
                }
                Remembered::Unknown => {
                    memory.known.remove(&kid);
                    memory.unknown.insert(kid, asked);
                }
            }
        }
        remembered
    }

    async fn find(&self, kid: &KeyId) -> Result<Option<KeyRecord>, KeyStoreError> {
        for store in &self.stores {
            if let Some(record) = self.patiently(store.find(kid)).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Notes that a store does not answer; the first time it is worth a line to the operator.
    fn failed(&self, error: &KeyStoreError) {
        if self.memory_mut().failed.replace(Instant::now()).is_none() {
            let cause = std::error::Error::source(error);
            tracing::warn!(cause, "the key store does not answer");
        }
    }

    async fn patiently<T>(&self, answer: impl Future<Output = Result<T, KeyStoreError>>) -> Result<T, KeyStoreError> {
        timeout(self.patience, answer).await.unwrap_or_else(|elapsed| Err(KeyStoreError::new(elapsed)))
    }

    fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn new(capacity: usize) -> Self {
        Self { known: Generations::new(capacity), unknown: Generations::new(capacity), refreshed: None, failed: None, epoch: 0 }
    }

    fn refreshed_at(&mut self, asked: Instant) {
        self.refreshed = Some(asked);
        self.failed = None;
    }

    fn forget(&mut self, changed: &Changed) {
        match changed {
            Changed::Any => {
                self.known.clear();
                self.unknown.clear();
            }
            Changed::These(kids) if kids.is_empty() => return,
            Changed::These(kids) => kids.iter().for_each(|kid| {
                self.known.remove(kid);
                self.unknown.remove(kid);
            }),
        }
        self.epoch = self.epoch.wrapping_add(1);
    }
}

impl fmt::Debug for CachedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKeys")
            .field("stores", &self.stores.len())
            .field("format", &self.format)
            .field("fresh", &self.fresh)
            .field("stale", &self.stale)
            .finish_non_exhaustive()
    }
}

const FRESH: Duration = Duration::from_secs(1);
const STALE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(2);
const CAPACITY: usize = 65_536;
/// How long a store that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);
