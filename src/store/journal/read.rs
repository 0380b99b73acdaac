//! The journal as the shipper reads it.

use std::io;

use super::{
    entry::{self, Entry},
    folder::Folder,
};
use crate::store::{Position, RecordRow};

/// Settled calls, and where the journal goes on.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) records: Vec<RecordRow>,
    pub(super) upto: Position,
}

/// Bytes read at a time.
const CHUNK: u64 = 512 << 10;

/// The next settled calls from `from` on, of what is written before `end`.
pub(super) fn portion(folder: &Folder, from: Position, end: Position) -> io::Result<Portion> {
    let mut portion = Portion { records: Vec::new(), upto: from };
    while portion.records.is_empty() && portion.upto < end {
        let Position { segment, offset } = portion.upto;
        let last = segment == end.segment;
        let left = if last { end.offset.saturating_sub(offset) } else { u64::MAX };
        let mut most = CHUNK.min(left);
        let mut bytes = folder.read(segment, offset, most)?.unwrap_or_default();
        // An entry larger than a chunk is read whole.
        if let Some(length) = entry::length(&bytes).filter(|length| *length as u64 > most) {
            most = (length as u64).min(left);
            bytes = folder.read(segment, offset, most)?.unwrap_or_default();
        }
        let read = entries(&bytes, &mut portion.records);
        if read > 0 {
            portion.upto.offset += read as u64;
        } else if last {
            // What is written is whole, so this is damage. Skipping it is all that is left: the next segment is sound.
            tracing::error!(segment, offset, bytes = left, "the journal is damaged: records may be lost");
            portion.upto = end;
        } else {
            if !bytes.is_empty() {
                tracing::warn!(segment, offset, "the journal's segment ends in a torn entry");
            }
            portion.upto = Position { segment: next(folder, segment, end.segment)?, offset: 0 };
        }
    }
    Ok(portion)
}

/// Reads the whole entries in `bytes` and gives their length.
fn entries(bytes: &[u8], records: &mut Vec<RecordRow>) -> usize {
    let mut read = 0;
    while let Some((entry, length)) = bytes.get(read..).and_then(entry::read) {
        if let Entry::Settlement(row) = entry {
            records.push(row);
        }
        read += length;
    }
    read
}

/// The segment after `segment`.
fn next(folder: &Folder, segment: u64, last: u64) -> io::Result<u64> {
    Ok(folder.segments()?.into_iter().find(|number| *number > segment).unwrap_or(last))
}
