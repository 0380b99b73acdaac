//! The provider's usage, enriched in place.

use bytes::{Bytes, BytesMut};

use super::observe::Places;
use crate::dialect::{AnswerOptions, Edits, Seen, json};

/// Makes the usage chunk out of the chunk that carries the usage.
pub(super) fn chunk(carrier: &[u8], places: &Places, id: &Bytes, options: &AnswerOptions, seen: &Seen) -> Bytes {
    let members = &places.members;
    let mut edits = Edits::default();
    edits.set(carrier, members, "id", id);
    if let Some(notes) = &options.notes {
        edits.write(carrier, members, "provider", |out| json::string(out, notes.provider()));
    }
    // On a content chunk it rides along; the content went out already.
    edits.set(carrier, members, "choices", "[]");
    annotate(carrier, places, options, seen, &mut edits);
    let mut text = BytesMut::new();
    edits.apply_to(carrier, &mut text);
    // The carrier may have come in several lines.
    json::unbreak(&mut text);
    text.freeze()
}

/// Adds what only the gateway knows: the provider's id, `meta`, the other pair of counts, the cost.
pub(super) fn annotate(body: &[u8], places: &Places, options: &AnswerOptions, seen: &Seen, edits: &mut Edits) {
    let Some(notes) = &options.notes else { return };
    let members = &places.members;
    if let Some(id) = &seen.id {
        edits.write(body, members, "native_response_id", |out| json::string(out, id));
    }
    edits.write(body, members, "meta", |out| _ = notes.meta(seen.model.as_deref(), seen.usage.as_ref(), out));
    let (true, Some(usage), true) = (places.counted, &seen.usage, options.rich_usage) else { return };
    let counts = &places.usage;
    for (ours, theirs) in PAIRS {
        match (counts.find(body, ours), counts.find(body, theirs)) {
            (Some(twin), None) => edits.append(counts, theirs, twin.bytes(body)),
            (None, Some(twin)) => edits.append(counts, ours, twin.bytes(body)),
            _ => {}
        }
    }
    edits.write(body, counts, "cost", |out| _ = notes.cost(usage, out));
}

/// The two names of each count.
const PAIRS: [(&str, &str); 2] = [("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")];
