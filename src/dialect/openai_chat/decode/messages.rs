//! Messages: instructions apart, turns in order.

use std::borrow::Cow;

use super::{Reader, content};
use crate::dialect::{
    Place,
    conversation::{Block, BlockKind, Instruction, Reasoning, Request, Role, Turn},
    openai_chat::{
        losses, reasoning,
        request::{FunctionCall, Message, ReasoningDetail, ToolCall},
    },
    wire::StrOr,
};

/// Reads all messages into `request`.
pub(super) fn read<'a>(mut messages: Vec<Message<'a>>, request: &mut Request<'a>, reader: &mut Reader<'_>) {
    let mut legacy = None;
    let mut answering = false;
    request.turns.reserve_exact(messages.len());
    for (index, message) in messages.iter_mut().enumerate() {
        let place = Place::of("messages", index);
        let role = message.role.take();
        // Consecutive tool messages answer one assistant turn together.
        let together = std::mem::replace(&mut answering, matches!(role.as_deref(), Some("tool" | "function")));
        match role.as_deref() {
            Some("system") => instruction(message, false, place, request, reader),
            Some("developer") => instruction(message, true, place, request, reader),
            Some("user") => request.turns.push(user(message, place, reader)),
            Some("assistant") => {
                if message.function_call.is_some() {
                    legacy = Some(legacy_id(index));
                }
                request.turns.push(assistant(message, legacy.as_ref(), place, reader));
            }
            Some(role @ ("tool" | "function")) => {
                let call_id = if role == "tool" { message.tool_call_id.take().map(|id| id.0) } else { legacy.clone() };
                let result = result(message, call_id, place, reader);
                match request.turns.last_mut() {
                    Some(turn) if together => turn.blocks.push(result),
                    _ => request.turns.push(Turn { role: Role::User, name: None, blocks: vec![result], place }),
                }
            }
            Some(_) => reader.wrong(place.field("role"), "expected system, developer, user, assistant, tool or function"),
            None => reader.wrong(place.field("role"), "is missing"),
        }
    }
}

/// Calls had no ids before there were tools: this one ties a `function` message to the call before it.
fn legacy_id<'a>(index: usize) -> Cow<'a, str> {
    Cow::Owned(format!("call_function_{index}"))
}

/// A system or developer message: one instruction per part, so that each keeps its cache marker.
fn instruction<'a>(message: &mut Message<'a>, developer: bool, place: Place, request: &mut Request<'a>, reader: &mut Reader<'_>) {
    let after = request.turns.len();
    let first = request.instructions.len();
    match message.content.take() {
        Some(StrOr::Str(text)) => {
            request.instructions.push(Instruction { text: text.0, developer, after, cache: None, place });
        }
        Some(StrOr::Or(parts)) => {
            for (index, raw) in parts.into_iter().enumerate() {
                let place = place.item("content", index);
                let Some(Block { kind, cache, .. }) = content::part(raw, place, reader) else { continue };
                match kind {
                    BlockKind::Text { text, .. } => {
                        request.instructions.push(Instruction { text, developer, after, cache, place });
                    }
                    _ => reader.wrong(place.field("type"), "expected text"),
                }
            }
        }
        None => reader.wrong(place.field("content"), "is missing"),
    }
    let cache = message.cache_control.as_deref().map(content::cache_marker);
    if let (Some(last), Some(cache)) = (request.instructions.get_mut(first..).and_then(<[_]>::last_mut), cache) {
        last.cache = Some(cache);
    }
    if message.name.is_some() {
        reader.lost(&losses::PARTICIPANT_NAME, place.field("name"));
    }
    reader.unknown(&message.unknown, place);
}

fn user<'a>(message: &mut Message<'a>, place: Place, reader: &mut Reader<'_>) -> Turn<'a> {
    let mut blocks = Vec::new();
    match message.content.take() {
        Some(body) => content::read(body, place, &mut blocks, reader),
        None => reader.wrong(place.field("content"), "is missing"),
    }
    finish(message, &mut blocks, place, reader);
    Turn { role: Role::User, name: message.name.take().map(|name| (*name).0), blocks, place }
}

/// An assistant message: its reasoning, its words, its refusal, its calls.
fn assistant<'a>(message: &mut Message<'a>, legacy: Option<&Cow<'a, str>>, place: Place, reader: &mut Reader<'_>) -> Turn<'a> {
    let mut blocks = Vec::new();
    replayed_reasoning(message, place, &mut blocks);
    if let Some(body) = message.content.take() {
        content::read(body, place, &mut blocks, reader);
    }
    if let Some(refusal) = message.refusal.take() {
        blocks.push(Block { kind: BlockKind::Refusal((*refusal).0), cache: None, place: place.field("refusal") });
    }
    for (index, call) in message.tool_calls.take().unwrap_or_default().into_iter().enumerate() {
        blocks.extend(tool_call(call, place.item("tool_calls", index), reader));
    }
    if let (Some(call), Some(id)) = (message.function_call.take(), legacy) {
        let place = place.within("function_call");
        reader.unknown(&call.unknown, place);
        blocks.push(Block { kind: function_call(id.clone(), *call), cache: None, place });
    }
    finish(message, &mut blocks, place, reader);
    Turn { role: Role::Assistant, name: message.name.take().map(|name| (*name).0), blocks, place }
}

/// A `tool` or `function` message.
fn result<'a>(message: &mut Message<'a>, call_id: Option<Cow<'a, str>>, place: Place, reader: &mut Reader<'_>) -> Block<'a> {
    let mut inside = Vec::new();
    if let Some(body) = message.content.take() {
        content::read(body, place, &mut inside, reader);
    }
    let call_id = call_id.unwrap_or_else(|| {
        reader.wrong(place.field("tool_call_id"), "is missing");
        Cow::Borrowed("")
    });
    let kind = BlockKind::ToolResult { call_id, content: inside, is_error: None };
    let mut block = [Block { kind, cache: None, place }];
    finish(message, &mut block, place, reader);
    let [block] = block;
    block
}

/// What all turns end with: the message's own cache marker, and what nobody asked for.
fn finish<'a>(message: &mut Message<'a>, blocks: &mut [Block<'a>], place: Place, reader: &mut Reader<'_>) {
    if let (Some(last), Some(cache)) = (blocks.last_mut(), &message.cache_control) {
        last.cache = Some(content::cache_marker(cache));
    }
    reader.unknown(&message.unknown, place);
}

fn tool_call<'a>(call: ToolCall<'a>, place: Place, reader: &mut Reader<'_>) -> Option<Block<'a>> {
    let id = call.id.map(|id| id.0).unwrap_or_default();
    reader.unknown(&call.unknown, place);
    let wrapper = if call.kind.as_deref() == Some("custom") { "custom" } else { "function" };
    let kind = match (call.kind.as_deref(), call.function, call.custom) {
        (Some("function") | None, Some(function), _) => {
            reader.unknown(&function.unknown, place.field("function"));
            function_call(id, function)
        }
        (Some("custom"), _, Some(custom)) => {
            reader.unknown(&custom.unknown, place.field("custom"));
            let name = custom.name.map(|name| name.0).unwrap_or_default();
            BlockKind::ToolCall { id, name, arguments: custom.input.map(|input| input.0).unwrap_or_default(), freeform: true }
        }
        (Some("function") | None, None, _) => {
            reader.wrong(place.field("function"), "is missing");
            return None;
        }
        (Some("custom"), _, None) => {
            reader.wrong(place.field("custom"), "is missing");
            return None;
        }
        (Some(_), ..) => {
            reader.wrong(place.field("type"), "expected function or custom");
            return None;
        }
    };
    Some(Block { kind, cache: call.cache_control.as_deref().map(content::cache_marker), place: place.wrapped(wrapper) })
}

fn function_call<'a>(id: Cow<'a, str>, call: FunctionCall<'a>) -> BlockKind<'a> {
    let name = call.name.map(|name| name.0).unwrap_or_default();
    BlockKind::ToolCall { id, name, arguments: call.arguments.map(|text| text.0).unwrap_or_default(), freeform: false }
}

/// `reasoning_details` where they hold the text, else `reasoning_content`, which says the same without its proofs.
fn replayed_reasoning<'a>(message: &mut Message<'a>, place: Place, blocks: &mut Vec<Block<'a>>) {
    let member = if message.reasoning_content.is_some() { "reasoning_content" } else { "reasoning" };
    let plain = message.reasoning_content.take().or(message.reasoning.take()).map(|text| (*text).0).filter(|text| !text.is_empty());
    let details = message.reasoning_details.take().unwrap_or_default();
    if plain.is_none() && details.is_empty() {
        return;
    }
    let mut pieces: Vec<(Reasoning<'a>, Option<u64>, Place)> = Vec::with_capacity(details.len() + 1);
    for (at, detail) in details.into_iter().enumerate() {
        let index = detail.index.and_then(|index| index.count());
        let piece = detail_of(detail);
        match pieces.last_mut() {
            // What was streamed in pieces may come back in pieces.
            Some((last, number, _))
                if index.is_some()
                    && *number == index
                    && last.signature.is_none()
                    && last.redacted.is_none()
                    && piece.redacted.is_none() =>
            {
                last.text.to_mut().push_str(&piece.text);
                last.signature = piece.signature;
                last.issuer = piece.issuer.or(last.issuer.take());
            }
            _ => pieces.push((piece, index, place.item("reasoning_details", at))),
        }
    }
    if let Some(plain) = plain.filter(|_| pieces.iter().all(|(piece, ..)| piece.text.is_empty())) {
        match pieces.iter_mut().find(|(piece, ..)| piece.signature.is_some()) {
            Some((piece, ..)) => piece.text = plain,
            None => pieces.insert(0, (Reasoning { text: plain, ..Reasoning::default() }, None, place.field(member))),
        }
    }
    blocks.extend(pieces.into_iter().map(|(piece, _, place)| Block { kind: BlockKind::Reasoning(piece), cache: None, place }));
}

fn detail_of(detail: ReasoningDetail<'_>) -> Reasoning<'_> {
    let signature = detail.signature.map(|signature| signature.0).filter(|signature| !signature.is_empty());
    let redacted = detail.data.map(|data| data.0);
    let issuer = detail.format.map(|format| reasoning::issuer(format.0)).filter(|_| signature.is_some() || redacted.is_some());
    let text = detail.text.or(detail.summary).map(|text| text.0).unwrap_or_default();
    Reasoning { text, signature, redacted, issuer }
}
