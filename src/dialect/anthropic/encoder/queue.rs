//! Blocks in a row: the wire takes one at a time.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::frames;
use crate::dialect::{
    Losses, Place,
    anthropic::{
        ISSUER, NAME, losses,
        names::conforming_id,
        reply::{self, Told},
    },
    conversation::{BlockId, Delta, Opening},
};

/// The hub's open blocks of the first choice, in the order they were opened.
///
/// At most one is *live*: begun on the wire, its deltas written as they come. The others keep theirs until it is their turn.
/// A text or a thought begins with its first word, so that none is empty; until then it is in nobody's way.
#[derive(Debug, Default)]
pub struct Queue {
    blocks: VecDeque<Block>,
    live: Option<Live>,
    next_index: u32,
    told: Told,
}

/// The block on the wire.
#[derive(Clone, Copy, Debug)]
struct Live {
    block: BlockId,
    index: u32,
}

/// A block that waits, or is live.
#[derive(Debug)]
struct Block {
    id: BlockId,
    kind: Kind,
    closed: bool,
    /// Text, thinking or input that came while it waited.
    text: String,
    signature: String,
    citations: Vec<String>,
}

/// What a block is on this wire.
#[derive(Debug)]
pub enum Kind {
    /// `text`.
    Text,
    /// `thinking`.
    Thinking,
    /// `redacted_thinking`.
    RedactedThinking {
        /// The hidden text.
        data: String,
    },
    /// `tool_use`.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A block of Anthropic's own that passes as it is.
    Server {
        /// Its JSON text.
        raw: String,
    },
}

impl Queue {
    /// What the blocks say of the reason to stop.
    pub fn told(&self) -> Told {
        self.told
    }

    /// A block of the first choice begins.
    pub fn open(&mut self, block: BlockId, opening: &Opening<'_>, out: &mut BytesMut, losses: &mut Losses) {
        let place = || Place::of("choices", 0).field("message");
        let kind = match opening {
            Opening::Text => Kind::Text,
            Opening::Refusal => {
                self.told.refusal = true;
                Kind::Text
            }
            Opening::Reasoning => Kind::Thinking,
            Opening::Redacted { data, issuer } if issuer == ISSUER => Kind::RedactedThinking { data: data.to_string() },
            Opening::Redacted { .. } => return losses.report(&losses::ANSWER_REASONING_TOKEN, place()),
            Opening::ToolCall { id, name } => {
                self.told.tool_use = true;
                Kind::ToolUse { id: conforming_id(id).into_owned(), name: name.to_string() }
            }
            Opening::Unknown { kind, raw } if reply::is_ours(kind) => Kind::Server { raw: raw.to_string() },
            Opening::Unknown { .. } => return losses.report(&losses::ANSWER_BLOCK, place()),
        };
        self.blocks.push_back(Block {
            id: block,
            kind,
            closed: false,
            text: String::new(),
            signature: String::new(),
            citations: Vec::new(),
        });
        self.advance(out);
    }

    /// A block grows: on the wire if it is live, or can be at once.
    pub fn delta(&mut self, id: BlockId, delta: &Delta<'_>, out: &mut BytesMut, losses: &mut Losses) {
        let Some(block) = self.blocks.iter_mut().find(|block| block.id == id) else { return };
        match delta {
            Delta::Signature { issuer, .. } if issuer != ISSUER => {
                return losses.report(&losses::ANSWER_REASONING_TOKEN, Place::of("choices", 0).field("message"));
            }
            Delta::Citation { dialect, .. } if *dialect != NAME => {
                return losses.report(&losses::ANSWER_CITATION, Place::of("choices", 0).field("message/annotations"));
            }
            Delta::Text(text) | Delta::Arguments(text) if text.is_empty() => return,
            _ => {}
        }
        // Whatever could begin has begun: if none is live, this one is next.
        let live = *self.live.get_or_insert_with(|| {
            let index = self.next_index;
            self.next_index += 1;
            frames::content_block_start(index, &block.kind, out);
            Live { block: id, index }
        });
        if live.block == id {
            frames::delta(live.index, &block.kind, delta, out);
        } else {
            block.keep(delta);
        }
    }

    /// A block is complete.
    pub fn close(&mut self, id: BlockId, out: &mut BytesMut) {
        let Some(at) = self.blocks.iter().position(|block| block.id == id) else { return };
        match self.live {
            Some(live) if live.block == id => {
                frames::content_block_stop(live.index, out);
                self.live = None;
                self.blocks.remove(at);
                self.advance(out);
            }
            _ if self.blocks[at].is_ready() => self.blocks[at].closed = true,
            // It said nothing.
            _ => _ = self.blocks.remove(at),
        }
    }

    /// Closes what is open.
    pub fn finish(&mut self, out: &mut BytesMut) {
        self.blocks.retain(|block| block.is_ready() || self.live.is_some_and(|live| live.block == block.id));
        self.blocks.iter_mut().for_each(|block| block.closed = true);
        if let Some(live) = self.live {
            self.close(live.block, out);
        }
        self.advance(out);
    }

    /// As long as none is live: begins the next that has something to say, and says what it kept.
    fn advance(&mut self, out: &mut BytesMut) {
        while self.live.is_none() {
            let Some(at) = self.blocks.iter().position(Block::is_ready) else { return };
            let block = &mut self.blocks[at];
            let index = self.next_index;
            self.next_index += 1;
            frames::content_block_start(index, &block.kind, out);
            block.tell(index, out);
            if block.closed {
                frames::content_block_stop(index, out);
                self.blocks.remove(at);
            } else {
                self.live = Some(Live { block: block.id, index });
            }
        }
    }
}

impl Block {
    /// Whether it may begin: a text or a thought once it has a word, others at once.
    fn is_ready(&self) -> bool {
        match self.kind {
            Kind::Text | Kind::Thinking => !(self.text.is_empty() && self.signature.is_empty() && self.citations.is_empty()),
            Kind::RedactedThinking { .. } | Kind::ToolUse { .. } | Kind::Server { .. } => true,
        }
    }

    fn keep(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(text) | Delta::Arguments(text) => self.text.push_str(text),
            Delta::Signature { signature, .. } => self.signature.push_str(signature),
            Delta::Citation { raw, .. } => self.citations.push(raw.to_string()),
        }
    }

    /// Writes what it kept.
    fn tell(&mut self, index: u32, out: &mut BytesMut) {
        if !self.text.is_empty() {
            frames::grow(index, &self.kind, &std::mem::take(&mut self.text), out);
        }
        for citation in self.citations.drain(..) {
            frames::citation(index, &citation, out);
        }
        if !self.signature.is_empty() {
            frames::signature(index, &std::mem::take(&mut self.signature), out);
        }
    }
}
