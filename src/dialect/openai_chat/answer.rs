//! Writes a whole answer.
//!
//! Source: OpenAI API reference, "The chat completion object".

use std::borrow::Cow;

use bytes::BytesMut;

use super::{annotation, finish, losses, reasoning, tier, usage};
use crate::dialect::{
    AnswerOptions, Losses, Stamp,
    conversation::{Answer, AnswerBlock, Choice, FinishReason, Reasoning},
    json::{Array, Object},
};

/// Writes the `chat.completion` object, every member of the API's reference there.
pub(super) fn write(answer: &Answer<'_>, stamp: &Stamp, options: &AnswerOptions, out: &mut BytesMut, losses: &mut Losses) {
    let mut body = Object::begin(out);
    body.str("id", &stamp.id).word("object", "chat.completion");
    body.number("created", stamp.created).str("model", answer.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(&stamp.model));
    let mut choices = body.array("choices");
    answer.choices.iter().for_each(|choice| write_choice(&mut choices, choice, losses));
    choices.end();
    if let Some(used) = &answer.usage {
        usage::write(body.key("usage"), used, options);
    }
    if let Some(tier) = answer.service_tier.as_deref().and_then(|tier| tier::word(tier, losses)) {
        body.word("service_tier", tier);
    }
    match &answer.fingerprint {
        Some(fingerprint) => body.str("system_fingerprint", fingerprint),
        None => body.raw("system_fingerprint", "null"),
    };
    for (kind, _) in &answer.unknown {
        losses.report_at(&losses::ANSWER_UNKNOWN_MEMBER, format!("/{kind}"));
    }
    if let Some(notes) = &options.notes {
        body.str("provider", notes.provider());
        if let Some(id) = &answer.id {
            body.str("native_response_id", id);
        }
        body.perhaps("meta", |out| notes.meta(answer.model.as_deref(), answer.usage.as_ref(), out));
    }
    body.end();
}

fn write_choice(choices: &mut Array<'_>, choice: &Choice<'_>, losses: &mut Losses) {
    let mut object = choices.object();
    object.number("index", choice.index.into());
    let called = write_message(object.object("message"), choice, losses);
    write_logprobs(&mut object, choice);
    if choice.stop_sequence.is_some() {
        losses.report_at(&losses::ANSWER_STOP_SEQUENCE, "/stop_sequence".to_owned());
    }
    object.word("finish_reason", finish::reason(choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop), called, losses));
    object.end();
}

/// Writes the message; says whether it calls tools.
fn write_message(mut message: Object<'_>, choice: &Choice<'_>, losses: &mut Losses) -> bool {
    let mut content = None::<Cow<'_, str>>;
    let mut refusal = None::<Cow<'_, str>>;
    let mut thoughts: Vec<&Reasoning<'_>> = Vec::new();
    let mut calls = Vec::new();
    let mut citations = Vec::new();
    // Positions are told in characters, which are counted for them only.
    let counted = choice.blocks.iter().any(|block| matches!(block, AnswerBlock::Text { citations, .. } if !citations.is_empty()));
    let mut written = 0;
    for block in &choice.blocks {
        match block {
            AnswerBlock::Text { text, citations: cited } => {
                let start = written;
                written += if counted { text.chars().count() as u64 } else { 0 };
                citations.extend(cited.iter().map(|(dialect, raw)| (*dialect, &**raw, start..written)));
                join(&mut content, text);
            }
            AnswerBlock::Refusal(text) => join(&mut refusal, text),
            AnswerBlock::Reasoning(reasoning) => thoughts.push(reasoning),
            AnswerBlock::ToolCall { id, name, arguments } => calls.push((id, name, arguments)),
            AnswerBlock::Unknown { kind, .. } => losses.report_at(&losses::ANSWER_UNKNOWN_BLOCK, format!("/{kind}")),
        }
    }
    message.word("role", "assistant");
    nullable(&mut message, "content", content.as_deref());
    nullable(&mut message, "refusal", refusal.as_deref());
    write_reasoning(&mut message, &thoughts);
    if !citations.is_empty() {
        let mut list = message.array("annotations");
        for (dialect, raw, span) in citations {
            annotation::write(&mut list, dialect, raw, span, losses);
        }
        list.end();
    }
    if !calls.is_empty() {
        let mut list = message.array("tool_calls");
        for (id, name, arguments) in &calls {
            let mut call = list.object();
            call.str("id", id).word("type", "function");
            let mut function = call.object("function");
            function.str("name", name).str("arguments", if arguments.is_empty() { "{}" } else { arguments });
            function.end();
            call.end();
        }
        list.end();
    }
    message.end();
    !calls.is_empty()
}

/// Adds to a text, borrowed as long as it is one piece.
fn join<'a>(text: &mut Option<Cow<'a, str>>, more: &'a str) {
    match text {
        Some(text) => text.to_mut().push_str(more),
        None => *text = Some(Cow::Borrowed(more)),
    }
}

fn nullable(object: &mut Object<'_>, name: &str, text: Option<&str>) {
    match text {
        Some(text) => object.str(name, text),
        None => object.raw(name, "null"),
    };
}

/// The text for all who show it; with its proofs, where there are any, for the next turn.
fn write_reasoning(message: &mut Object<'_>, thoughts: &[&Reasoning<'_>]) {
    let text: String = thoughts.iter().map(|reasoning| &*reasoning.text).collect();
    if !text.is_empty() {
        message.str("reasoning_content", &text);
    }
    if thoughts.iter().any(|reasoning| reasoning.signature.is_some() || reasoning.redacted.is_some()) {
        let mut list = message.array("reasoning_details");
        thoughts.iter().enumerate().for_each(|(index, reasoning)| reasoning::write_detail(list.item(), reasoning, index));
        list.end();
    }
}

fn write_logprobs(object: &mut Object<'_>, choice: &Choice<'_>) {
    if choice.logprobs.is_none() && choice.refusal_logprobs.is_none() {
        object.raw("logprobs", "null");
        return;
    }
    let mut logprobs = object.object("logprobs");
    for (name, list) in [("content", &choice.logprobs), ("refusal", &choice.refusal_logprobs)] {
        match list {
            Some(elements) => {
                let out = logprobs.key(name);
                out.extend_from_slice(b"[");
                out.extend_from_slice(elements.as_bytes());
                out.extend_from_slice(b"]");
            }
            None => {
                logprobs.raw(name, "null");
            }
        }
    }
    logprobs.end();
}
