//! The provider's usage, enriched in place.

use bytes::{Bytes, BytesMut};

use super::{observe::Told, quoted};
use crate::dialect::{AnswerOptions, Edits, Seen, openai_chat::usage};

/// Makes the usage chunk out of the chunk that carries the usage.
pub(super) fn chunk(carrier: &Bytes, told: &Told<'_>, id: &Bytes, options: &AnswerOptions, seen: &Seen) -> Bytes {
    let members = &told.members;
    let mut edits = Edits::default();
    edits.set(carrier, members, "id", id);
    if let Some(notes) = &options.notes {
        edits.set(carrier, members, "provider", quoted(notes.provider()));
    }
    // On a content chunk it rides along; the content went out already.
    edits.set(carrier, members, "choices", "[]");
    annotate(carrier, told, options, seen, &mut edits);
    let parts = edits.apply(carrier);
    let mut text = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| text.extend_from_slice(part));
    text.freeze()
}

/// Adds what only the gateway knows: the provider's id, `meta`, the other pair of counts, the cost.
pub(super) fn annotate(body: &[u8], told: &Told<'_>, options: &AnswerOptions, seen: &Seen, edits: &mut Edits) {
    let Some(notes) = &options.notes else { return };
    let members = &told.members;
    if let Some(id) = &seen.id {
        edits.set(body, members, "native_response_id", quoted(id));
    }
    let mut meta = BytesMut::new();
    if notes.meta(seen, &mut meta) {
        edits.set(body, members, "meta", meta);
    }
    let (Some(counts), Some(usage), true) = (&told.counted, &seen.usage, options.rich_usage) else { return };
    for (ours, theirs) in PAIRS {
        for (name, twin) in [(ours, theirs), (theirs, ours)] {
            if let (None, Some(twin)) = (counts.find(body, name), counts.find(body, twin)) {
                edits.append(counts, name, twin.text(body));
            }
        }
    }
    if let Some(cost) = usage::cost(usage, options) {
        edits.set(body, counts, "cost", cost);
    }
}

/// The two names of each count.
const PAIRS: [(&str, &str); 2] = [("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")];
