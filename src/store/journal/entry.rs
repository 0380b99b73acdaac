//! What a segment is made of.
//!
//! ```text
//! length of the payload: u32 | CRC-32 of kind and payload: u32 | kind: u8 | payload
//! ```
//!
//! Numbers are little-endian. An entry says itself whether all of it is there, so a tail torn by a crash is seen as such.

/// An entry as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// An attempt was about to be dispatched: an [`IntentEntry`](super::intent::IntentEntry).
    Intent(&'a [u8]),
    /// A call was settled: a [row](crate::store::rows).
    Settlement(&'a [u8]),
}

/// Bytes before the payload.
const HEAD: usize = 9;
/// No entry is larger; a greater length is damage.
const MOST: usize = 16 << 20;

/// What an entry is about, as its byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An attempt was about to be dispatched.
    Intent = 1,
    /// A call was settled.
    Settlement = 2,
}

/// Appends an entry, whose payload is what `payload` appends.
pub(super) fn write(kind: Kind, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, kind as u8]);
    payload(out);
    let Some((head, summed)) = out.get_mut(start..).and_then(|entry| entry.split_first_chunk_mut::<8>()) else { return };
    let length = u32::try_from(summed.len() - 1).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(summed);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&sum.to_le_bytes());
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
        kind if kind == Kind::Intent as u8 => Entry::Intent(payload),
        kind if kind == Kind::Settlement as u8 => Entry::Settlement(payload),
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        meter::Record,
        store::{rows, samples::a_record},
    };

    fn settlement(record: &Record) -> Vec<u8> {
        let mut out = Vec::new();
        write(Kind::Settlement, &mut out, |out| rows::write(record, out));
        out
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in a_record()) {
            let bytes = settlement(&record);
            prop_assert_eq!(length(&bytes), Some(bytes.len()));
            let mut row = Vec::new();
            rows::write(&record, &mut row);
            prop_assert_eq!(read(&bytes), Some((Entry::Settlement(&row), bytes.len())));
        }

        #[test]
        fn a_torn_entry_is_no_entry(record in a_record()) {
            let bytes = settlement(&record);
            for cut in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..cut]), None);
            }
        }

        #[test]
        fn a_damaged_entry_is_no_entry(record in a_record(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = settlement(&record);
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
