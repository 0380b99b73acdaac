//! The hub between dialects: what every chat API means, in no API's words.
//!
//! A [`Request`] is instructions, ordered turns of typed [`Block`]s, tools and settings. An answer is a sequence of
//! [`Event`]s; a whole one is their fold, [`Answer`]. Everything borrows from the bytes it was read from.
//!
//! Three rules keep meaning intact: tool arguments stay the text they were; open values are known or raw; an opaque
//! token (a thinking signature, an encrypted part) carries its [`issuer`](Reasoning::issuer) and goes to nobody else.

mod answer;
mod event;
mod request;

pub use self::{
    answer::{Answer, AnswerBlock, Choice},
    event::{BlockId, Delta, Event, FinishReason, Opening},
    request::{
        Block, BlockKind, CacheMarker, Effort, Instruction, Issuer, Media, MediaSource, OutputFormat, Reasoning, ReasoningConfig,
        ReasoningPlaces, Request, Role, Tool, ToolChoice, ToolKind, Turn,
    },
};

pub(crate) use self::answer::Fold;
