//! From a provider's frames to the caller's bytes.

use std::fmt;

use bytes::{Bytes, BytesMut};

use smallvec::SmallVec;

use super::{
    Losses, Usage,
    conversation::{Delta, Event, Opening},
    frame::Frame,
};
use crate::fault::{Fault, UpstreamError};

/// A provider's answer in, the caller's answer out, streamed or whole.
///
/// The driver calls [`frame`](Self::frame) for each frame, then [`finish`](Self::finish) once; or [`whole`](Self::whole)
/// once. It watches [`Seen`]: an in-band error is noted there and written by nobody, so that before the commit point it
/// can become a failed attempt, and after it the driver says [`fail`](Self::fail).
pub trait Pipe: Send {
    /// Takes the next frame and appends what the caller shall see.
    ///
    /// # Errors
    /// The frame is not the provider's dialect. The same error follows every later call.
    fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError>;

    /// Says that no more frames come. Appends the rest of a complete answer; of a truncated one, nothing.
    ///
    /// # Errors
    /// An earlier error.
    fn finish(&mut self, out: &mut BytesMut, seen: &mut Seen) -> Result<End, StreamError>;

    /// Ends the stream with an error in the caller's dialect.
    fn fail(&mut self, fault: &Fault, out: &mut BytesMut);

    /// Translates a whole answer. The slices, put together, are the caller's body.
    ///
    /// # Errors
    /// The body is not the provider's dialect.
    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<SmallVec<[Bytes; 1]>, StreamError>;

    /// What the answer lost so far.
    fn losses(&self) -> &Losses;
}

/// What a pipe has seen go by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model version that answers.
    pub model: Option<String>,
    /// What the provider says was used, so far. `None` if it says nothing, or something [absurd](Usage::ABSURD).
    pub usage: Option<Usage>,
    /// Whether anything came that the caller may not see twice: text, reasoning, a refusal, a call's start, media.
    pub content: bool,
    /// Why the (first) choice ended: the provider's word where a relay read it, else [the hub's](super::conversation::FinishReason::name).
    pub finish_reason: Option<String>,
    /// Whether every choice has ended, so that only usage and the end itself are missing.
    pub finished: bool,
    /// Whether the dialect's own end came (`[DONE]`, `message_stop`): nothing may follow.
    pub ended: bool,
    /// An error inside the answer.
    pub error: Option<UpstreamError>,
    /// Bytes of text, reasoning and arguments that came: what an estimate goes by.
    pub output_bytes: u64,
    /// Images that came: what an estimate goes by.
    pub images: u64,
    /// Choices that began and have not ended.
    open: SmallVec<[u32; 2]>,
}

impl Seen {
    /// Notes what `event` tells.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { id, model, .. } => self.named(id.as_deref(), model.as_deref()),
            Event::Open { choice, opening, .. } => {
                self.began(*choice);
                match opening {
                    // Nothing that could be seen twice until it grows.
                    Opening::Text | Opening::Refusal | Opening::Reasoning => {}
                    Opening::Redacted { data, .. } => self.came(data.len()),
                    Opening::ToolCall { name, .. } => self.came(name.len()),
                    Opening::Unknown { raw, .. } => self.came(raw.len()),
                }
            }
            Event::Delta { delta, .. } => match delta {
                Delta::Text(more) | Delta::Arguments(more) if more.is_empty() => {}
                Delta::Text(more) | Delta::Arguments(more) => self.came(more.len()),
                Delta::Signature { .. } | Delta::Citation { .. } => self.content = true,
            },
            Event::Logprobs { choice, .. } => self.began(*choice),
            Event::Finish { choice, reason, .. } => self.closed(*choice, reason.name()),
            Event::Usage(usage) => self.usage = usage.believed(),
            Event::Error(error) => self.error = Some(error.clone()),
            Event::Close { .. } | Event::ServiceTier(_) | Event::Fingerprint(_) | Event::Alive | Event::Unknown { .. } => {}
        }
    }

    /// Notes the answer's id and the model that makes it.
    pub(super) fn named(&mut self, id: Option<&str>, model: Option<&str>) {
        keep(&mut self.id, id);
        keep(&mut self.model, model);
    }

    /// Notes that a choice's first or next piece came.
    pub(super) fn began(&mut self, choice: u32) {
        if !self.open.contains(&choice) && self.open.len() < MOST_CHOICES {
            self.open.push(choice);
            self.finished = false;
        }
    }

    /// Notes that a choice ended, and why.
    pub(super) fn closed(&mut self, choice: u32, reason: &str) {
        keep(&mut self.finish_reason, Some(reason));
        self.open.retain(|open| *open != choice);
        self.finished = self.open.is_empty();
    }

    /// Notes content of the model's making, in bytes.
    pub(super) fn came(&mut self, output: usize) {
        self.content = true;
        self.output_bytes = self.output_bytes.saturating_add(output as u64);
    }
}

/// Choices kept track of at a time; chat's `n` ends at 128.
const MOST_CHOICES: usize = 256;

/// The first word on a fact counts.
fn keep(fact: &mut Option<String>, said: Option<&str>) {
    if fact.is_none() {
        *fact = said.map(str::to_owned);
    }
}

/// How an answer ended, as far as its bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The dialect says that all was told.
    Complete,
    /// It broke off.
    Truncated,
}

/// What is written into answers beside the dialect's own members.
///
/// Implemented by the layer that knows the price and the clock; a dialect only decides where these go.
pub trait Notes: Send + Sync {
    /// The provider's name.
    fn provider(&self) -> &str;

    /// Appends the cost of `usage` as a JSON object; `false` if there is none to tell.
    fn cost(&self, usage: &Usage, out: &mut BytesMut) -> bool;

    /// Appends the `meta` object; `false` if the caller did not ask for it. `model` is the one that answered, and `usage` what
    /// it used, as far as the provider said.
    fn meta(&self, model: Option<&str>, usage: Option<&Usage>, out: &mut BytesMut) -> bool;
}

/// A provider's answer that is not its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// What is wrong.
    pub kind: StreamErrorKind,
    /// Where or what, one lower-case line without content.
    pub message: String,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamErrorKind {
    /// Not JSON, or not the API's shape.
    Malformed,
    /// Events in an order that the API does not have.
    Order,
    /// Larger than the limit.
    TooLarge,
}

impl StreamError {
    /// An answer that is not the API's shape.
    #[cold]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { kind: StreamErrorKind::Malformed, message: message.into() }
    }

    /// Events out of order.
    #[cold]
    pub fn order(message: impl Into<String>) -> Self {
        Self { kind: StreamErrorKind::Order, message: message.into() }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StreamErrorKind::Malformed => "malformed answer",
            StreamErrorKind::Order => "answer out of order",
            StreamErrorKind::TooLarge => "answer too large",
        };
        write!(f, "{what}: {}", self.message)
    }
}

impl std::error::Error for StreamError {}
