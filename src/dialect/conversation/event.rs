//! What a provider answers, piece by piece.

use std::borrow::Cow;

use super::Issuer;
use crate::{dialect::Usage, fault::UpstreamError};

/// A block's number in the hub, unique in its answer. Encoders map it to their own index space.
pub type BlockId = u32;

/// One step of an answer.
///
/// An answer is one `Start`; blocks, each opened, grown by deltas and closed (several may be open at once, of one choice
/// or many); for every choice one `Finish`; `Usage`, perhaps repeated, the last one counts. `Error` ends it early.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The answer begins. Lifecycle, not content.
    Start {
        /// The provider's id of the answer.
        id: Option<Cow<'a, str>>,
        /// The model version that answers.
        model: Option<Cow<'a, str>>,
        /// When it was made, in Unix seconds.
        created: Option<u64>,
    },
    /// A block begins.
    Open {
        /// Its number.
        block: BlockId,
        /// The choice it belongs to.
        choice: u32,
        /// What it is.
        opening: Opening<'a>,
    },
    /// A block grows.
    Delta {
        /// Its number.
        block: BlockId,
        /// By what.
        delta: Delta<'a>,
    },
    /// A block is complete.
    Close {
        /// Its number.
        block: BlockId,
    },
    /// Log probabilities of a choice's next tokens: elements of a JSON array, without its brackets.
    Logprobs {
        /// The choice.
        choice: u32,
        /// Whether they are of refusal text.
        refusal: bool,
        /// The elements' JSON text, comma-separated.
        elements: Cow<'a, str>,
    },
    /// A choice is complete.
    Finish {
        /// The choice.
        choice: u32,
        /// Why it ended.
        reason: FinishReason<'a>,
        /// The stop sequence met.
        stop_sequence: Option<Cow<'a, str>>,
    },
    /// What was used so far: replaces what an earlier one said. One that is not [believed](Usage::believed) takes it back.
    Usage(Usage),
    /// The tier that served the call, as the provider names it.
    ServiceTier(Cow<'a, str>),
    /// The backend's fingerprint.
    Fingerprint(Cow<'a, str>),
    /// The provider is alive and has nothing to say.
    Alive,
    /// The provider gave up. The last event.
    Error(UpstreamError),
    /// Something only this dialect knows, beside the blocks.
    Unknown {
        /// The member or event name there.
        kind: Cow<'a, str>,
        /// Its JSON text.
        raw: Cow<'a, str>,
    },
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Opening<'a> {
    /// Text for the caller.
    Text,
    /// The model's refusal.
    Refusal,
    /// Reasoning with readable text.
    Reasoning,
    /// Reasoning hidden by its issuer, whole.
    Redacted {
        /// The opaque token.
        data: Cow<'a, str>,
        /// Who made it.
        issuer: Issuer<'a>,
    },
    /// A tool call; its arguments follow as deltas.
    ToolCall {
        /// The provider's id of the call.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
    },
    /// A block only this dialect knows (a server tool's call or result), whole.
    Unknown {
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// Its JSON text as it opened.
        raw: Cow<'a, str>,
    },
}

/// What a block grows by.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Delta<'a> {
    /// More text, of a text, refusal or reasoning block.
    Text(Cow<'a, str>),
    /// More of a tool call's arguments, or of an unknown block's input.
    Arguments(Cow<'a, str>),
    /// The reasoning's signature, whole or its next part.
    Signature {
        /// The token.
        signature: Cow<'a, str>,
        /// Who made it.
        issuer: Issuer<'a>,
    },
    /// A citation for the text, in the provider's own form: a JSON object.
    Citation {
        /// The dialect whose form it is.
        dialect: &'static str,
        /// Its JSON text.
        raw: Cow<'a, str>,
    },
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason<'a> {
    /// It was done, or met a stop sequence.
    Stop,
    /// The token limit was reached.
    Length,
    /// The context window was full.
    ContextWindow,
    /// It calls tools.
    ToolCalls,
    /// A filter or the model's own safeguard ended it.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// The provider paused a long turn, to be continued by sending it back.
    Pause,
    /// A reason this crate does not know.
    Other(Cow<'a, str>),
}

impl FinishReason<'_> {
    /// The reason's name in records: chat's word where it has one.
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContextWindow => "context_window",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Pause => "pause",
            Self::Other(name) => name,
        }
    }
}
impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Start { id, model, created } => Event::Start { id: id.map(own), model: model.map(own), created },
            Self::Open { block, choice, opening } => Event::Open { block, choice, opening: opening.into_owned() },
            Self::Delta { block, delta } => Event::Delta { block, delta: delta.into_owned() },
            Self::Close { block } => Event::Close { block },
            Self::Logprobs { choice, refusal, elements } => Event::Logprobs { choice, refusal, elements: own(elements) },
            Self::Finish { choice, reason, stop_sequence } => {
                Event::Finish { choice, reason: reason.into_owned(), stop_sequence: stop_sequence.map(own) }
            }
            Self::Usage(usage) => Event::Usage(usage),
            Self::ServiceTier(tier) => Event::ServiceTier(own(tier)),
            Self::Fingerprint(fingerprint) => Event::Fingerprint(own(fingerprint)),
            Self::Alive => Event::Alive,
            Self::Error(error) => Event::Error(error),
            Self::Unknown { kind, raw } => Event::Unknown { kind: own(kind), raw: own(raw) },
        }
    }
}

impl Opening<'_> {
    /// The same opening, borrowing nothing.
    pub fn into_owned(self) -> Opening<'static> {
        match self {
            Self::Text => Opening::Text,
            Self::Refusal => Opening::Refusal,
            Self::Reasoning => Opening::Reasoning,
            Self::Redacted { data, issuer } => Opening::Redacted { data: own(data), issuer: own(issuer) },
            Self::ToolCall { id, name } => Opening::ToolCall { id: own(id), name: own(name) },
            Self::Unknown { kind, raw } => Opening::Unknown { kind: own(kind), raw: own(raw) },
        }
    }
}

impl Delta<'_> {
    /// The same delta, borrowing nothing.
    pub fn into_owned(self) -> Delta<'static> {
        match self {
            Self::Text(text) => Delta::Text(own(text)),
            Self::Arguments(arguments) => Delta::Arguments(own(arguments)),
            Self::Signature { signature, issuer } => Delta::Signature { signature: own(signature), issuer: own(issuer) },
            Self::Citation { dialect, raw } => Delta::Citation { dialect, raw: own(raw) },
        }
    }
}

impl FinishReason<'_> {
    /// The same reason, borrowing nothing.
    pub fn into_owned(self) -> FinishReason<'static> {
        match self {
            Self::Stop => FinishReason::Stop,
            Self::Length => FinishReason::Length,
            Self::ContextWindow => FinishReason::ContextWindow,
            Self::ToolCalls => FinishReason::ToolCalls,
            Self::ContentFilter => FinishReason::ContentFilter,
            Self::Refusal => FinishReason::Refusal,
            Self::Pause => FinishReason::Pause,
            Self::Other(reason) => FinishReason::Other(own(reason)),
        }
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
