//! One tool call, put together from its pieces.

use std::borrow::Cow;

use super::{Sink, Told, unknown};
use crate::dialect::{
    conversation::{BlockId, Delta, Event, Opening},
    openai_chat::reply::ToolCall,
    wire::Str,
};

/// A call of which at least one piece came.
///
/// It opens in the hub when its name is known; what comes before is kept.
pub(super) struct ToolCallState {
    number: Option<u64>,
    id: String,
    /// The provider's name of the tool; empty until it came.
    name: String,
    /// Arguments that came before the name.
    early: String,
    block: Block,
}

enum Block {
    /// Nothing is open yet.
    None,
    Open(BlockId),
    Closed,
}

impl ToolCallState {
    pub(super) fn new(number: Option<u64>) -> Self {
        Self { number, id: String::new(), name: String::new(), early: String::new(), block: Block::None }
    }

    /// Which of `calls` the piece `call` belongs to; `None` for a new one.
    pub(super) fn find(calls: &[Self], call: &ToolCall<'_>) -> Option<usize> {
        let id = call.id.as_deref().unwrap_or_default();
        let number = super::number(call.index);
        let at = match number {
            Some(_) => calls.iter().rposition(|state| state.number == number),
            None if id.is_empty() => calls.len().checked_sub(1),
            None => calls.iter().position(|state| state.id == id),
        };
        at.filter(|&at| calls.get(at).is_some_and(|state| !state.is_another(call, id, number)))
    }

    /// Whether a piece that seems to belong here begins another call: it has a name, though the name is known here, and
    /// another id, as from servers that send every call whole with the number 0; or neither id nor number.
    fn is_another(&self, call: &ToolCall<'_>, id: &str, number: Option<u64>) -> bool {
        let another_id = !id.is_empty() && !self.id.is_empty() && self.id != id;
        let next_whole = id.is_empty() && number.is_none() && !self.name.is_empty();
        is_named(call) && (another_id || next_whole)
    }

    /// Whether the piece `call` is the one that opens it.
    pub(super) fn opens(&self, call: &ToolCall<'_>) -> bool {
        matches!(self.block, Block::None) && (call.custom.is_some() || is_named(call))
    }

    /// Takes the next piece.
    pub(super) fn take<'c>(&mut self, call: ToolCall<'c>, choice: u32, position: usize, told: &mut Told, sink: Sink<'_, 'c>) {
        if let Some(id) = call.id.filter(|id| !id.is_empty() && self.id.is_empty()) {
            self.id.push_str(&id);
        }
        // Gemini's thought signature is one of these (`extra_content`).
        unknown(call.unknown, sink);
        if let Some(custom) = call.custom {
            match self.block {
                Block::None => self.open_custom(custom.get(), choice, told, sink),
                Block::Open(block) => sink(Event::Delta { block, delta: Delta::Arguments(Cow::Borrowed(custom.get())) }),
                Block::Closed => {}
            }
            return;
        }
        let Some(function) = call.function else { return };
        let arguments = function.arguments.map(|Str(arguments)| arguments).unwrap_or_default();
        if let Some(name) = function.name.filter(|name| !name.is_empty() && self.name.is_empty()) {
            self.name.push_str(&name);
            self.open(choice, position, told, sink);
        }
        match self.block {
            Block::None => self.early.push_str(&arguments),
            Block::Open(block) if !arguments.is_empty() => {
                let delta = if self.is_clients(told) { Delta::Arguments(arguments) } else { Delta::Text(arguments) };
                sink(Event::Delta { block, delta });
            }
            Block::Open(_) | Block::Closed => {}
        }
    }

    /// Whether it calls a tool of the client's, and not the one whose arguments are the answer.
    pub(super) fn is_clients(&self, told: &Told) -> bool {
        told.exchange.output_tool.as_deref() != Some(&*self.name)
    }

    fn open<'c>(&mut self, choice: u32, position: usize, told: &mut Told, sink: Sink<'_, 'c>) {
        let block = told.block();
        self.block = Block::Open(block);
        let early = std::mem::take(&mut self.early);
        if !self.is_clients(told) {
            sink(Event::Open { block, choice, opening: Opening::Text });
            if !early.is_empty() {
                sink(Event::Delta { block, delta: Delta::Text(early.into()) });
            }
            return;
        }
        let name = told.exchange.renamed_tools.iter().find(|(provider, _)| *provider == self.name);
        let name = name.map_or_else(|| self.name.clone(), |(_, caller)| caller.clone());
        if self.id.is_empty() {
            self.id = made_id(&told.id, choice, position);
        }
        sink(Event::Open { block, choice, opening: Opening::ToolCall { id: self.id.clone().into(), name: name.into() } });
        if !early.is_empty() {
            sink(Event::Delta { block, delta: Delta::Arguments(early.into()) });
        }
    }

    /// A freeform tool's call is something that only this API knows.
    fn open_custom<'c>(&mut self, raw: &'c str, choice: u32, told: &mut Told, sink: Sink<'_, 'c>) {
        let block = told.block();
        self.block = Block::Open(block);
        self.name.push_str("custom");
        let opening = Opening::Unknown { kind: Cow::Borrowed("custom"), raw: Cow::Borrowed(raw) };
        sink(Event::Open { block, choice, opening });
    }

    /// Whether pieces came, but never a name.
    pub(super) fn nameless(&self) -> bool {
        self.name.is_empty() && !(self.id.is_empty() && self.early.is_empty())
    }

    /// Closes it; gives its block if one was open.
    pub(super) fn close(&mut self) -> Option<BlockId> {
        match std::mem::replace(&mut self.block, Block::Closed) {
            Block::Open(block) => Some(block),
            Block::None | Block::Closed => None,
        }
    }
}

fn is_named(call: &ToolCall<'_>) -> bool {
    call.function.as_ref().and_then(|function| function.name.as_deref()).is_some_and(|name| !name.is_empty())
}

/// An id for a call whose provider gave none: the same for the same answer, another in another answer.
fn made_id(answer: &str, choice: u32, position: usize) -> String {
    let plain: String = answer.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(40).collect();
    let plain = plain.strip_prefix("chatcmpl-").unwrap_or(&plain);
    if plain.is_empty() { format!("call_{choice}_{position}") } else { format!("call_{plain}_{choice}_{position}") }
}
