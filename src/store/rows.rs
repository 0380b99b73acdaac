//! Records as the journal has them: columns to find and sum by, and the record's JSON, in one piece of memory.
//!
//! ```text
//! created_ms | cost_nanos | calls | input_tokens | output_tokens | success: u64 each
//! id | workspace | key | model | provider: a length as u32, all ones if absent, and the text
//! the JSON, to the end
//! ```

use std::{fmt, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};

use super::RecordRow;
use crate::{
    catalog::{ModelId, ProviderId},
    meter::Record,
    stage::KeyId,
    store::records::millis,
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
        self.places.iter().filter_map(|place| self.memory.get(place.clone()).and_then(read))
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

/// Puts rows into one piece of memory.
impl<'a> FromIterator<RecordRow<'a>> for RecordRows {
    fn from_iter<I: IntoIterator<Item = RecordRow<'a>>>(rows: I) -> Self {
        let (mut memory, mut places) = (BytesMut::new(), Vec::new());
        for row in rows {
            let start = memory.len();
            write_row(&row, &mut memory);
            places.push(start..memory.len());
        }
        Self { memory: memory.freeze(), places }
    }
}

impl fmt::Debug for RecordRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordRows({})", self.len())
    }
}

/// Appends a record's row.
pub(super) fn write(record: &Record, out: &mut BytesMut) {
    let counts = &record.usage.counts;
    let row = RecordRow {
        id: record.request_id.as_str(),
        workspace: &record.workspace_id,
        key: record.key_id.as_ref().map(KeyId::as_str),
        model: record.model.as_ref().map(ModelId::as_str),
        provider: record.provider.as_ref().map(ProviderId::as_str),
        created_ms: millis(record.created_at),
        cost_nanos: record.cost_nanos,
        calls: record.calls,
        input_tokens: counts.prompt().saturating_add(counts.input_audio),
        output_tokens: counts.output.saturating_add(counts.output_audio),
        success: record.success,
        json: "",
    };
    write_row(&row, out);
    record.write(out);
}

pub(super) fn write_row(row: &RecordRow<'_>, out: &mut BytesMut) {
    for number in [row.created_ms, row.cost_nanos, row.calls, row.input_tokens, row.output_tokens, u64::from(row.success)] {
        out.put_u64_le(number);
    }
    for text in [Some(row.id), Some(row.workspace), row.key, row.model, row.provider] {
        let length = text.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE));
        out.put_u32_le(length);
        out.put_slice(text.unwrap_or_default().as_bytes());
    }
    out.put_slice(row.json.as_bytes());
}

/// Reads a row; `None` if it is none.
pub(super) fn read(mut bytes: &[u8]) -> Option<RecordRow<'_>> {
    let rest = &mut bytes;
    let (created_ms, cost_nanos, calls) = (number(rest)?, number(rest)?, number(rest)?);
    let (input_tokens, output_tokens, success) = (number(rest)?, number(rest)?, number(rest)? != 0);
    let (id, workspace) = (text(rest)??, text(rest)??);
    let (key, model, provider) = (text(rest)?, text(rest)?, text(rest)?);
    let json = std::str::from_utf8(rest).ok()?;
    Some(RecordRow { id, workspace, key, model, provider, created_ms, cost_nanos, calls, input_tokens, output_tokens, success, json })
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    *rest = after;
    if length == NONE {
        return Some(None);
    }
    let (text, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    std::str::from_utf8(text).ok().map(Some)
}

/// The length of a text that is absent.
const NONE: u32 = u32::MAX;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row that owns what the real one borrows.
    #[derive(Clone, Debug)]
    pub(in crate::store) struct Owned {
        texts: [String; 3],
        optional: [Option<String>; 3],
        numbers: [u64; 5],
        success: bool,
    }

    impl Owned {
        pub(in crate::store) fn row(&self) -> RecordRow<'_> {
            let [id, workspace, json] = &self.texts;
            let [key, model, provider] = self.optional.each_ref().map(Option::as_deref);
            let [created_ms, cost_nanos, calls, input_tokens, output_tokens] = self.numbers;
            let success = self.success;
            RecordRow { id, workspace, key, model, provider, created_ms, cost_nanos, calls, input_tokens, output_tokens, success, json }
        }
    }

    pub(in crate::store) fn a_row() -> impl Strategy<Value = Owned> {
        let texts = proptest::array::uniform3(".{0,40}");
        let optional = proptest::array::uniform3(proptest::option::of(".{0,40}"));
        (texts, optional, any::<([u64; 5], bool)>()).prop_map(|(texts, optional, (numbers, success))| Owned {
            texts,
            optional,
            numbers,
            success,
        })
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(owned in proptest::collection::vec(a_row(), 0..4)) {
            let rows: RecordRows = owned.iter().map(Owned::row).collect();
            prop_assert_eq!(rows.len(), owned.len());
            prop_assert!(rows.iter().eq(owned.iter().map(Owned::row)));
        }

        #[test]
        fn no_bytes_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
