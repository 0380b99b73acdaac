//! A whole Message, written.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::{
    ISSUER, NAME,
    encode::{is_object, write_input},
    losses,
    names::conforming_id,
    reply::{self, Told},
    usage,
};
use crate::dialect::{
    AnswerOptions, Edits, Losses, Notes, Place, Stamp, Usage,
    conversation::{Answer, AnswerBlock, Choice, FinishReason, Reasoning},
    json::{Array, Object},
    scan::Members,
};

/// Writes `answer` as a Message. What it cannot say is reported to `losses`.
pub fn write(answer: &Answer<'_>, stamp: &Stamp, options: &AnswerOptions, out: &mut BytesMut, losses: &mut Losses) {
    let none = Choice::default();
    let choice = answer.choices.iter().find(|choice| choice.index == 0).unwrap_or(&none);
    report_unsayable(answer, choice, losses);
    let mut message = Object::begin(out);
    id(stamp, answer.id.as_deref(), &mut message);
    message.str("type", "message").str("role", "assistant").str("model", answer.model.as_deref().unwrap_or(&stamp.model));
    let mut content = message.array("content");
    let told = blocks(choice, &mut content, losses);
    content.end();
    let reason = choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    message.str("stop_reason", reply::stop_reason(reason, told).unwrap_or("end_turn"));
    stop_sequence(choice.stop_sequence.as_deref(), &mut message);
    // The API has its counts always, told or not.
    let used = answer.usage.unwrap_or_default();
    let mut counts = message.object("usage");
    usage::write(&used, &mut counts);
    if used.cache_write_1h > 0 {
        let mut creation = counts.object("cache_creation");
        creation.number("ephemeral_5m_input_tokens", used.cache_write_5m).number("ephemeral_1h_input_tokens", used.cache_write_1h);
        creation.end();
    }
    if let Some(tier) = answer.service_tier.as_deref().and_then(reply::service_tier) {
        counts.str("service_tier", tier);
    }
    cost(options.notes.as_deref().filter(|_| options.rich_usage), answer.usage.as_ref(), &mut counts);
    counts.end();
    notes(options.notes.as_deref(), answer.id.as_deref(), &mut message);
    if let Some(notes) = &options.notes {
        message.perhaps("meta", |out| notes.meta(answer.model.as_deref(), answer.usage.as_ref(), out));
    }
    message.end();
}

/// Writes the `id`: the provider's own, since follow-up calls name it, or one derived from the call's.
pub fn id(stamp: &Stamp, id: Option<&str>, message: &mut Object<'_>) {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => _ = message.str("id", id),
        None => _ = message.str("id", &format!("msg_{}", stamp.id.strip_prefix("G-").unwrap_or(&stamp.id))),
    }
}

/// Writes `stop_sequence`, which is always there.
pub fn stop_sequence(sequence: Option<&str>, object: &mut Object<'_>) {
    match sequence {
        Some(sequence) => _ = object.str("stop_sequence", sequence),
        None => _ = object.raw("stop_sequence", "null"),
    }
}

/// Writes what stands beside the dialect's own members: the provider's name, and its id of the answer.
pub fn notes(notes: Option<&dyn Notes>, id: Option<&str>, message: &mut Object<'_>) {
    if let Some(notes) = notes {
        message.str("provider", notes.provider());
        if let Some(id) = id {
            message.str("native_response_id", id);
        }
    }
}

/// Writes the `cost` of `used`, if there is one to tell: of a usage that was not told there is none.
pub fn cost(notes: Option<&dyn Notes>, used: Option<&Usage>, usage: &mut Object<'_>) {
    if let (Some(notes), Some(used)) = (notes, used) {
        usage.perhaps("cost", |out| notes.cost(used, out));
    }
}

fn blocks(choice: &Choice<'_>, content: &mut Array<'_>, losses: &mut Losses) -> Told {
    let mut told = Told { stop_sequence: choice.stop_sequence.is_some(), ..Told::default() };
    let place = Place::of("choices", choice.index as usize).field("message");
    for block in &choice.blocks {
        match block {
            AnswerBlock::Text { text, citations } => self::text(text, citations, place, content, losses),
            AnswerBlock::Refusal(refusal) => {
                told.refusal = true;
                self::text(refusal, &[], place, content, losses);
            }
            AnswerBlock::Reasoning(reasoning) => self::reasoning(reasoning, place, content, losses),
            AnswerBlock::ToolCall { id, name, arguments } => {
                told.tool_use = true;
                let mut call = content.object();
                call.str("type", "tool_use").str("id", &conforming_id(id)).str("name", name);
                if !write_input(arguments, call.key("input")) {
                    losses.report(&losses::ANSWER_ARGUMENTS, place.field("message/tool_calls"));
                }
                call.end();
            }
            AnswerBlock::Unknown { kind, raw, input } if reply::is_ours(kind) => {
                content.item().extend_from_slice(with_input(raw, input).as_bytes());
            }
            AnswerBlock::Unknown { .. } => losses.report(&losses::ANSWER_BLOCK, place),
        }
    }
    told
}

fn text(text: &str, citations: &[(&'static str, Cow<'_, str>)], place: Place, content: &mut Array<'_>, losses: &mut Losses) {
    if citations.iter().any(|(dialect, _)| *dialect != NAME) {
        losses.report(&losses::ANSWER_CITATION, place.field("message/annotations"));
    }
    if text.is_empty() {
        return;
    }
    let mut block = content.object();
    block.str("type", "text").str("text", text);
    let mut ours = citations.iter().filter(|(dialect, _)| *dialect == NAME).peekable();
    if ours.peek().is_some() {
        let mut list = block.array("citations");
        ours.for_each(|(_, raw)| list.item().extend_from_slice(raw.as_bytes()));
        list.end();
    }
    block.end();
}

/// A thought, with its signature if Anthropic made it.
fn reasoning(reasoning: &Reasoning<'_>, place: Place, content: &mut Array<'_>, losses: &mut Losses) {
    let ours = reasoning.issuer.as_deref() == Some(ISSUER);
    if !ours && (reasoning.signature.is_some() || reasoning.redacted.is_some()) {
        losses.report(&losses::ANSWER_REASONING_TOKEN, place);
    }
    let signature = reasoning.signature.as_deref().filter(|_| ours);
    if !reasoning.text.is_empty() || signature.is_some() {
        let mut block = content.object();
        block.str("type", "thinking").str("thinking", &reasoning.text).str("signature", signature.unwrap_or_default());
        block.end();
    }
    if let Some(data) = reasoning.redacted.as_deref().filter(|_| ours) {
        let mut block = content.object();
        block.str("type", "redacted_thinking").str("data", data);
        block.end();
    }
}

/// A server tool's block with the input that followed its opening.
fn with_input<'b>(raw: &'b str, input: &str) -> Cow<'b, str> {
    if !is_object(input) || !raw.starts_with('{') {
        return Cow::Borrowed(raw);
    }
    let body = Bytes::copy_from_slice(raw.as_bytes());
    let members = Members::of(&body, &(0..body.len()));
    let mut edits = Edits::default();
    edits.set(&body, &members, "input", input);
    String::from_utf8(edits.apply(&body).concat()).map_or(Cow::Borrowed(raw), Cow::Owned)
}

fn report_unsayable(answer: &Answer<'_>, choice: &Choice<'_>, losses: &mut Losses) {
    for other in answer.choices.iter().filter(|choice| choice.index != 0) {
        losses.report(&losses::ANSWER_CHOICES, Place::of("choices", other.index as usize));
    }
    let place = Place::of("choices", 0);
    if choice.logprobs.is_some() || choice.refusal_logprobs.is_some() {
        losses.report(&losses::ANSWER_LOGPROBS, place.field("logprobs"));
    }
    if matches!(choice.finish_reason, Some(FinishReason::Other(_))) {
        losses.report(&losses::ANSWER_FINISH_REASON, place.field("finish_reason"));
    }
    if answer.service_tier.as_deref().is_some_and(|tier| reply::service_tier(tier).is_none()) {
        losses.report(&losses::ANSWER_SERVICE_TIER, Place::member("service_tier"));
    }
    if answer.fingerprint.is_some() {
        losses.report(&losses::ANSWER_FINGERPRINT, Place::member("system_fingerprint"));
    }
    for (kind, _) in &answer.unknown {
        losses.report_at(&losses::ANSWER_MEMBER, format!("/{kind}"));
    }
}
