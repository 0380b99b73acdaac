//! The answer's wire types, whole and streamed.
//!
//! Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object". The two differ in
//! one member of a choice, `message` or `delta`, and are one type here, so that they cannot be read differently.
//!
//! Compatible servers are loose with shapes: what is not acted on, or not vital, is read as raw text.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use smallvec::SmallVec;

use super::request::{FunctionCall, ReasoningDetail};
use crate::dialect::{
    scan::Walk,
    wire::{self, Raw, Str, StrOr, Wire, wire},
};

wire! {
    /// A chat completion, or a chunk of one.
    pub struct ChatCompletion<'a> {
        /// Its id, the same in each chunk.
        pub id: Str<'a> = "id",
        /// `chat.completion`, `chat.completion.chunk`; `error` from some servers.
        pub object: Raw<'a> = "object",
        /// When it was made, in Unix seconds.
        pub created: Raw<'a> = "created",
        /// The model that answers.
        pub model: Str<'a> = "model",
        /// The choices; none in a usage chunk.
        pub choices: List<Choice<'a>> = "choices",
        /// What was used.
        pub usage: Raw<'a> = "usage",
        /// Where Groq puts it.
        pub x_groq: Groq<'a> = "x_groq",
        /// The tier that served the call.
        pub service_tier: Str<'a> = "service_tier",
        /// The backend's configuration.
        pub system_fingerprint: Str<'a> = "system_fingerprint",
        /// Padding against eavesdroppers who count bytes.
        pub obfuscation: Raw<'a> = "obfuscation",
        /// What went wrong, in an answer that failed after its head was sent.
        pub error: Raw<'a> = "error",
    }

    /// Groq's own part of a chunk.
    pub struct Groq<'a> {
        /// What was used.
        pub usage: Raw<'a> = "usage",
    }

    /// One choice.
    pub struct Choice<'a> {
        /// Its number.
        pub index: Raw<'a> = "index",
        /// The next piece of its message, in a chunk.
        pub delta: Message<'a> = "delta",
        /// Its message, in a whole answer. Boxed, as other rare members are: a chunk is moved about while it is read.
        pub message: Box<Message<'a>> = "message",
        /// Log probabilities of what is here.
        pub logprobs: Logprobs<'a> = "logprobs",
        /// Why it ended.
        pub finish_reason: Str<'a> = "finish_reason",
        /// The stop sequence met, or its token's number: vLLM's.
        pub stop_reason: Raw<'a> = "stop_reason",
        /// Where Moonshot puts the usage.
        pub usage: Raw<'a> = "usage",
        /// Where OpenRouter puts a provider's failure.
        pub error: Raw<'a> = "error",
    }

    /// Log probabilities.
    pub struct Logprobs<'a> {
        /// Of the text: a list.
        pub content: Raw<'a> = "content",
        /// Of the refusal: a list.
        pub refusal: Raw<'a> = "refusal",
    }

    /// A message of the model, or the next piece of one.
    pub struct Message<'a> {
        /// `assistant`.
        pub role: Raw<'a> = "role",
        /// Its text; Mistral's reasoning models send [`Piece`]s.
        pub content: StrOr<'a, Vec<Piece<'a>>> = "content",
        /// The model's refusal.
        pub refusal: Str<'a> = "refusal",
        /// The calls it makes.
        pub tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        /// The call it makes, before there were tools.
        pub function_call: Box<FunctionCall<'a>> = "function_call",
        /// Citations: `url_citation`s.
        pub annotations: Vec<Raw<'a>> = "annotations",
        /// Its reasoning: DeepSeek's and ours.
        pub reasoning_content: Str<'a> = "reasoning_content",
        /// The same: OpenRouter's, vLLM's, Groq's.
        pub reasoning: Str<'a> = "reasoning",
        /// Its reasoning with what proves or hides it: OpenRouter's and ours.
        pub reasoning_details: Vec<ReasoningDetail<'a>> = "reasoning_details",
    }

    /// A piece of Mistral's content.
    pub struct Piece<'a> {
        /// `text` or `thinking`.
        pub kind: Str<'a> = "type",
        /// A text piece's text.
        pub text: Str<'a> = "text",
        /// A thinking piece's text pieces.
        pub thinking: Vec<Piece<'a>> = "thinking",
    }

    /// A tool call, or the next piece of one.
    pub struct ToolCall<'a> {
        /// Its position among the message's calls, in a chunk.
        pub index: Raw<'a> = "index",
        /// Its id, in its first piece.
        pub id: Str<'a> = "id",
        /// `function` or `custom`.
        pub kind: Raw<'a> = "type",
        /// A function call.
        pub function: FunctionCall<'a> = "function",
        /// A call of a freeform tool.
        pub custom: Raw<'a> = "custom",
    }
}

/// A list that seldom holds more than one: it costs no allocation then.
#[derive(Clone, Debug)]
pub struct List<T>(pub SmallVec<[T; 1]>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut list = SmallVec::new();
                while let Some(element) = elements.next_element()? {
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for List<T> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        let mut list = SmallVec::new();
        wire::elements(walk, text, |element| list.push(element)).then_some(Self(list))
    }
}
