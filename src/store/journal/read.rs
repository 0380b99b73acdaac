//! The journal as the shipper reads it.

use std::{io, ops::Range};

use super::{
    entry::{self, Entry},
    folder::Folder,
};
use crate::store::{Position, RecordRows};

/// Settled calls, and where the journal goes on.
#[derive(Debug)]
pub(super) struct Portion {
    pub(super) records: RecordRows,
    pub(super) upto: Position,
}

/// Bytes read at a time, and shipped in one transaction: a thousand calls or more.
const CHUNK: u64 = 512 << 10;

/// The next settled calls from `from` on, of what is written before `end`.
pub(super) fn portion(folder: &Folder, from: Position, end: Position) -> io::Result<Portion> {
    let mut portion = Portion { records: RecordRows::default(), upto: from };
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
        let (settled, read) = entries(&bytes);
        if read > 0 {
            portion.upto.offset += read as u64;
            portion.records = RecordRows::new(bytes.into(), settled);
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

/// Where the settlements are among the whole entries of `bytes`, and the length of these.
fn entries(bytes: &[u8]) -> (Vec<Range<usize>>, usize) {
    let (mut settled, mut read) = (Vec::new(), 0);
    while let Some((entry, length)) = bytes.get(read..).and_then(entry::read) {
        read += length;
        if let Entry::Settlement(row) = entry {
            settled.push(read - row.len()..read);
        }
    }
    (settled, read)
}

/// The segment after `segment`.
fn next(folder: &Folder, segment: u64, last: u64) -> io::Result<u64> {
    Ok(folder.segments()?.into_iter().find(|number| *number > segment).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::store::{journal::entry::Kind, rows, samples};

    /// A journal whose only segment holds `bytes`.
    fn holding(name: &str, bytes: &[u8]) -> (std::path::PathBuf, Folder) {
        let path = std::env::temp_dir().join(format!("portcullis-read-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let folder = Folder::open(path.clone()).unwrap();
        folder.create(1).unwrap().write_all(bytes).unwrap();
        (path, folder)
    }

    /// An entry of at least `length` bytes, and the id of its call.
    fn settled(length: usize) -> (Vec<u8>, String) {
        let record = samples::record("x".repeat(length));
        let mut entry = Vec::new();
        entry::write(Kind::Settlement, &mut entry, |out| rows::write(&record, out));
        (entry, record.request_id.to_string())
    }

    /// All records, portion by portion, of segments before the second.
    fn all(folder: &Folder) -> Vec<String> {
        let (mut from, end) = (Position::default(), Position { segment: 2, offset: 0 });
        let mut ids = Vec::new();
        while from < end {
            let portion = portion(folder, from, end).unwrap();
            assert!(portion.upto > from, "it goes on");
            ids.extend(portion.records.iter().map(|row| row.id.to_owned()));
            from = portion.upto;
        }
        ids
    }

    #[test]
    fn a_segment_torn_at_any_byte_gives_what_is_whole() {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..3 {
            let (entry, id) = settled(20);
            entry::write(Kind::Intent, &mut bytes, |out| out.extend_from_slice(b"{}"));
            bytes.extend(entry);
            ends.push((bytes.len(), id));
        }
        let (path, folder) = holding("torn", &[]);
        for cut in 0..=bytes.len() {
            std::fs::write(path.join("journal-0000000001.log"), &bytes[..cut]).unwrap();
            let whole: Vec<_> = ends.iter().filter(|(end, _)| *end <= cut).map(|(_, id)| id.clone()).collect();
            assert_eq!(all(&folder), whole, "cut at {cut}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn an_entry_larger_than_a_chunk_is_read_whole() {
        let chunk = usize::try_from(CHUNK).unwrap();
        let (bytes, ids): (Vec<_>, Vec<_>) = [10, 3 * chunk, 10].map(settled).into_iter().unzip();
        let (path, folder) = holding("large", &bytes.concat());
        assert_eq!(all(&folder), ids);
        std::fs::remove_dir_all(path).unwrap();
    }
}
