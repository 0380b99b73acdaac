//! The journal: every call's record, on disk before its caller has seen the end.

mod entry;
mod error;
mod folder;
mod intent;
mod queue;
mod read;
mod refusals;
mod replay;
mod shipper;
mod writer;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use self::{entry::Kind, folder::Folder, queue::Queue, read::Portion, refusals::Refusals, writer::Writer};
pub use self::{error::JournalError, shipper::Shipper};
use super::{Position, rows};
use crate::{
    dialect::Usage,
    fault::{Fault, FaultKind},
    meter::{Intended, Ledger, Queued, Record},
};

/// A [`Ledger`] in a folder of files: an entry per attempt announced and per call settled. Cheap to clone; clones share it.
///
/// Entries are in the operating system's hands when [`intend`](Ledger::intend), [`settle`](Ledger::settle) or
/// [`commit`](Ledger::commit) returns: they outlive the process, also one killed by signal 9. What several calls queued
/// before one of them commits is one `write`: on a busy server most entries share theirs. [`sync`](JournalBuilder::sync)
/// makes them outlive a power loss; without it a power loss takes what the system had not written back yet, and nothing
/// else.
///
/// One process at a time has a folder open. Opening reads what an earlier one left: attempts that it announced and never
/// settled become records, as [`unsettled`](JournalBuilder::unsettled) says. A [`Shipper`] takes records to a database and
/// deletes what it no longer needs.
///
/// A journal that cannot be written refuses attempts
/// ([`LedgerUnavailable`](crate::fault::FaultKind::LedgerUnavailable), a 503). Calls that run at that time are kept in
/// memory, up to 64 MiB, and written when that works again.
///
/// ```
/// # fn main() -> Result<(), portcullis::store::JournalError> {
/// use portcullis::{meter::MeterLayer, store::Journal};
///
/// # let folder = std::env::temp_dir().join(format!("portcullis-journal-{}", std::process::id()));
/// let journal = Journal::open(&folder)?;
/// let meter = MeterLayer::new(journal.clone());
/// # drop((journal, meter));
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    folder: Folder,
    /// Where this process began to write.
    opened: Position,
    /// What is to be written. Whoever holds `writer` may lock it, and not the other way round.
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    /// The number of the newest entry that is written, and with it all before it.
    written: AtomicU64,
    refusals: Mutex<Refusals>,
    /// Whether writing fails, so that it is said once and not per call.
    failing: AtomicBool,
}

/// How a [`Journal`] is kept.
#[derive(Clone, Debug)]
#[must_use]
pub struct JournalBuilder {
    segment_size: u64,
    sync: bool,
    unsettled: Unsettled,
    refusals: u64,
}

/// What becomes of calls that were running when the process died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsettled {
    /// Their records say `cancelled`, `process_died`, and cost what the prompt was estimated at.
    #[default]
    Charged,
    /// The same, at no cost.
    Free,
}

impl JournalBuilder {
    /// Bytes after which a new segment begins. Default 16 MiB; at least one entry goes into each.
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }

    /// Whether each entry is flushed to the disk before the call goes on. Default: no.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// What becomes of calls that were running when the process died. Default: [`Unsettled::Charged`].
    pub fn unsettled(mut self, policy: Unsettled) -> Self {
        self.unsettled = policy;
        self
    }

    /// How many refusals (calls for which no provider was asked) per key and minute get records of their own; the rest
    /// share one, which says how many `calls` it stands for and is written when the minute is over. Default 60.
    pub fn refusals_per_minute(mut self, refusals: u64) -> Self {
        self.refusals = refusals;
        self
    }

    /// Opens the journal in `folder`, made if it is not there. Blocks on the disk: call it before serving.
    ///
    /// # Errors
    /// Another process has it open, or the disk fails.
    pub fn open(self, folder: impl Into<PathBuf>) -> Result<Journal, JournalError> {
        let folder = Folder::open(folder.into())?;
        let failed = |error: io::Error| JournalError::io(folder.path())(error);
        let numbers = folder.segments().map_err(failed)?;
        let left = replay::unsettled(&folder, &numbers).map_err(failed)?;
        let number = numbers.last().map_or(1, |last| last.saturating_add(1));
        let writer = Writer::new(&folder, number, self.segment_size, self.sync).map_err(failed)?;
        let journal = Journal(Arc::new(Shared {
            folder,
            opened: writer.end(),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            written: AtomicU64::new(0),
            refusals: Mutex::new(Refusals::new(self.refusals)),
            failing: AtomicBool::new(false),
        }));
        if !left.is_empty() {
            tracing::warn!(calls = left.len(), "calls that were running when an earlier process died are recorded as such");
        }
        for record in left.iter().filter_map(|intents| intent::died(intents, self.unsettled)) {
            journal.0.push(&record);
        }
        // What cannot be written waits, and that was said.
        let _ = journal.0.write_all();
        Ok(journal)
    }
}

impl Default for JournalBuilder {
    fn default() -> Self {
        Self { segment_size: 16 << 20, sync: false, unsettled: Unsettled::default(), refusals: 60 }
    }
}

impl Journal {
    /// Opens the journal in `folder` with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    /// Another process has it open, or the disk fails.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, JournalError> {
        Self::builder().open(folder)
    }

    /// Settings for a journal.
    pub fn builder() -> JournalBuilder {
        JournalBuilder::default()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.folder.path()
    }

    /// Its id: how stores tell journals apart.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.0.folder.id
    }

    /// Where this process began to write: what a store has of earlier ones lies before it.
    fn opened(&self) -> Position {
        self.0.opened
    }

    /// Where the next entry goes.
    fn end(&self) -> Position {
        self.0.writer().end()
    }

    /// Writes what waits for being written: folded refusals whose minute is over, and what an unwritable disk held up.
    fn settle_waiting(&self) {
        let folded = self.0.refusals().elapsed(SystemTime::now());
        for record in &folded {
            self.0.push(record);
        }
        let _ = self.0.write_all();
    }

    /// The next settled calls from `from` on. Blocks on the disk.
    fn portion(&self, from: Position) -> io::Result<Portion> {
        read::portion(&self.0.folder, from, self.end())
    }

    /// Deletes the segments before `shipped` that no running call needs. Blocks on the disk.
    fn forget(&self, shipped: Position) -> io::Result<()> {
        let needed = self.0.writer().oldest_needed().min(shipped.segment);
        self.0.folder.segments()?.into_iter().filter(|number| *number < needed).try_for_each(|number| self.0.folder.delete(number))
    }
}

impl Ledger for Journal {
    fn intend(&self, intended: &Intended<'_>) -> Result<(), Fault> {
        self.queue_intent(intended)?.map_or(Ok(()), |queued| self.commit(queued))
    }

    fn settle(&self, record: Record) {
        if let Some(queued) = self.queue_settlement(record) {
            // What cannot be written is kept, and was noted.
            let _ = self.commit(queued);
        }
    }

    fn queue_intent(&self, intended: &Intended<'_>) -> Result<Option<Queued>, Fault> {
        let id = &intended.intent.call.id;
        let number = self.0.queue_with_room().map_err(unavailable)?.push(Kind::Intent, id, |out| intent::write(intended, out));
        Ok(Some(Queued::new(number)))
    }

    fn queue_settlement(&self, record: Record) -> Option<Queued> {
        // What was sent to a provider is written, always. Attempts are noted by the layer that retries, which a stack may
        // leave out.
        let used = record.usage.counts != Usage::default() || record.cost_nanos > 0;
        if record.success || used || !record.attempts.is_empty() {
            return self.0.push(&record).map(Queued::new);
        }
        // While nothing can be written, everybody is refused: those records must not take the room of calls that ran.
        let failing = self.0.failing.load(Ordering::Relaxed);
        let (record, folded) = self.0.refusals().pass(record, SystemTime::now(), failing);
        folded.iter().chain(&record).filter_map(|record| self.0.push(record)).max().map(Queued::new)
    }

    fn commit(&self, queued: Queued) -> Result<(), Fault> {
        self.0.commit(queued.number()).map_err(unavailable)
    }
}

fn unavailable(error: io::Error) -> Fault {
    Fault::new(FaultKind::LedgerUnavailable).with_source(error)
}

/// The most that waits for a disk that cannot be written. Admission stops long before: only calls that run then come here.
const MOST_WAITING: usize = 64 << 20;

impl Shared {
    /// Queues a settlement; gives its number.
    fn push(&self, record: &Record) -> Option<u64> {
        let id = &record.request_id;
        match self.queue_with_room() {
            Ok(mut queue) => Some(queue.push(Kind::Settlement, id, |out| rows::write(record, out))),
            Err(error) => {
                tracing::error!(generation = %id, cost_nanos = record.cost_nanos, %error, "a record is lost: too many wait for the disk");
                None
            }
        }
    }

    /// The queue, if not too much waits in it.
    fn queue_with_room(&self) -> io::Result<MutexGuard<'_, Queue>> {
        let queue = self.queue();
        if queue.len() <= MOST_WAITING {
            return Ok(queue);
        }
        drop(queue);
        self.write_all()?;
        Ok(self.queue())
    }

    /// Writes the entry of this number, and with it whatever else waits. If that fails an announcement is taken back, and
    /// a settlement goes on waiting.
    fn commit(&self, number: u64) -> io::Result<()> {
        let is_written = || self.written.load(Ordering::Acquire) >= number;
        if is_written() {
            return Ok(());
        }
        let mut writer = self.writer();
        if is_written() {
            return Ok(());
        }
        let written = self.write(&mut writer);
        // Some may be written where not all are.
        if is_written() {
            return Ok(());
        }
        // Under the writer's lock: nobody has written it since.
        self.queue().withdraw(number);
        written
    }

    /// Writes all that waits.
    fn write_all(&self) -> io::Result<()> {
        self.write(&mut self.writer())
    }

    /// Says once that writing fails, and once that it works again.
    fn write(&self, writer: &mut Writer) -> io::Result<()> {
        let before = self.written.load(Ordering::Relaxed);
        let outcome = writer.write(&self.folder, &self.queue, &self.written);
        match &outcome {
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::error!(folder = %self.folder.path().display(), %error, "the journal cannot be written: no calls are admitted");
            }
            Ok(()) if self.written.load(Ordering::Relaxed) > before && self.failing.load(Ordering::Relaxed) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(folder = %self.folder.path().display(), "the journal can be written again");
            }
            _ => {}
        }
        outcome
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last clone writes what waits, and what was folded.
impl Drop for Shared {
    fn drop(&mut self) {
        let folded = self.refusals().all();
        for record in &folded {
            self.push(record);
        }
        if let Err(error) = self.write_all() {
            tracing::error!(%error, "the journal's last entries are lost");
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Journal").field(&self.path()).finish()
    }
}
