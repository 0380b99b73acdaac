//! What one `write` puts into a segment.
//!
//! ```text
//! length of the payload: u32 | CRC-32 of kind and payload: u32 | kind: u8 | payload
//! ```
//!
//! Numbers are little-endian. An entry says itself whether all of it is there, so a tail torn by a crash is seen as such.

use bytes::{BufMut, BytesMut};

use crate::{meter::Record, store::rows};

/// An entry as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// An attempt was about to be dispatched: an [`IntentEntry`](super::intent::IntentEntry) as JSON.
    Intent(&'a [u8]),
    /// A call was settled: a [row](rows).
    Settlement(&'a [u8]),
}

/// Bytes before the payload.
const HEAD: usize = 9;
/// No entry is larger; a greater length is damage.
const MOST: usize = 16 << 20;
const INTENT: u8 = 1;
const SETTLEMENT: u8 = 2;

/// An intent's bytes: `payload` writes the JSON.
pub(super) fn intent(payload: impl FnOnce(&mut BytesMut)) -> BytesMut {
    framed(INTENT, 1024, payload)
}

/// A settlement's bytes: the columns, then the record's JSON.
pub(super) fn settlement(record: &Record) -> BytesMut {
    framed(SETTLEMENT, 4096, |out| rows::write(record, out))
}

/// `usual` is a length that most entries stay below: they are one allocation.
fn framed(kind: u8, usual: usize, payload: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::with_capacity(usual);
    out.put_slice(&[0, 0, 0, 0, 0, 0, 0, 0, kind]);
    payload(&mut out);
    let length = u32::try_from(out.len() - HEAD).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(&out[8..]);
    out[..4].copy_from_slice(&length.to_le_bytes());
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// The entry at the start of `bytes`, and its length; `None` if there is no whole and sound one.
pub(super) fn read(bytes: &[u8]) -> Option<(Entry<'_>, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= MOST)?;
    let summed = rest.get(..length + 1)?;
    if crc32fast::hash(summed) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (kind, payload) = summed.split_first()?;
    let entry = match *kind {
        INTENT => Entry::Intent(payload),
        SETTLEMENT => Entry::Settlement(payload),
        _ => return None,
    };
    Some((entry, HEAD + length))
}

/// How many bytes must be there before the entry at the start of `bytes` can be whole; `None` if that is not known yet or
/// cannot be.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(*bytes.first_chunk::<4>()?)).ok()?;
    (length <= MOST).then_some(HEAD + length)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{RecordRow, rows::tests::a_row};

    pub(in crate::store::journal) fn settlement(row: &RecordRow<'_>) -> BytesMut {
        framed(SETTLEMENT, 0, |out| rows::write_row(row, out))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(row in a_row()) {
            let bytes = settlement(&row.row());
            prop_assert_eq!(length(&bytes), Some(bytes.len()));
            let Some((Entry::Settlement(payload), whole)) = read(&bytes) else { panic!("not read") };
            prop_assert_eq!((rows::read(payload), whole), (Some(row.row()), bytes.len()));
        }

        #[test]
        fn a_torn_entry_is_no_entry(row in a_row()) {
            let bytes = settlement(&row.row());
            for cut in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..cut]), None);
            }
        }

        #[test]
        fn a_damaged_entry_is_no_entry(row in a_row(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = settlement(&row.row());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn no_bytes_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read(&bytes), length(&bytes));
        }
    }
}
