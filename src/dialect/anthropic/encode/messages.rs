//! Turns to messages: alternating roles, nothing empty, tool results first.

use std::collections::HashSet;

use smallvec::{SmallVec, smallvec};

use super::is_blank;
use crate::dialect::{
    Losses, Target,
    anthropic::losses,
    conversation::{Block, BlockKind, Reasoning, Request, Role},
};

/// A message to be written: blocks of neighbouring turns of one role.
pub struct Message<'r, 'a> {
    role: Role,
    /// Its blocks, never empty.
    pub blocks: SmallVec<[&'r Block<'a>; 2]>,
}

impl Message<'_, '_> {
    /// The role's name.
    pub fn role(&self) -> &'static str {
        match self.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }

    /// Whether `block` is the other role's: only the model calls and thinks, only the user has results.
    pub fn is_misplaced(&self, block: &Block<'_>) -> bool {
        match &block.kind {
            BlockKind::ToolCall { .. } | BlockKind::Reasoning(_) => self.role == Role::User,
            BlockKind::ToolResult { .. } => self.role == Role::Assistant,
            _ => false,
        }
    }
}

/// Merges neighbouring turns of one role and leaves out what the API refuses.
pub fn merge<'r, 'a>(request: &'r Request<'a>, target: &Target<'_>, losses: &mut Losses) -> Vec<Message<'r, 'a>> {
    let mut messages: Vec<Message<'r, 'a>> = Vec::with_capacity(request.turns.len());
    // What the model's last message calls, and so what results may follow it.
    let mut calls: HashSet<&'r str> = HashSet::new();
    for turn in &request.turns {
        for block in &turn.blocks {
            if !carried(block, &calls, target, losses) {
                continue;
            }
            let goes_on = messages.last().is_some_and(|last| last.role == turn.role);
            if turn.role == Role::Assistant && !goes_on {
                calls.clear();
            }
            if let BlockKind::ToolCall { id, .. } = &block.kind {
                calls.insert(id);
            }
            match messages.last_mut() {
                Some(last) if goes_on => last.blocks.push(block),
                _ => messages.push(Message { role: turn.role, blocks: smallvec![block] }),
            }
        }
    }
    for message in &mut messages {
        // Stable, so that results and the rest each keep their order.
        message.blocks.sort_by_key(|block| !matches!(block.kind, BlockKind::ToolResult { .. }));
    }
    messages
}

/// Whether the last of the model's messages calls a tool and shows no thinking first: with a thinking budget set, the API
/// refuses to continue from it.
pub fn tool_turn_without_thinking(messages: &[Message<'_, '_>]) -> bool {
    let Some(last) = messages.iter().rfind(|message| message.role == Role::Assistant) else { return false };
    last.blocks.iter().any(|block| matches!(block.kind, BlockKind::ToolCall { .. }))
        && !matches!(last.blocks.first(), Some(Block { kind: BlockKind::Reasoning(_), .. }))
}

fn carried(block: &Block<'_>, calls: &HashSet<&str>, target: &Target<'_>, losses: &mut Losses) -> bool {
    let loss = match &block.kind {
        BlockKind::Text { text, .. } | BlockKind::Refusal(text) if is_blank(text) => {
            if block.cache.is_some() {
                losses.report(&losses::CACHE_MARKER, block.place.field("cache_control"));
            }
            return false;
        }
        BlockKind::Reasoning(reasoning) if !readable(reasoning, target) => &losses::REASONING_FOREIGN,
        BlockKind::ToolCall { name, .. } if is_blank(name) => &losses::TOOL_CALL_NAMELESS,
        BlockKind::ToolResult { call_id, .. } if !calls.contains(&**call_id) => &losses::TOOL_RESULT_ORPHAN,
        _ => return true,
    };
    losses.report(loss, block.place);
    false
}

/// Whether the provider made this reasoning, and so takes it back.
fn readable(reasoning: &Reasoning<'_>, target: &Target<'_>) -> bool {
    reasoning.issuer.as_deref() == Some(target.issuer) && (reasoning.signature.is_some() || reasoning.redacted.is_some())
}
