//! Instructions and turns as messages.

use std::collections::HashSet;

use super::{Writer, content, settings::Output};
use crate::dialect::{
    conversation::{Block, BlockKind, Instruction, Reasoning, Role, Turn},
    json::{Array, Object},
    openai_chat::{losses, reasoning},
    wire::Raw,
};

/// Writes `messages`.
pub(super) fn write(body: &mut Object<'_>, output: &Output<'_>, writer: &mut Writer<'_>) {
    let request = writer.request;
    let mut messages = body.array("messages");
    let mut instructions = request.instructions.iter().peekable();
    let mut calls: HashSet<&str> = HashSet::new();
    let mut at = 0;

    if let Output::Instructed(schema) = output {
        write_schema(*schema, &mut messages);
    }
    while at < request.turns.len() {
        let turns = run(&request.turns[at..]);
        // Tool messages have to follow their calls at once, so the results of a run of user turns go first.
        if turns.first().is_some_and(|turn| turn.role == Role::User) {
            write_instructions(&mut instructions, at, &mut messages, writer);
            write_results(turns, &calls, &mut messages, writer);
        }
        for (offset, turn) in turns.iter().enumerate() {
            write_instructions(&mut instructions, at + offset, &mut messages, writer);
            match turn.role {
                Role::User => write_user(turn, &mut messages, writer),
                Role::Assistant => write_assistant(turn, &mut calls, &mut messages, writer),
            }
        }
        at += turns.len();
    }
    write_instructions(&mut instructions, usize::MAX, &mut messages, writer);
    messages.end();

    if let Some(last) = request.turns.last().filter(|turn| turn.role == Role::Assistant) {
        writer.lost(&losses::PREFILL, last.place);
    }
}

/// The turns at the front with the same role.
fn run<'t, 'a>(turns: &'t [Turn<'a>]) -> &'t [Turn<'a>] {
    let same = turns.iter().take_while(|turn| turns.first().is_some_and(|first| first.role == turn.role)).count();
    turns.get(..same).unwrap_or_default()
}

type Instructions<'i, 'a> = std::iter::Peekable<std::slice::Iter<'i, Instruction<'a>>>;

/// Writes the instructions that stand before turn `at`: neighbours of one role as the parts of one message.
fn write_instructions(instructions: &mut Instructions<'_, '_>, at: usize, messages: &mut Array<'_>, writer: &mut Writer<'_>) {
    let role = writer.target.capabilities.developer_role;
    while let Some(first) = instructions.next_if(|instruction| instruction.after <= at) {
        let developer = first.developer && role;
        let mut parts = vec![first];
        while let Some(more) = instructions.next_if(|more| more.after == first.after && (more.developer && role) == developer) {
            parts.push(more);
        }
        for part in parts.iter().filter(|part| part.developer && !role) {
            writer.lost(&losses::DEVELOPER_ROLE, part.place.outermost().field("role"));
        }
        let mut message = messages.object();
        message.str("role", if developer { "developer" } else { "system" });
        let parts = parts.into_iter().map(|part| content::Part::text(&part.text, part.cache.as_ref(), part.place)).collect();
        content::write(&mut message, parts, writer);
        message.end();
    }
}

/// Asks for an answer after `schema` in words, of a provider that has a JSON mode and no schemas.
fn write_schema(schema: Option<Raw<'_>>, messages: &mut Array<'_>) {
    let Some(schema) = schema else { return };
    let mut message = messages.object();
    message.str("role", "system");
    message.str("content", &format!("Answer with one JSON object that conforms to this JSON Schema, and nothing else:\n{}", schema.get()));
    message.end();
}

/// Writes one tool message per result; what a tool message cannot hold follows in a user message.
fn write_results(turns: &[Turn<'_>], calls: &HashSet<&str>, messages: &mut Array<'_>, writer: &mut Writer<'_>) {
    let mut aside: Vec<(&str, &Block<'_>)> = Vec::new();
    for block in turns.iter().flat_map(|turn| &turn.blocks) {
        let BlockKind::ToolResult { call_id, content: inside, is_error } = &block.kind else { continue };
        if !calls.contains(&**call_id) {
            writer.lost(&losses::ORPHAN_TOOL_RESULT, block.place);
            continue;
        }
        if *is_error == Some(true) {
            writer.lost(&losses::TOOL_RESULT_ERROR, block.place.field("is_error"));
        }
        let mut parts: Vec<_> = inside
            .iter()
            .filter_map(|part| match &part.kind {
                BlockKind::Text { text, .. } => Some(content::Part::text(text, part.cache.as_ref(), part.place)),
                _ => {
                    writer.lost(&losses::TOOL_RESULT_MEDIA, part.place);
                    aside.push((call_id, part));
                    None
                }
            })
            .collect();
        // The marker of the whole result goes to its last part, and where there is none it is lost.
        match (&block.cache, parts.last_mut()) {
            (None, _) => {}
            (Some(cache), Some(last)) => last.mark(cache, block.place, writer),
            (Some(_), None) => writer.lost(&losses::CACHE_CONTROL, block.place.field("cache_control")),
        }
        let mut message = messages.object();
        message.str("role", "tool").str("tool_call_id", call_id);
        content::write(&mut message, parts, writer);
        message.end();
    }
    if !aside.is_empty() {
        let mut message = messages.object();
        message.str("role", "user");
        let mut list = message.array("content");
        for (call_id, block) in aside {
            content::write_label(&mut list, &format!("From the result of tool call {call_id}:"));
            content::write_part(&mut list, block, writer);
        }
        list.end();
        message.end();
    }
}

fn write_user(turn: &Turn<'_>, messages: &mut Array<'_>, writer: &mut Writer<'_>) {
    let blocks: Vec<_> = turn.blocks.iter().filter(|block| !matches!(block.kind, BlockKind::ToolResult { .. })).collect();
    if blocks.is_empty() {
        return;
    }
    let mut message = messages.object();
    message.str("role", "user");
    write_name(&mut message, turn);
    content::write_blocks(&mut message, &blocks, writer);
    message.end();
}

fn write_name(message: &mut Object<'_>, turn: &Turn<'_>) {
    if let Some(name) = &turn.name {
        message.str("name", name);
    }
}

/// Writes the model's own words, reasoning and calls, if there are any that the provider takes back.
fn write_assistant<'r>(turn: &'r Turn<'_>, calls: &mut HashSet<&'r str>, messages: &mut Array<'_>, writer: &mut Writer<'_>) {
    let mut words = Vec::new();
    let mut thoughts = Vec::new();
    let mut made = Vec::new();
    let mut refusal = None;
    for block in &turn.blocks {
        match &block.kind {
            BlockKind::Reasoning(_) if !writer.target.capabilities.reasoning_replay => writer.lost(&losses::REASONING_REPLAY, block.place),
            BlockKind::Reasoning(reasoning) => thoughts.push((block, reasoning)),
            BlockKind::ToolCall { name, .. } if name.is_empty() => writer.lost(&losses::EMPTY_TOOL_NAME, block.place),
            BlockKind::ToolCall { id, .. } => {
                calls.insert(id);
                made.push(block);
            }
            BlockKind::Refusal(text) => refusal = Some(text),
            BlockKind::Unknown { dialect, .. } if *dialect != super::super::NAME => writer.lost(&losses::UNKNOWN_REPLAY, block.place),
            _ => words.push(block),
        }
    }
    if words.is_empty() && made.is_empty() && refusal.is_none() {
        return;
    }
    let mut message = messages.object();
    message.str("role", "assistant");
    write_name(&mut message, turn);
    if words.is_empty() {
        message.raw("content", "null");
    } else {
        content::write_blocks(&mut message, &words, writer);
    }
    if let Some(refusal) = refusal {
        message.str("refusal", refusal);
    }
    write_reasoning(&mut message, &thoughts, writer);
    if !made.is_empty() {
        let mut list = message.array("tool_calls");
        made.into_iter().for_each(|call| write_call(&mut list, call, writer));
        list.end();
    }
    message.end();
}

fn write_call(list: &mut Array<'_>, block: &Block<'_>, writer: &mut Writer<'_>) {
    let BlockKind::ToolCall { id, name, arguments, freeform } = &block.kind else { return };
    if block.cache.is_some() {
        writer.lost(&losses::CACHE_CONTROL, block.place.field("cache_control"));
    }
    let (name, renamed) = writer.names.at_provider(name);
    let mut call = list.object();
    call.str("id", id);
    if *freeform {
        call.str("type", "custom");
        let mut custom = call.object("custom");
        custom.str("name", name).str("input", arguments);
        custom.end();
    } else {
        call.str("type", "function");
        let mut function = call.object("function");
        // Servers parse the arguments of earlier calls: a call without any has an empty object.
        function.str("name", name).str("arguments", if arguments.trim().is_empty() { "{}" } else { arguments });
        function.end();
    }
    call.end();
    if renamed {
        writer.lost(&losses::RENAMED_TOOL, block.place.field("name"));
    }
}

/// Writes reasoning for a provider that takes it back: the text for all, the tokens for their issuer.
fn write_reasoning(message: &mut Object<'_>, thoughts: &[(&Block<'_>, &Reasoning<'_>)], writer: &mut Writer<'_>) {
    let text: String = thoughts.iter().map(|(_, reasoning)| &*reasoning.text).collect();
    if !text.is_empty() {
        message.str("reasoning_content", &text);
    }
    let mut kept = Vec::new();
    for (block, reasoning) in thoughts {
        if reasoning.signature.is_none() && reasoning.redacted.is_none() {
            continue;
        }
        if reasoning.issuer.as_deref() == Some(writer.target.issuer) {
            kept.push(*reasoning);
        } else {
            // What is hidden is all there is of its block; a signature is a member beside the text.
            let place = if reasoning.signature.is_some() { block.place.field("signature") } else { block.place };
            writer.lost(&losses::REASONING_TOKEN, place);
        }
    }
    if !kept.is_empty() {
        let mut details = message.array("reasoning_details");
        kept.iter().enumerate().for_each(|(index, reasoning)| reasoning::write_detail(details.item(), reasoning, index));
        details.end();
    }
}
