//! What an earlier process left.

use std::{collections::BTreeMap, io};

use super::{
    entry::{self, Entry},
    folder::Folder,
    intent::IntentEntry,
};
use crate::store::RecordRow;

/// Reads the segments `numbers` and gives the intents of calls that were never settled, by call.
pub(super) fn unsettled(folder: &Folder, numbers: &[u64]) -> io::Result<Vec<Vec<Vec<u8>>>> {
    let mut open: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for number in numbers {
        let bytes = folder.read(*number, 0, u64::MAX)?.unwrap_or_default();
        let mut rest = &bytes[..];
        while let Some((entry, length)) = entry::read(rest) {
            match entry {
                Entry::Intent(bytes) => {
                    if let Some(intent) = IntentEntry::read(bytes) {
                        open.entry(intent.id.to_owned()).or_default().push(bytes.to_vec());
                    }
                }
                Entry::Settlement(packed) => {
                    RecordRow::read(packed).and_then(|row| open.remove(row.id));
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        if !rest.is_empty() {
            tracing::warn!(segment = number, bytes = rest.len(), "the journal has a torn tail, as a crash leaves it");
        }
    }
    Ok(open.into_values().collect())
}
