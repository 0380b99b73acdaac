//! Records as the journal and the stores have them, each packed into one piece of memory.
//!
//! ```text
//! the format: u8
//! created_ms | cost_nanos | calls | input_tokens | output_tokens: counts | success: a truth
//! the lengths of id | workspace | key | model | provider: counts, 0 if absent, else one more
//! these texts, without a gap
//! the record's other members
//! ```
//!
//! What a store finds and sums by comes first, so that it is read without the rest.

use std::{fmt, ops::Range};

use bytes::Bytes;

use super::{
    RecordRow,
    form::{self, PublicForm},
    packed::{Reader, count, truth},
    records::millis,
};
use crate::{
    catalog::{ModelId, ProviderId},
    meter::Record,
    stage::KeyId,
};

/// Records in the order they were settled. Cheap to clone: clones share the memory, and rows borrow from it.
#[derive(Clone, Default)]
pub struct RecordRows {
    memory: Bytes,
    places: Vec<Range<usize>>,
}

impl RecordRows {
    /// The rows at `places` in `memory`.
    pub(super) fn new(memory: Bytes, places: Vec<Range<usize>>) -> Self {
        Self { memory, places }
    }

    /// The records, one by one.
    pub fn iter(&self) -> impl Iterator<Item = RecordRow<'_>> {
        self.places.iter().filter_map(|place| self.memory.get(place.clone()).and_then(RecordRow::read))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// Packs records into one piece of memory.
impl<'a> FromIterator<&'a Record> for RecordRows {
    fn from_iter<I: IntoIterator<Item = &'a Record>>(records: I) -> Self {
        let (mut memory, mut places) = (Vec::new(), Vec::new());
        for record in records {
            let start = memory.len();
            write(record, &mut memory);
            places.push(start..memory.len());
        }
        Self { memory: memory.into(), places }
    }
}

impl fmt::Debug for RecordRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordRows({})", self.len())
    }
}

/// What the rows that this version writes begin with.
const FORMAT: u8 = 1;

/// Appends a record's row.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    let counts = &record.usage.counts;
    out.push(FORMAT);
    count(out, millis(record.created_at));
    count(out, record.cost_nanos);
    count(out, record.calls);
    count(out, counts.prompt().saturating_add(counts.input_audio));
    count(out, counts.output.saturating_add(counts.output_audio));
    truth(out, record.success);
    let key = record.key_id.as_ref().map(KeyId::as_str);
    let model = record.model.as_ref().map(ModelId::as_str);
    let provider = record.provider.as_ref().map(ProviderId::as_str);
    let texts = [Some(record.request_id.as_str()), Some(&record.workspace_id), key, model, provider];
    texts.iter().for_each(|text| count(out, text.map_or(0, |text| text.len() as u64 + 1)));
    texts.iter().flatten().for_each(|text| out.extend_from_slice(text.as_bytes()));
    form::write(record, out);
}

impl<'a> RecordRow<'a> {
    /// Reads what another row had as [`packed`](Self::packed). `None` if it is no row.
    pub fn read(packed: &'a [u8]) -> Option<Self> {
        Self::columns(packed).map(|(row, _)| row)
    }

    /// The record's public form: the JSON that `Serialize` of the [`Record`] makes. `None` if the row is damaged.
    pub fn json(&self) -> Option<String> {
        let (row, rest) = Self::columns(self.packed)?;
        serde_json::to_string(&PublicForm::read(&row, rest)?).ok()
    }

    fn columns(packed: &'a [u8]) -> Option<(Self, Reader<'a>)> {
        let mut rest = Reader(packed);
        if rest.byte()? != FORMAT {
            return None;
        }
        let (created_ms, cost_nanos, calls) = (rest.count()?, rest.count()?, rest.count()?);
        let (input_tokens, output_tokens, success) = (rest.count()?, rest.count()?, rest.truth()?);
        let lengths = [rest.count()?, rest.count()?, rest.count()?, rest.count()?, rest.count()?];
        let texts = lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(length.saturating_sub(1)))?;
        // One check of them all: they are short.
        let mut texts = std::str::from_utf8(rest.bytes(texts)?).ok()?;
        let mut text = |length: u64| {
            let Some(length) = length.checked_sub(1) else { return Some(None) };
            let (text, after) = texts.split_at_checked(usize::try_from(length).ok()?)?;
            texts = after;
            Some(Some(text))
        };
        let [id, workspace, key, model, provider] = lengths;
        let (id, workspace, key, model, provider) = (text(id)??, text(workspace)??, text(key)?, text(model)?, text(provider)?);
        let row = Self { id, workspace, key, model, provider, created_ms, cost_nanos, calls, input_tokens, output_tokens, success, packed };
        Some((row, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::samples::a_record;

    proptest! {
        #[test]
        fn a_row_says_what_its_record_says(records in proptest::collection::vec(a_record(), 0..4)) {
            let rows: RecordRows = records.iter().collect();
            prop_assert_eq!(rows.len(), records.len());
            for (row, record) in rows.iter().zip(&records) {
                prop_assert_eq!(row.json().unwrap(), serde_json::to_string(record).unwrap());
                prop_assert_eq!((row.id, row.workspace), (record.request_id.as_str(), &*record.workspace_id));
                prop_assert_eq!((row.cost_nanos, row.calls, row.success), (record.cost_nanos, record.calls, record.success));
                prop_assert_eq!(RecordRow::read(row.packed), Some(row));
            }
            prop_assert_eq!(rows.iter().count(), records.len());
        }

        #[test]
        fn a_cut_row_is_damaged(record in a_record(), at in any::<prop::sample::Index>()) {
            let mut packed = Vec::new();
            write(&record, &mut packed);
            packed.truncate(at.index(packed.len()));
            prop_assert_eq!(RecordRow::read(&packed).and_then(|row| row.json()), None);
        }

        #[test]
        fn no_bytes_hurt(mut bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            bytes[0] = FORMAT;
            let _ = RecordRow::read(&bytes).map(|row| row.json());
        }
    }
}
