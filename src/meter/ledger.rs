//! Where records go.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Record;
use crate::{
    dialect::Usage,
    fault::{Fault, FaultKind},
    stage::{GenerationId, Intent, Principal},
};

/// Keeps the books: told before each attempt, and once when the call is over.
///
/// All methods are called on the request path, those that settle and commit also from `Drop`: they must not block on a
/// database. A closure `Fn(Record)` is a ledger, `()` is one that forgets.
///
/// A ledger on disk may write what several calls say in one go. It has `queue_intent` and `queue_settlement`, which only
/// put an entry in line, and [`commit`](Self::commit), which writes the line: between the two, calls that are ready at the
/// same time queue theirs. Other ledgers leave these as they are.
///
/// ```
/// use portcullis::meter::{Ledger, Record};
///
/// struct Printer;
///
/// impl Ledger for Printer {
///     fn settle(&self, record: Record) {
///         println!("{} cost {} nano-USD", record.request_id, record.cost_nanos);
///     }
/// }
/// ```
pub trait Ledger: Send + Sync + 'static {
    /// An attempt is about to be dispatched. The price is the one that `intent.target` holds.
    ///
    /// # Errors
    /// The attempt is not dispatched: a ledger that cannot write says
    /// [`LedgerUnavailable`](crate::fault::FaultKind::LedgerUnavailable), one that counts budgets whatever is used up.
    fn intend(&self, intent: &Intended<'_>) -> Result<(), Fault> {
        let _ = intent;
        Ok(())
    }

    /// The call is over. Said once per call, before its last bytes are handed out.
    fn settle(&self, record: Record);

    /// As [`intend`](Self::intend), but that the entry may wait in line: `Some` is [committed](Self::commit) before the
    /// attempt is dispatched, `None` is written.
    ///
    /// # Errors
    /// As for [`intend`](Self::intend).
    fn queue_intent(&self, intent: &Intended<'_>) -> Result<Option<Queued>, Fault> {
        self.intend(intent).map(|()| None)
    }

    /// As [`settle`](Self::settle), but that the entry may wait in line: `Some` is [committed](Self::commit) before the
    /// call's last bytes are handed out, `None` is written.
    fn queue_settlement(&self, record: Record) -> Option<Queued> {
        self.settle(record);
        None
    }

    /// Writes the entry, if that has not happened since. The intent of a call that is dropped before this is never
    /// committed: it is for the ledger to write it some time. A ledger that queues has this method too; without it no
    /// attempt is dispatched.
    ///
    /// # Errors
    /// The entry could not be written: an intent's attempt is not dispatched, a settlement is for the ledger to keep.
    fn commit(&self, queued: Queued) -> Result<(), Fault> {
        let _ = queued;
        Err(FaultKind::LedgerUnavailable.into())
    }
}

/// A place in a ledger's line: for its [`commit`](Ledger::commit), once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is queued is to be committed"]
pub struct Queued(u64);

impl Queued {
    /// The place that the ledger calls `number`.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// What the ledger calls it.
    pub fn number(&self) -> u64 {
        self.0
    }
}

/// An attempt about to be dispatched, and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Intended<'a> {
    /// The attempt.
    pub intent: Intent<'a>,
    /// Who is calling.
    pub principal: &'a Principal,
    /// What it will use at least, estimated from the payload's size.
    pub estimate: Usage,
}

impl Ledger for () {
    fn settle(&self, _: Record) {}
}

impl<F: Fn(Record) + Send + Sync + 'static> Ledger for F {
    fn settle(&self, record: Record) {
        self(record);
    }
}

impl<L: Ledger + ?Sized> Ledger for Arc<L> {
    fn intend(&self, intent: &Intended<'_>) -> Result<(), Fault> {
        (**self).intend(intent)
    }

    fn settle(&self, record: Record) {
        (**self).settle(record);
    }

    fn queue_intent(&self, intent: &Intended<'_>) -> Result<Option<Queued>, Fault> {
        (**self).queue_intent(intent)
    }

    fn queue_settlement(&self, record: Record) -> Option<Queued> {
        (**self).queue_settlement(record)
    }

    fn commit(&self, queued: Queued) -> Result<(), Fault> {
        (**self).commit(queued)
    }
}

/// A ledger in memory: the newest records, for tests and for hosts that only want to look. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    kept: usize,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    records: VecDeque<Record>,
    intents: u64,
}

impl MemoryLedger {
    /// Keeps the newest `kept` records.
    pub fn new(kept: usize) -> Self {
        Self { kept, books: Arc::default() }
    }

    /// The records kept, the oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.books().records.iter().cloned().collect()
    }

    /// The record of a call, if it is kept.
    pub fn find(&self, id: &GenerationId) -> Option<Record> {
        self.books().records.iter().rev().find(|record| record.request_id == *id).cloned()
    }

    /// How many attempts were announced so far.
    pub fn intents(&self) -> u64 {
        self.books().intents
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps 10,000 records.
impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Ledger for MemoryLedger {
    fn intend(&self, _: &Intended<'_>) -> Result<(), Fault> {
        self.books().intents += 1;
        Ok(())
    }

    fn settle(&self, record: Record) {
        let mut books = self.books();
        while books.records.len() >= self.kept.max(1) {
            books.records.pop_front();
        }
        books.records.push_back(record);
    }
}
