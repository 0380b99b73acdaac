//! What a relay reads from the spans of what goes by.

use std::borrow::Cow;

use crate::dialect::{
    Seen, StreamError,
    anthropic::{error, usage::Counts},
    scan::{Member, Members, elements},
    wire::{self, Str},
};

/// Where the words stand, without their quotes, in a `content_block_delta` that brings words and nothing else.
pub fn words(body: &[u8], members: &Members) -> Option<std::ops::Range<usize>> {
    let is = |members: &Members, name: &str, value: &[u8]| members.find(body, name).is_some_and(|member| member.bytes(body) == value);
    if !is(members, "type", b"\"content_block_delta\"") {
        return None;
    }
    let delta = Members::of(body, &members.find(body, "delta")?.value);
    let kinds: [(&[u8], &str); 3] =
        [(b"\"text_delta\"", "text"), (b"\"thinking_delta\"", "thinking"), (b"\"input_json_delta\"", "partial_json")];
    let (_, name) = kinds.into_iter().find(|(kind, _)| is(&delta, "type", kind))?;
    let words = delta.find(body, name).filter(|_| delta.len() == 2)?;
    (words.bytes(body).starts_with(b"\"") && words.value.len() > 2).then(|| words.value.start + 1..words.value.end - 1)
}

/// Notes in [`Seen`] what a Message tells, and never holds it.
#[derive(Debug, Default)]
pub struct Watch {
    counts: Counts,
}

/// What an event was, as far as a relay cares.
#[derive(Debug)]
pub enum Observed {
    /// `message_start`, with its message.
    Start(Member),
    /// `message_delta`, with its usage, if that can be added to.
    Delta(Option<Member>),
    /// `message_stop`.
    Stop,
    /// An error, which goes no further.
    Error,
    /// Anything else.
    Other,
}

impl Watch {
    /// Takes an event: `name` as its frame has it, `members` those of `data`.
    pub fn event(&mut self, name: &str, data: &str, members: &Members, seen: &mut Seen) -> Observed {
        let body = data.as_bytes();
        let said = || members.find(body, "error").filter(|error| error.bytes(body) != b"null");
        match &*kind(body, members).unwrap_or(Cow::Borrowed(name)) {
            "message_start" => {
                let Some(message) = object(body, members, "message") else { return Observed::Other };
                self.message(body, &Members::of(body, &message.value), seen);
                return Observed::Start(message.clone());
            }
            "content_block_start" => {
                if let Some(block) = members.find(body, "content_block") {
                    self.block(body, &Members::of(body, &block.value), false, seen);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = members.find(body, "delta") {
                    self.block(body, &Members::of(body, &delta.value), false, seen);
                }
            }
            "message_delta" => {
                if let Some(delta) = members.find(body, "delta") {
                    stop_reason(body, &Members::of(body, &delta.value), seen);
                }
                if let Some(usage) = members.find(body, "usage") {
                    self.usage(usage.text(body), seen);
                }
                return Observed::Delta(object(body, members, "usage").cloned());
            }
            "message_stop" => {
                seen.ended = true;
                return Observed::Stop;
            }
            "error" => return fail(said().map_or(data, |error| error.text(body)), seen),
            _ => {
                if let Some(error) = said() {
                    return fail(error.text(body), seen);
                }
            }
        }
        Observed::Other
    }

    /// Takes a whole Message; gives its usage.
    pub fn whole(&mut self, body: &[u8], members: &Members, seen: &mut Seen) -> Result<Option<Member>, StreamError> {
        if let Some(error) = members.find(body, "error").filter(|error| error.bytes(body) != b"null") {
            seen.error = Some(error::upstream_error(error.text(body)));
            return Ok(None);
        }
        let content = members.find(body, "content").ok_or_else(|| StreamError::malformed("a message without content"))?;
        self.message(body, members, seen);
        for block in elements(body, &content.value) {
            self.block(body, &Members::of(body, &block), true, seen);
        }
        stop_reason(body, members, seen);
        if !seen.finished {
            return Err(StreamError::malformed("a message without a stop_reason"));
        }
        seen.ended = true;
        Ok(object(body, members, "usage").cloned())
    }

    fn message(&mut self, body: &[u8], members: &Members, seen: &mut Seen) {
        seen.id = text(body, members, "id").or_else(|| seen.id.take());
        seen.model = text(body, members, "model").or_else(|| seen.model.take());
        if let Some(usage) = members.find(body, "usage") {
            self.usage(usage.text(body), seen);
        }
    }

    /// A block as it begins, a delta, or a whole block: what in it is the model's making.
    fn block(&mut self, body: &[u8], members: &Members, whole: bool, seen: &mut Seen) {
        let said = match &*kind(body, members).unwrap_or_default() {
            "text" | "text_delta" => "text",
            "thinking" | "thinking_delta" => "thinking",
            "input_json_delta" => "partial_json",
            "redacted_thinking" => "data",
            // A call's beginning is seen by the caller, and its input in whole is what it says.
            "tool_use" => {
                if whole {
                    "input"
                } else {
                    "name"
                }
            }
            _ => {
                seen.content = true;
                return;
            }
        };
        let bytes = members.find(body, said).map_or(0, |said| plain(said.bytes(body)).len());
        seen.content |= bytes > 0;
        seen.output_bytes = seen.output_bytes.saturating_add(bytes as u64);
    }

    fn usage(&mut self, usage: &str, seen: &mut Seen) {
        if let Some((usage, _)) = self.counts.tell(usage) {
            seen.usage = usage.believed();
        }
    }
}

/// Notes an error, which goes no further.
fn fail(error: &str, seen: &mut Seen) -> Observed {
    seen.error = Some(error::upstream_error(error));
    Observed::Error
}

/// The `type`, if it is there.
fn kind<'b>(body: &'b [u8], members: &Members) -> Option<Cow<'b, str>> {
    string(members.find(body, "type")?.text(body))
}

fn stop_reason(body: &[u8], members: &Members, seen: &mut Seen) {
    if let Some(reason) = text(body, members, "stop_reason") {
        seen.finish_reason = Some(reason);
        seen.finished = true;
    }
}

/// A member that is an object: only into one can something be added.
fn object<'m>(body: &[u8], members: &'m Members, name: &str) -> Option<&'m Member> {
    members.find(body, name).filter(|member| member.bytes(body).starts_with(b"{"))
}

/// A string member, unescaped.
fn text(body: &[u8], members: &Members, name: &str) -> Option<String> {
    string(members.find(body, name)?.text(body)).map(Cow::into_owned)
}

/// A JSON string's text. An escape in one of these is odd, but JSON.
fn string(json: &str) -> Option<Cow<'_, str>> {
    if json.contains('\\') {
        return wire::read::<Str<'_>>(json).ok().map(|text| text.0);
    }
    json.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// A JSON string without its quotes, its escapes as they are.
fn plain(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(json)
}
