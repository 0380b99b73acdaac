//! What one `write` puts into a segment.
//!
//! ```text
//! length of the payload: u32 | CRC-32 of kind and payload: u32 | kind: u8 | payload
//! ```
//!
//! Numbers are little-endian. An entry says itself whether all of it is there, so a tail torn by a crash is seen as such.

use crate::{
    catalog::{ModelId, ProviderId},
    meter::Record,
    stage::KeyId,
    store::{RecordRow, records::millis},
};

/// An entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// An attempt was about to be dispatched: an [`IntentEntry`](super::intent::IntentEntry) as JSON.
    Intent(&'a [u8]),
    /// A call was settled.
    Settlement(RecordRow),
}

/// Bytes before the payload.
const HEAD: usize = 9;
/// No entry is larger; a greater length is damage.
const MOST: usize = 16 << 20;
const INTENT: u8 = 1;
const SETTLEMENT: u8 = 2;

/// An intent's bytes: `payload` writes the JSON.
pub(super) fn intent(payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    framed(INTENT, payload)
}

/// A settlement's bytes: the columns, then the record's JSON, written once.
///
/// # Errors
/// None that a record can cause; the type is the serializer's.
pub(super) fn settlement(record: &Record) -> serde_json::Result<Vec<u8>> {
    let counts = &record.usage.counts;
    let numbers = [
        millis(record.created_at),
        record.cost_nanos,
        record.calls,
        counts.prompt().saturating_add(counts.input_audio),
        counts.output.saturating_add(counts.output_audio),
        u64::from(record.success),
    ];
    let texts = [
        Some(record.request_id.as_str()),
        Some(record.workspace_id.as_str()),
        record.key_id.as_ref().map(KeyId::as_str),
        record.model.as_ref().map(ModelId::as_str),
        record.provider.as_ref().map(ProviderId::as_str),
    ];
    let mut written = Ok(());
    let entry = columns(numbers, texts, |out| written = serde_json::to_writer(out, record));
    written.map(|()| entry)
}

fn columns(numbers: [u64; 6], texts: [Option<&str>; 5], json: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    framed(SETTLEMENT, |out| {
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        texts.into_iter().for_each(|text| put(out, text));
        json(out);
    })
}

fn framed(kind: u8, payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(&[0; 8]);
    out.push(kind);
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
        SETTLEMENT => Entry::Settlement(row(payload)?),
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

fn row(payload: &[u8]) -> Option<RecordRow> {
    let mut rest = payload;
    let mut number = || -> Option<u64> {
        let (number, after) = rest.split_first_chunk::<8>()?;
        rest = after;
        Some(u64::from_le_bytes(*number))
    };
    let (created_ms, cost_nanos, calls, input_tokens, output_tokens) = (number()?, number()?, number()?, number()?, number()?);
    let success = number()? != 0;
    let (id, rest) = take(rest)?;
    let (workspace, rest) = take(rest)?;
    let (key, rest) = take(rest)?;
    let (model, rest) = take(rest)?;
    let (provider, rest) = take(rest)?;
    let json = std::str::from_utf8(rest).ok()?.to_owned();
    let (id, workspace) = (id?, workspace?);
    Some(RecordRow { id, workspace, key, model, provider, created_ms, cost_nanos, calls, input_tokens, output_tokens, success, json })
}

fn put(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            let length = u32::try_from(text.len()).unwrap_or(NONE);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        None => out.extend_from_slice(&NONE.to_le_bytes()),
    }
}

fn take(bytes: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == NONE {
        return Some((None, rest));
    }
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Some(String::from_utf8_lossy(text).into_owned()), rest))
}

/// The length of a text that is absent.
const NONE: u32 = u32::MAX;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::store::journal) fn settlement(row: &RecordRow) -> Vec<u8> {
        let numbers = [row.created_ms, row.cost_nanos, row.calls, row.input_tokens, row.output_tokens, u64::from(row.success)];
        let optional = [&row.key, &row.model, &row.provider].map(Option::as_deref);
        let [key, model, provider] = optional;
        columns(numbers, [Some(&row.id), Some(&row.workspace), key, model, provider], |out| out.extend_from_slice(row.json.as_bytes()))
    }

    fn a_row() -> impl Strategy<Value = RecordRow> {
        let text = || proptest::option::of(".{0,40}");
        (any::<(u64, u64, u64, u64, u64, bool)>(), ".{0,40}", ".{0,40}", (text(), text(), text()), ".{0,400}").prop_map(
            |((created_ms, cost_nanos, calls, input_tokens, output_tokens, success), id, workspace, (key, model, provider), json)| {
                RecordRow { id, workspace, key, model, provider, created_ms, cost_nanos, calls, input_tokens, output_tokens, success, json }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(row in a_row()) {
            let bytes = settlement(&row);
            prop_assert_eq!(length(&bytes), Some(bytes.len()));
            prop_assert_eq!(read(&bytes), Some((Entry::Settlement(row), bytes.len())));
        }

        #[test]
        fn a_torn_entry_is_no_entry(row in a_row()) {
            let bytes = settlement(&row);
            for cut in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..cut]), None);
            }
        }

        #[test]
        fn a_damaged_entry_is_no_entry(row in a_row(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = settlement(&row);
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
