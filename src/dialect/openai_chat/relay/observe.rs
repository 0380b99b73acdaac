//! What a chunk or a whole answer tells the gateway, read from its spans.

use std::{borrow::Cow, ops::Range};

use crate::dialect::{
    Seen,
    conversation::{Event, FinishReason},
    openai_chat::usage,
    scan::{self, Members},
};

/// Whether this is an error in an answer's place.
pub(super) fn is_error(body: &[u8], members: &Members) -> bool {
    let said = |name: &str| members.find(body, name).is_some_and(|member| member.bytes(body) != b"null");
    let object = members.find(body, "object").is_some_and(|object| object.bytes(body) == b"\"error\"");
    object || said("error") || (!said("choices") && ["message", "detail", "msg", "errors"].into_iter().any(said)) || failed(body, members)
}

/// Whether a choice bears the error, as OpenRouter's do.
fn failed(body: &[u8], members: &Members) -> bool {
    // Looked for only where the word is: the choices are most of the answer.
    let Some(choices) = members.find(body, "choices") else { return false };
    if memchr::memmem::find(choices.bytes(body), b"\"error\"").is_none() {
        return false;
    }
    scan::elements(body, &choices.value)
        .any(|choice| Members::of(body, &choice).find(body, "error").is_some_and(|error| error.text(body).starts_with(['{', '"'])))
}

/// Notes what the answer tells. Gives the number of choices in it.
pub(super) fn answer(body: &[u8], members: &Members, seen: &mut Seen) -> usize {
    let mut choices = 0;
    let mut used = members.find(body, "usage").map(|usage| usage.value.clone());
    for member in members {
        if member.is(body, "id") || member.is(body, "model") {
            let text = string(member.text(body)).filter(|text| !text.is_empty());
            let (id, model) = if member.is(body, "id") { (text, None) } else { (None, text) };
            seen.observe(&Event::Start { id, model, created: None });
        } else if member.is(body, "choices") {
            for (position, span) in scan::elements(body, &member.value).enumerate() {
                choice(body, &span, position, &mut used, seen);
                choices += 1;
            }
        } else if member.is(body, "x_groq") {
            let groq = Members::of(body, &member.value);
            used = used.or_else(|| groq.find(body, "usage").map(|usage| usage.value.clone()));
        }
    }
    if let Some(usage) = used.and_then(|span| usage::read(text(body, &span))) {
        seen.observe(&Event::Usage(usage));
    }
    choices
}

/// Where the words stand, without their quotes, in a chunk that has one choice, and in it words and nothing else.
pub(super) fn words(body: &[u8], members: &Members) -> Option<Range<usize>> {
    let choices = members.find(body, "choices")?;
    let mut list = scan::elements(body, &choices.value);
    let choice = Members::of(body, &list.next()?);
    if list.next().is_some() || choice.find(body, "finish_reason").is_some_and(|reason| reason.bytes(body) != b"null") {
        return None;
    }
    let delta = choice.find(body, "delta")?;
    let delta = Members::of(body, &delta.value);
    let only = delta.iter().next().filter(|only| delta.len() == 1 && only.is(body, "content"))?;
    (only.bytes(body).starts_with(b"\"") && only.value.len() > 2).then(|| only.value.start + 1..only.value.end - 1)
}

fn choice(body: &[u8], span: &Range<usize>, position: usize, used: &mut Option<Range<usize>>, seen: &mut Seen) {
    let members = Members::of(body, span);
    let index = members.find(body, "index").and_then(|index| index.text(body).parse().ok());
    let index = index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
    // Says that the choice began, whatever of it is here.
    seen.observe(&Event::Logprobs { choice: index, refusal: false, elements: Cow::Borrowed("") });
    let mut finish = None;
    for member in &members {
        if member.is(body, "delta") || member.is(body, "message") {
            message(body, &Members::of(body, &member.value), seen);
        } else if member.is(body, "finish_reason") {
            finish = string(member.text(body)).filter(|reason| !reason.is_empty());
        } else if member.is(body, "usage") && used.is_none() {
            *used = Some(member.value.clone());
        }
    }
    if let Some(reason) = finish {
        seen.observe(&Event::Finish { choice: index, reason: FinishReason::Other(reason), stop_sequence: None });
    }
}

/// Counts what the model made: every member of a message that is not about it.
fn message(body: &[u8], members: &Members, seen: &mut Seen) {
    // `reasoning` beside `reasoning_content` is the same words again.
    let reasoned = members.find(body, "reasoning_content").is_some_and(|text| !matches!(text.bytes(body), b"null" | b"\"\""));
    for member in members {
        let value = member.bytes(body);
        let repeated = reasoned && member.is(body, "reasoning");
        if matches!(value, b"null" | b"\"\"" | b"[]" | b"{}") || member.is(body, "role") || repeated {
            continue;
        }
        if member.is(body, "tool_calls") {
            scan::elements(body, &member.value).for_each(|call| tool_call(body, &call, seen));
        } else if member.is(body, "function_call") {
            function(body, &member.value, seen);
        } else if value.starts_with(b"\"") {
            seen.came(value.len() - 2);
        } else if member.is(body, "content") {
            seen.came(value.len());
        } else {
            // Annotations, details, sound: content, though not the model's words.
            seen.content = true;
        }
    }
}

fn tool_call(body: &[u8], span: &Range<usize>, seen: &mut Seen) {
    let call = Members::of(body, span);
    for member in &call {
        if member.is(body, "function") || member.is(body, "custom") {
            function(body, &member.value, seen);
        }
    }
}

fn function(body: &[u8], span: &Range<usize>, seen: &mut Seen) {
    for member in &Members::of(body, span) {
        let value = member.bytes(body);
        if value.starts_with(b"\"") {
            seen.came(value.len() - 2);
        }
    }
}

fn text<'b>(body: &'b [u8], span: &Range<usize>) -> &'b str {
    body.get(span.clone()).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// A JSON string's text.
fn string(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}
