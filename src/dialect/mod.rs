//! Pure translation between the APIs of language models: bytes and events in, bytes and events out.
//!
//! A *dialect* is one API's words; each has a folder here, in that API's own vocabulary. Between them stands the hub,
//! [`conversation`]: a request is decoded into it and encoded out of it, an answer flows through it as [`Event`]s.
//! There is no async, socket, clock, randomness or global in this room. What a generated id or time must be comes in as
//! a [`Stamp`]. It is the part to reuse and to fuzz.
//!
//! Two ways lead through a [`Pipe`], from a provider's frames to the caller's bytes:
//!
//! | way | when | what it does |
//! | --- | --- | --- |
//! | a dialect's [`relay`](Dialect::relay) | caller and provider speak the same dialect | forwards bytes, splices in the named additions, reads usage, end and errors on the way |
//! | [`Crossing`] | they don't | [`Decoder`] to events, events to [`Encoder`] |

pub mod anthropic;
mod capability;
pub mod conversation;
mod crossing;
mod event_map;
pub mod frame;
pub mod grammar;
pub mod json;
pub mod loss;
pub mod openai_chat;
pub mod operations;
mod pipe;
mod place;
pub mod scan;
mod splice;
mod steady;
pub(crate) mod upstream;
mod usage;
pub mod wire;

use std::{fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

pub use self::{
    capability::{Capabilities, LengthMember, ReasoningStyle, Sampling, StructuredOutput},
    crossing::Crossing,
    event_map::{EventMap, EventSink, event_map_fn},
    loss::{Fate, Loss, Losses, Lost, Side},
    pipe::{End, Notes, Pipe, Seen, StreamError, StreamErrorKind},
    place::Place,
    splice::Edits,
    usage::Usage,
};
use self::{
    conversation::{Answer, Event, Request},
    frame::Frame,
    grammar::Grammar,
    scan::Members,
};
use crate::fault::{Detail, Fault};

/// The members of a request that are the gateway's own: no dialect has them, and they go to no provider.
pub(crate) const GATEWAY_MEMBERS: [&str; 5] = ["provider", "models", "session_id", "usage", "meta"];

/// Every dialect. Adding one is a folder and a line here.
pub static ALL: &[&dyn Dialect] = &[&anthropic::AnthropicMessages, &openai_chat::OpenAiChat];

/// The dialect called `name`.
pub fn named(name: &str) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|dialect| dialect.name() == name)
}

/// One API's words.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// Its name in configuration, records and the loss table: `openai-chat`.
    fn name(&self) -> &'static str;

    /// The API's own name: "OpenAI Chat Completions".
    fn title(&self) -> &'static str;

    /// What is lost on the way into this dialect.
    fn losses(&self) -> &'static [&'static Loss];

    /// Reads a caller's request. What the hub has no word for is reported to `losses`.
    ///
    /// # Errors
    /// Each place that is not this API's shape.
    fn decode_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Vec<Detail>>;

    /// Writes a request for a provider. Gives what the answer's translation must know of it.
    ///
    /// # Errors
    /// What this dialect cannot say and leaving out would change the meaning.
    fn encode_request(
        &self,
        request: &Request<'_>,
        target: &Target<'_>,
        out: &mut BytesMut,
        losses: &mut Losses,
    ) -> Result<Exchange, Vec<Detail>>;

    /// The edits that make a caller's own request fit a provider of the same dialect: the model, our own members, the
    /// provider's quirks. `members` are those of `body`.
    fn patch_request(&self, body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits);

    /// A reader of a provider's answer, streamed or whole.
    fn decoder(&self, exchange: &Exchange) -> Box<dyn Decoder>;

    /// A writer of a streamed answer.
    fn encoder(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Encoder>;

    /// Writes a whole answer.
    fn encode_answer(&self, answer: &Answer<'_>, stamp: &Stamp, options: &AnswerOptions, out: &mut BytesMut, losses: &mut Losses);

    /// A pipe for a provider of the same dialect.
    fn relay(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe>;

    /// Reads a provider's error answer: its kind, its message, how long to wait.
    fn decode_fault(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Fault;

    /// Writes a fault as an error body. `generation_id` is the call's.
    fn encode_fault(&self, fault: &Fault, generation_id: &str, out: &mut BytesMut);

    /// Writes a fault as the last thing in a stream.
    fn encode_fault_event(&self, fault: &Fault, generation_id: &str, out: &mut BytesMut);

    /// The status of a fault in this dialect; Anthropic says 529 for an overload.
    fn fault_status(&self, fault: &Fault) -> StatusCode {
        fault.verdict().status
    }

    /// The bytes that keep a stream alive while nothing flows.
    fn keep_alive(&self) -> &'static [u8];

    /// A checker of this dialect's streams.
    fn grammar(&self) -> Box<dyn Grammar>;
}

/// The provider's side of a request: which model, and what it can do.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model, as the provider names it.
    pub model: &'a str,
    /// Whose opaque tokens it reads: `anthropic`, `openai`.
    pub issuer: &'a str,
    /// What it can do.
    pub capabilities: &'a Capabilities,
    /// Whether the gateway wants a stream's usage, asked for by the caller or not.
    pub want_usage: bool,
}

/// What the translation of an answer must know of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Tool names that were rewritten: the provider's, then the caller's.
    pub renamed_tools: Vec<(String, String)>,
    /// The tool that stands for structured output, whose arguments are the answer's text.
    pub output_tool: Option<String>,
}

/// What is generated for an answer, decided outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The generation id, `G-...`.
    pub id: Arc<str>,
    /// When the call was made, in Unix seconds.
    pub created: u64,
    /// The model's name, for answers whose provider names none.
    pub model: Arc<str>,
}

/// How an answer is to be written.
#[derive(Clone, Default)]
pub struct AnswerOptions {
    /// Whether the caller asked for the stream's usage.
    pub include_usage: bool,
    /// Whether the caller wants our additions to `usage` (both pairs of names, the cost).
    pub rich_usage: bool,
    /// What to write into bodies beside the dialect's own members; `None` leaves answers bare.
    pub notes: Option<Arc<dyn Notes>>,
}

impl fmt::Debug for AnswerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerOptions")
            .field("include_usage", &self.include_usage)
            .field("rich_usage", &self.rich_usage)
            .field("notes", &self.notes.is_some())
            .finish()
    }
}

/// Reads a provider's answer. Knows no HTTP, task or clock.
///
/// A whole answer goes through [`whole`](Self::whole), a streamed one through [`frame`](Self::frame); both give the same
/// events for the same answer. Errors stick: after one, every call gives the same.
pub trait Decoder: Send {
    /// Takes the next frame of a stream and hands each event to `sink`; events borrow from the frame.
    ///
    /// # Errors
    /// The frame is not this dialect's, or not in its order.
    fn frame<'f>(&mut self, frame: &Frame<'f>, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError>;

    /// Takes a whole answer.
    ///
    /// # Errors
    /// It is not this dialect's.
    fn whole<'f>(&mut self, body: &'f str, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError>;

    /// Says that no more frames come: closes what is open and gives how the answer ended.
    ///
    /// # Errors
    /// An earlier error.
    fn finish(&mut self, sink: &mut dyn FnMut(Event<'static>)) -> Result<End, StreamError>;

    /// Whether the dialect's own end came (`[DONE]`, `message_stop`): nothing may follow, so nobody need wait for it.
    fn ended(&self) -> bool {
        false
    }
}

/// Writes a streamed answer into one buffer used again and again.
pub trait Encoder: Send {
    /// Writes what `event` means. What cannot be said is reported to `losses`.
    fn event(&mut self, event: &Event<'_>, out: &mut BytesMut, losses: &mut Losses);

    /// Ends a complete answer. For other ends use [`Dialect::encode_fault_event`].
    fn finish(&mut self, out: &mut BytesMut);
}
