//! The events of a stream, written. Each is `event: NAME`, then `data:` with an object whose `type` is that name.

use bytes::{BufMut, BytesMut};

use super::queue::Kind;
use crate::dialect::{
    Notes, Stamp, Usage,
    anthropic::{answer, usage},
    conversation::Delta,
    json::{self, Object},
};

/// The message begins. What it uses is not known yet, and the API says so with zeros.
pub fn message_start(stamp: &Stamp, id: Option<&str>, model: Option<&str>, notes: Option<&dyn Notes>, out: &mut BytesMut) {
    event("message_start", out, |event| {
        let mut message = event.object("message");
        answer::id(stamp, id, &mut message);
        message.str("type", "message").str("role", "assistant").str("model", model.unwrap_or(&stamp.model));
        message.raw("content", "[]").raw("stop_reason", "null").raw("stop_sequence", "null");
        let mut zero = message.object("usage");
        usage::write(&Usage::default(), &mut zero);
        zero.end();
        answer::notes(notes, id, &mut message);
        message.end();
    });
}

/// A block begins, empty.
pub fn content_block_start(index: u32, kind: &Kind, out: &mut BytesMut) {
    event("content_block_start", out, |event| {
        event.number("index", index.into());
        if let Kind::Server { raw } = kind {
            json::line(event.key("content_block"), raw);
            return;
        }
        let mut block = event.object("content_block");
        match kind {
            Kind::Text => _ = block.str("type", "text").str("text", ""),
            // Clients append to both members, so both are there.
            Kind::Thinking => _ = block.str("type", "thinking").str("thinking", "").str("signature", ""),
            Kind::RedactedThinking { data } => _ = block.str("type", "redacted_thinking").str("data", data),
            Kind::ToolUse { id, name } => _ = block.str("type", "tool_use").str("id", id).str("name", name).raw("input", "{}"),
            Kind::Server { .. } => {}
        }
        block.end();
    });
}

/// A block grows by an event's delta.
pub fn delta(index: u32, kind: &Kind, delta: &Delta<'_>, out: &mut BytesMut) {
    match delta {
        Delta::Text(text) | Delta::Arguments(text) => grow(index, kind, text, out),
        Delta::Signature { signature: token, .. } => signature(index, token, out),
        Delta::Citation { raw, .. } => citation(index, raw, out),
    }
}

/// A block's text, thinking or input grows.
pub fn grow(index: u32, kind: &Kind, text: &str, out: &mut BytesMut) {
    let (kind, member) = match kind {
        Kind::Text => ("text_delta", "text"),
        Kind::Thinking => ("thinking_delta", "thinking"),
        Kind::ToolUse { .. } | Kind::Server { .. } => ("input_json_delta", "partial_json"),
        Kind::RedactedThinking { .. } => return,
    };
    block_delta(index, kind, out, |delta| json::string(delta.key(member), text));
}

/// A thought's proof.
pub fn signature(index: u32, signature: &str, out: &mut BytesMut) {
    block_delta(index, "signature_delta", out, |delta| _ = delta.str("signature", signature));
}

/// A text's citation.
pub fn citation(index: u32, citation: &str, out: &mut BytesMut) {
    block_delta(index, "citations_delta", out, |delta| json::line(delta.key("citation"), citation));
}

/// A block is complete.
pub fn content_block_stop(index: u32, out: &mut BytesMut) {
    event("content_block_stop", out, |event| _ = event.number("index", index.into()));
}

/// Why the message stopped, and what it used; `cost` adds the price, and `after` what stands beside.
pub fn message_delta(
    reason: &str,
    sequence: Option<&str>,
    used: Option<&Usage>,
    cost: Option<&dyn Notes>,
    out: &mut BytesMut,
    after: impl FnOnce(&mut Object<'_>),
) {
    event("message_delta", out, |event| {
        let mut delta = event.object("delta");
        delta.str("stop_reason", reason);
        answer::stop_sequence(sequence, &mut delta);
        delta.end();
        let mut usage = event.object("usage");
        // The API has its counts always, told or not.
        usage::write(used.unwrap_or(&Usage::default()), &mut usage);
        answer::cost(cost, used, &mut usage);
        usage.end();
        after(event);
    });
}

/// The message is complete.
pub fn message_stop(out: &mut BytesMut) {
    event("message_stop", out, |_| {});
}

fn block_delta(index: u32, kind: &str, out: &mut BytesMut, body: impl FnOnce(&mut Object<'_>)) {
    event("content_block_delta", out, |event| {
        let mut delta = event.number("index", index.into()).object("delta");
        delta.str("type", kind);
        body(&mut delta);
        delta.end();
    });
}

/// Writes one event.
pub fn event(name: &str, out: &mut BytesMut, body: impl FnOnce(&mut Object<'_>)) {
    out.reserve(160);
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    let mut object = Object::begin(out);
    object.str("type", name);
    body(&mut object);
    object.end();
    out.put_slice(b"\n\n");
}
