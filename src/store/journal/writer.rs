//! The end of the journal that is written.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::HashMap;

use super::{entry::Kind, folder::Folder, queue::Queue};
use crate::{stage::GenerationId, store::Position};

/// Takes what waits in a [`Queue`] to segments.
#[derive(Debug)]
pub(super) struct Writer {
    segment_size: u64,
    sync: bool,
    /// The segment being written; `None` where one could not be made, or the last holds half an entry.
    file: Option<File>,
    end: Position,
    /// Calls whose attempts were announced and that are not settled, and the segment that says so.
    open: HashMap<GenerationId, u64>,
    /// What was written last: its room is used again.
    emptied: Queue,
}

/// The most that one `write` takes, unless an entry is longer.
const MOST: u64 = 1 << 20;

impl Writer {
    /// Starts with a new segment: what a crash tore is never written behind.
    pub(super) fn new(folder: &Folder, number: u64, segment_size: u64, sync: bool) -> io::Result<Self> {
        let file = Some(folder.create(number)?);
        let end = Position { segment: number, offset: 0 };
        Ok(Self { segment_size, sync, file, end, open: HashMap::default(), emptied: Queue::default() })
    }

    /// Where the next entry goes: everything before it can be read.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// The oldest segment that a running call needs.
    pub(super) fn oldest_needed(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.end.segment)
    }

    /// Writes all that waits in `queue`, and says of each entry by its number that it is `written`; what cannot be written
    /// goes on waiting.
    pub(super) fn write(&mut self, folder: &Folder, queue: &Mutex<Queue>, written: &AtomicU64) -> io::Result<()> {
        let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = lock().take(std::mem::take(&mut self.emptied));
        while let Some((entries, bytes)) = taken.first(self.segment_size.saturating_sub(self.end.offset).min(MOST)) {
            if let Err(error) = self.append(folder, bytes) {
                lock().put_back(taken);
                return Err(error);
            }
            for entry in (0..entries).map_while(|_| taken.pop()) {
                written.store(entry.number, Ordering::Release);
                match entry.kind {
                    Kind::Intent => drop(self.open.entry(entry.id).or_insert(self.end.segment)),
                    Kind::Settlement => drop(self.open.remove(&entry.id)),
                }
            }
        }
        self.emptied = taken;
        Ok(())
    }

    /// Writes whole entries in one `write`.
    fn append(&mut self, folder: &Folder, entries: &[u8]) -> io::Result<()> {
        let full = self.end.offset > 0 && self.end.offset + entries.len() as u64 > self.segment_size;
        let file = match &mut self.file {
            Some(file) if !full => file,
            file => {
                *file = None;
                let number = self.end.segment + 1;
                let fresh = folder.create(number)?;
                self.end = Position { segment: number, offset: 0 };
                file.insert(fresh)
            }
        };
        let written = file.write_all(entries).and_then(|()| if self.sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half an entry may be there. Nothing may follow it.
            if file.set_len(self.end.offset).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        self.end.offset += entries.len() as u64;
        Ok(())
    }
}
