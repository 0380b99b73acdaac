//! The content blocks of a Message that is being read.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{
    dialect::{
        Exchange, StreamError,
        anthropic::{ISSUER, NAME, reply},
        conversation::{BlockId, Delta, Event, Opening},
        wire::{Apart, Raw, Str, Wire},
    },
    fault::Detail,
};

/// The most blocks open at once: the API has one, and a liar must not fill the memory.
const MOST_OPEN: usize = 256;

/// The blocks that are open, and what the request's translation asks of the answer's.
#[derive(Debug)]
pub struct Blocks {
    open: SmallVec<[Open; 2]>,
    next: BlockId,
    renamed_tools: Vec<(String, String)>,
    output_tool: Option<String>,
    /// Whether the output tool was called.
    output: bool,
    /// Whether another tool was called.
    tools: bool,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    index: u32,
    block: BlockId,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    ToolUse(Input),
    /// A call of the output tool: its input is the answer's text.
    Output(Input),
    /// A server tool's call, or a block that is not known: its input may follow.
    Unknown,
    /// A block that comes whole, such as a server tool's result.
    Whole,
}

/// What a call's input is if no delta tells it; `None` once one has.
type Input = Option<String>;

impl Blocks {
    pub fn new(exchange: &Exchange) -> Self {
        Self {
            open: SmallVec::new(),
            next: 0,
            renamed_tools: exchange.renamed_tools.clone(),
            output_tool: exchange.output_tool.clone(),
            output: false,
            tools: false,
        }
    }

    /// Whether the output tool was called, and no other.
    pub fn only_output(&self) -> bool {
        self.output && !self.tools
    }

    /// A block begins, perhaps with all that it says.
    pub fn start<'d>(
        &mut self,
        index: u32,
        begun: Apart<'d, reply::ContentBlock<'d>>,
        sink: &mut dyn FnMut(Event<'d>),
    ) -> Result<(), StreamError> {
        if self.open.iter().any(|open| open.index == index) {
            return Err(StreamError::order("content_block_start for a block that is open"));
        }
        if self.open.len() >= MOST_OPEN {
            return Err(StreamError::order("too many blocks open"));
        }
        let block = self.next;
        self.next += 1;
        let mut tell = |opening, deltas: &mut dyn Iterator<Item = Delta<'d>>| {
            sink(Event::Open { block, choice: 0, opening });
            deltas.for_each(|delta| sink(Event::Delta { block, delta }));
        };
        let raw = begun.raw;
        let mut begun = begun.read().map_err(|_| StreamError::malformed("a content block that is no object"))?;
        let kind = begun.kind.take().unwrap_or_default().0;
        let kind = match &*kind {
            "text" => {
                let text = said(member("text", begun.text)?);
                let citations: Option<Vec<Raw<'d>>> = member("citations", begun.citations)?;
                let citations = citations.unwrap_or_default().into_iter().filter_map(citation);
                tell(Opening::Text, &mut text.map(Delta::Text).into_iter().chain(citations));
                Kind::Text
            }
            "thinking" => {
                let thinking = said(member("thinking", begun.thinking)?);
                let signature = said(member("signature", begun.signature)?).map(signature);
                tell(Opening::Reasoning, &mut thinking.map(Delta::Text).into_iter().chain(signature));
                Kind::Thinking
            }
            "redacted_thinking" => {
                let data = member::<Str<'d>>("data", begun.data)?.unwrap_or_default().0;
                tell(Opening::Redacted { data, issuer: ISSUER.into() }, &mut std::iter::empty());
                Kind::Redacted
            }
            "tool_use" => {
                let name = member::<Str<'d>>("name", begun.name)?.unwrap_or_default().0;
                let id = member::<Str<'d>>("id", begun.id)?.unwrap_or_default().0;
                if id.is_empty() || name.is_empty() {
                    return Err(StreamError::malformed("a tool_use without an id or a name"));
                }
                let input = Some(begun.input.map_or("{}", Raw::get).to_owned());
                if self.output_tool.as_deref() == Some(&*name) {
                    self.output = true;
                    tell(Opening::Text, &mut std::iter::empty());
                    Kind::Output(input)
                } else {
                    self.tools = true;
                    let name = self.renamed_tools.iter().find(|(theirs, _)| *theirs == *name).map_or(name, |(_, ours)| ours.clone().into());
                    tell(Opening::ToolCall { id, name }, &mut std::iter::empty());
                    Kind::ToolUse(input)
                }
            }
            _ => {
                let whole = reply::is_ours(&kind) && !kind.ends_with("_tool_use");
                tell(Opening::Unknown { kind, raw: Cow::Borrowed(raw.get()) }, &mut std::iter::empty());
                if whole { Kind::Whole } else { Kind::Unknown }
            }
        };
        self.open.push(Open { index, block, kind });
        Ok(())
    }

    /// A block grows. `data` is the whole event, for deltas that only this dialect knows.
    pub fn delta<'d>(
        &mut self,
        index: u32,
        delta: reply::Delta<'d>,
        data: &'d str,
        sink: &mut dyn FnMut(Event<'d>),
    ) -> Result<(), StreamError> {
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else {
            return Err(StreamError::order("content_block_delta for a block that is not open"));
        };
        let grown = match (&mut open.kind, delta.kind.as_deref().unwrap_or_default()) {
            (Kind::Text, "text_delta") => said(delta.text).map(Delta::Text),
            (Kind::Text, "citations_delta") => delta.citation.and_then(citation),
            (Kind::Thinking, "thinking_delta") => said(delta.thinking).map(Delta::Text),
            (Kind::Thinking, "signature_delta") => said(delta.signature).map(signature),
            (Kind::ToolUse(input), "input_json_delta") => said(delta.partial_json).inspect(|_| *input = None).map(Delta::Arguments),
            (Kind::Output(input), "input_json_delta") => said(delta.partial_json).inspect(|_| *input = None).map(Delta::Text),
            (Kind::Unknown, "input_json_delta") => said(delta.partial_json).map(Delta::Arguments),
            (_, "text_delta" | "citations_delta" | "thinking_delta" | "signature_delta" | "input_json_delta") => {
                return Err(StreamError::order("a delta of another kind than its block"));
            }
            _ => {
                sink(Event::Unknown { kind: delta.kind.unwrap_or_default().0, raw: Cow::Borrowed(data) });
                None
            }
        };
        if let Some(delta) = grown {
            sink(Event::Delta { block: open.block, delta });
        }
        Ok(())
    }

    /// A block is complete. A call that no delta told has the input it began with: `{}` for a tool without parameters.
    pub fn stop<'d>(&mut self, index: u32, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        let Some(at) = self.open.iter().rposition(|open| open.index == index) else {
            return Err(StreamError::order("content_block_stop for a block that is not open"));
        };
        let Open { block, kind, .. } = self.open.remove(at);
        let untold = match kind {
            Kind::ToolUse(Some(input)) => Some(Delta::Arguments(Cow::Owned(input))),
            Kind::Output(Some(input)) => Some(Delta::Text(Cow::Owned(input))),
            _ => None,
        };
        if let Some(delta) = untold {
            sink(Event::Delta { block, delta });
        }
        sink(Event::Close { block });
        Ok(())
    }

    /// All blocks are complete, though nothing said so.
    pub fn stop_all<'d>(&mut self, sink: &mut dyn FnMut(Event<'d>)) {
        while let Some(index) = self.open.first().map(|open| open.index) {
            // A block that is open can be stopped.
            let _ = self.stop(index, sink);
        }
    }

    /// Closes what is open still, as it is.
    pub fn close<'d>(&mut self, sink: &mut dyn FnMut(Event<'d>)) {
        for open in self.open.drain(..) {
            sink(Event::Close { block: open.block });
        }
    }
}

/// Reads a block's member, whose kind says what it must be.
fn member<'d, T: Wire<'d>>(name: &str, value: Option<impl Into<Apart<'d, T>>>) -> Result<Option<T>, StreamError> {
    let malformed = |detail: Detail| StreamError::malformed(format!("content block/{name}{}: {}", detail.path, detail.message));
    value.map(|value| value.into().read().map_err(malformed)).transpose()
}

/// A text that says something.
fn said(text: Option<Str<'_>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.0)
}

/// A citation, which is an object: a `null` in its place cites nothing.
fn citation(raw: Raw<'_>) -> Option<Delta<'_>> {
    raw.get().starts_with('{').then(|| Delta::Citation { dialect: NAME, raw: Cow::Borrowed(raw.get()) })
}

fn signature(signature: Cow<'_, str>) -> Delta<'_> {
    Delta::Signature { signature, issuer: ISSUER.into() }
}
