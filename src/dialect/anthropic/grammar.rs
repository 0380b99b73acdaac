//! What a strict client accepts.

use std::borrow::Cow;

use super::reply;
use crate::dialect::{
    frame::Frame,
    grammar::{Grammar, Violation},
    wire::{self, Raw, Str},
};

/// Checks a streamed Message.
///
/// ```text
/// Begin --message_start--> Between --content_block_start--> Block --content_block_stop--> Between
///                             |                            (its own deltas)
///                             +--message_delta with a stop_reason--> Told --message_stop--> End
/// ```
///
/// A `ping` may come anywhere before the end, and an `error` ends the stream anywhere. Blocks are numbered from 0 without
/// gaps, one at a time; every event is named as its `type`; every Message and usage has the members that the SDKs' types
/// demand.
#[derive(Debug)]
pub struct MessageGrammar {
    state: State,
    blocks: u32,
    violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begin,
    Between,
    Block(Kind),
    Told,
    End,
}

/// Which deltas a block takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
    Whole,
}

impl Default for MessageGrammar {
    fn default() -> Self {
        Self { state: State::Begin, blocks: 0, violation: None }
    }
}

impl MessageGrammar {
    fn check(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let Some(data) = &frame.data else { return Ok(()) };
        if self.state == State::End {
            return Err(violation(format!("event `{}` after the end", frame.event)));
        }
        let event: reply::StreamEvent<'_> =
            wire::read(data).map_err(|detail| violation(format!("event `{}`{}: {}", frame.event, detail.path, detail.message)))?;
        let kind = event.kind.as_deref().unwrap_or_default();
        if kind != frame.event {
            return Err(violation(format!("event `{}` has the type `{kind}`", frame.event)));
        }
        self.state = match (self.state, kind) {
            (state, "ping") => state,
            (_, "error") => {
                required(event.error, "error")?;
                State::End
            }
            (State::Begin, "message_start") => {
                message(read(required(event.message, "message")?)?)?;
                State::Between
            }
            (State::Between, "content_block_start") => {
                self.index(event.index, self.blocks)?;
                self.blocks += 1;
                State::Block(block(required(event.content_block, "content_block")?)?)
            }
            (State::Block(block), "content_block_delta") => {
                self.index(event.index, self.blocks - 1)?;
                delta(block, &event.delta.ok_or_else(|| missing("delta"))?)?;
                State::Block(block)
            }
            (State::Block(_), "content_block_stop") => {
                self.index(event.index, self.blocks - 1)?;
                State::Between
            }
            (State::Between, "message_delta") => {
                if event.delta.and_then(|delta| delta.stop_reason).is_none() {
                    return Err(missing("delta/stop_reason"));
                }
                usage(required(event.usage, "usage")?, false)?;
                State::Told
            }
            (State::Told, "message_stop") => State::End,
            (state, _) => return Err(violation(format!("event `{kind}` in the state {state:?}"))),
        };
        Ok(())
    }

    fn index(&self, index: Option<u32>, expected: u32) -> Result<(), Violation> {
        if index == Some(expected) { Ok(()) } else { Err(violation(format!("index {index:?} where {expected} was expected"))) }
    }
}

impl Grammar for MessageGrammar {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        self.check(frame).inspect_err(|violation| self.violation = Some(violation.clone()))
    }

    fn finish(&mut self) -> Result<(), Violation> {
        match (&self.violation, self.state) {
            (Some(violation), _) => Err(violation.clone()),
            (None, State::End) => Ok(()),
            (None, state) => Err(violation(format!("the stream ends in the state {state:?}"))),
        }
    }
}

fn message(message: reply::Message<'_>) -> Result<(), Violation> {
    if message.kind.as_deref() != Some("message") || message.role.as_deref() != Some("assistant") {
        return Err(violation("a message's type is `message` and its role `assistant`"));
    }
    if message.id.as_deref().unwrap_or_default().is_empty() {
        return Err(missing("message/id"));
    }
    if message.model.is_none() {
        return Err(missing("message/model"));
    }
    if message.content.is_none_or(|content| !content.is_empty()) {
        return Err(violation("a message begins with an empty content"));
    }
    usage(required(message.usage.map(|usage| usage.raw), "message/usage")?, true)
}

/// A usage has whole numbers; the first one says the input, too.
fn usage(raw: Raw<'_>, input: bool) -> Result<(), Violation> {
    let usage: reply::Usage<'_> = wire::read(raw.get()).map_err(|detail| violation(format!("usage{}: {}", detail.path, detail.message)))?;
    let whole = |number: Option<wire::Number<'_>>| number.is_some_and(|number| number.count().is_some());
    if !whole(usage.output_tokens) || (input && !whole(usage.input_tokens)) {
        return Err(violation("a usage counts its tokens in whole numbers"));
    }
    Ok(())
}

/// A block begins with all the members that its deltas grow.
fn block(raw: Raw<'_>) -> Result<Kind, Violation> {
    let block: reply::ContentBlock<'_> = wire::read(raw.get()).map_err(|_| violation("a content block is an object"))?;
    let string = |member: Option<Raw<'_>>| member.is_some_and(|member| member.get().starts_with('"'));
    let (kind, complete) = match &*block.kind.unwrap_or_default() {
        "text" => (Kind::Text, string(block.text.map(|text| text.raw)) && block.citations.is_none_or(|list| list.get().starts_with('['))),
        "thinking" => (Kind::Thinking, string(block.thinking.map(|thinking| thinking.raw)) && string(block.signature)),
        "redacted_thinking" => (Kind::Whole, string(block.data)),
        "tool_use" => {
            let id = block.id.map(read::<Str<'_>>).transpose()?;
            let id =
                id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
            (Kind::ToolUse, id && string(block.name) && block.input.is_some_and(|input| input.get().starts_with('{')))
        }
        "server_tool_use" | "mcp_tool_use" => (Kind::ToolUse, true),
        "" => return Err(missing("content_block/type")),
        _ => (Kind::Whole, true),
    };
    if complete { Ok(kind) } else { Err(violation("a content block without all of its members")) }
}

fn delta(block: Kind, delta: &reply::Delta<'_>) -> Result<(), Violation> {
    let kind = delta.kind.as_deref().unwrap_or_default();
    let fits = match (block, kind) {
        (Kind::Text, "text_delta") => delta.text.is_some(),
        (Kind::Text, "citations_delta") => delta.citation.is_some(),
        (Kind::Thinking, "thinking_delta") => delta.thinking.is_some(),
        (Kind::Thinking, "signature_delta") => delta.signature.is_some(),
        (Kind::ToolUse, "input_json_delta") => delta.partial_json.is_some(),
        _ => false,
    };
    if fits { Ok(()) } else { Err(violation(format!("`{kind}` in a block of another kind"))) }
}

fn read<'a, T: wire::Wire<'a>>(raw: Raw<'a>) -> Result<T, Violation> {
    wire::read(raw.get()).map_err(|detail| violation(format!("{}: {}", detail.path, detail.message)))
}

fn required<'a>(raw: Option<Raw<'a>>, name: &str) -> Result<Raw<'a>, Violation> {
    raw.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Violation {
    violation(format!("`{name}` is missing"))
}

fn violation<'m>(message: impl Into<Cow<'m, str>>) -> Violation {
    Violation(message.into().into_owned())
}
