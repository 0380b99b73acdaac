//! The end of the journal that is written.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, Write},
};

use super::folder::Folder;
use crate::{stage::GenerationId, store::Position};

/// Appends entries, each with one `write`.
#[derive(Debug)]
pub(super) struct Writer {
    segment_size: u64,
    sync: bool,
    /// The segment being written; `None` where one could not be made, or the last holds half an entry.
    file: Option<File>,
    end: Position,
    /// Calls whose attempts were announced and that are not settled, and the segment that says so.
    open: BTreeMap<GenerationId, u64>,
    /// Settlements that could not be written yet.
    backlog: VecDeque<(GenerationId, Vec<u8>)>,
    backlog_bytes: usize,
}

/// The most that is held of what cannot be written. Admission stops long before: only calls that run then come here.
const MOST_BACKLOG: usize = 64 << 20;

impl Writer {
    /// Starts with a new segment: what a crash tore is never written behind.
    pub(super) fn new(folder: &Folder, number: u64, segment_size: u64, sync: bool) -> io::Result<Self> {
        let file = Some(folder.create(number)?);
        let end = Position { segment: number, offset: 0 };
        Ok(Self { segment_size, sync, file, end, open: BTreeMap::new(), backlog: VecDeque::new(), backlog_bytes: 0 })
    }

    /// Where the next entry goes: everything before it can be read.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// The oldest segment that a running call needs.
    pub(super) fn oldest_needed(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.end.segment)
    }

    /// Writes that an attempt of call `id` is about to be dispatched.
    pub(super) fn intend(&mut self, folder: &Folder, id: &GenerationId, entry: &[u8]) -> io::Result<()> {
        self.catch_up(folder)?;
        self.append(folder, entry)?;
        self.open.entry(id.clone()).or_insert(self.end.segment);
        Ok(())
    }

    /// Writes a settlement, or keeps it until it can be.
    pub(super) fn settle(&mut self, folder: &Folder, id: &GenerationId, entry: Vec<u8>) -> Result<(), Unwritten> {
        match self.catch_up(folder).and_then(|()| self.append(folder, &entry)) {
            Ok(()) => {
                self.open.remove(id);
                Ok(())
            }
            Err(error) => {
                let kept = self.backlog_bytes + entry.len() <= MOST_BACKLOG;
                if kept {
                    self.backlog_bytes += entry.len();
                    self.backlog.push_back((id.clone(), entry));
                }
                Err(Unwritten { error, kept })
            }
        }
    }

    /// Writes what could not be written before.
    pub(super) fn catch_up(&mut self, folder: &Folder) -> io::Result<()> {
        while let Some((id, entry)) = self.backlog.pop_front() {
            if let Err(error) = self.append(folder, &entry) {
                self.backlog.push_front((id, entry));
                return Err(error);
            }
            self.backlog_bytes -= entry.len();
            self.open.remove(&id);
        }
        Ok(())
    }

    fn append(&mut self, folder: &Folder, entry: &[u8]) -> io::Result<()> {
        let full = self.end.offset > 0 && self.end.offset + entry.len() as u64 > self.segment_size;
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
        let written = file.write_all(entry).and_then(|()| if self.sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half an entry may be there. Nothing may follow it.
            if file.set_len(self.end.offset).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        self.end.offset += entry.len() as u64;
        Ok(())
    }
}

/// A settlement that is not on disk.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) error: io::Error,
    /// Whether it is held in memory and tried again.
    pub(super) kept: bool,
}
