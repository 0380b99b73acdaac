//! The answer's words: a Message, and the events that stream one.
//!
//! Source: Anthropic API reference, "Create a Message" and "Streaming Messages", and the types of Anthropic's Python SDK.

use crate::dialect::{
    anthropic::usage::Spent,
    conversation::FinishReason,
    wire::{Apart, Number, Raw, Str, wire},
};

wire! {
    /// A whole answer.
    pub struct Message<'a> {
        /// `message`, or `error`.
        pub kind: Str<'a> = "type",
        /// `msg_...`.
        pub id: Str<'a> = "id",
        /// Always `assistant`.
        pub role: Str<'a> = "role",
        /// The model that answered.
        pub model: Str<'a> = "model",
        /// What it says: content blocks.
        pub content: Vec<Apart<'a, ContentBlock<'a>>> = "content",
        /// Why it stopped.
        pub stop_reason: Str<'a> = "stop_reason",
        /// The stop sequence met.
        pub stop_sequence: Str<'a> = "stop_sequence",
        /// What was used: a [`Usage`].
        pub usage: Apart<'a, Spent<'a>> = "usage",
        /// The error, in place of an answer.
        pub error: Raw<'a> = "error",
    }

    /// Any event of a stream.
    pub struct StreamEvent<'a> {
        /// Which one.
        pub kind: Str<'a> = "type",
        /// The block's number, for `content_block_*`.
        pub index: u32 = "index",
        /// The [`Message`] so far, for `message_start`; read apart, being large and rare.
        pub message: Raw<'a> = "message",
        /// The block so far, for `content_block_start`.
        pub content_block: Raw<'a> = "content_block",
        /// What it grows by, for `content_block_delta` and `message_delta`.
        pub delta: Delta<'a> = "delta",
        /// What was used so far, for `message_delta`.
        pub usage: Raw<'a> = "usage",
        /// What went wrong, for `error`.
        pub error: Raw<'a> = "error",
    }

    /// What a block or the Message grows by.
    pub struct Delta<'a> {
        /// Which kind, for a block: `text_delta` and so on.
        pub kind: Str<'a> = "type",
        /// For `text_delta`.
        pub text: Str<'a> = "text",
        /// For `thinking_delta`.
        pub thinking: Str<'a> = "thinking",
        /// For `signature_delta`.
        pub signature: Str<'a> = "signature",
        /// For `input_json_delta`.
        pub partial_json: Str<'a> = "partial_json",
        /// For `citations_delta`.
        pub citation: Raw<'a> = "citation",
        /// Why the Message stopped.
        pub stop_reason: Str<'a> = "stop_reason",
        /// The stop sequence met.
        pub stop_sequence: Str<'a> = "stop_sequence",
    }

    /// A content block. What its members must be is its kind's to say: of kinds we don't know they may be anything.
    pub struct ContentBlock<'a> {
        /// `text`, `thinking`, `redacted_thinking`, `tool_use`, and what others there are.
        pub kind: Str<'a> = "type",
        /// The text of a `text`.
        pub text: Apart<'a, Str<'a>> = "text",
        /// What it cites: a list.
        pub citations: Raw<'a> = "citations",
        /// The text of a `thinking`.
        pub thinking: Apart<'a, Str<'a>> = "thinking",
        /// Its proof.
        pub signature: Raw<'a> = "signature",
        /// The hidden text of a `redacted_thinking`.
        pub data: Raw<'a> = "data",
        /// The id of a `tool_use`.
        pub id: Raw<'a> = "id",
        /// Its tool's name.
        pub name: Raw<'a> = "name",
        /// Its input; an empty object where deltas follow.
        pub input: Raw<'a> = "input",
    }

    /// Counts of tokens. In a stream they are cumulative.
    pub struct Usage<'a> {
        /// Fresh input, neither read from a cache nor written to one.
        pub input_tokens: Number<'a> = "input_tokens",
        /// Input written to a cache.
        pub cache_creation_input_tokens: Number<'a> = "cache_creation_input_tokens",
        /// Input read from a cache.
        pub cache_read_input_tokens: Number<'a> = "cache_read_input_tokens",
        /// The written part by how long it is kept.
        pub cache_creation: CacheCreation<'a> = "cache_creation",
        /// Output, thinking included.
        pub output_tokens: Number<'a> = "output_tokens",
        /// Parts of the output.
        pub output_tokens_details: OutputTokensDetails<'a> = "output_tokens_details",
        /// Requests of server tools.
        pub server_tool_use: ServerToolUsage<'a> = "server_tool_use",
        /// The tier that served the call.
        pub service_tier: Str<'a> = "service_tier",
    }

    /// Input written to a cache, by how long it is kept.
    pub struct CacheCreation<'a> {
        /// Five minutes.
        pub ephemeral_5m_input_tokens: Number<'a> = "ephemeral_5m_input_tokens",
        /// An hour.
        pub ephemeral_1h_input_tokens: Number<'a> = "ephemeral_1h_input_tokens",
    }

    /// Parts of the output.
    pub struct OutputTokensDetails<'a> {
        /// Thinking.
        pub thinking_tokens: Number<'a> = "thinking_tokens",
    }

    /// Requests of server tools.
    pub struct ServerToolUsage<'a> {
        /// Web searches, which are billed each.
        pub web_search_requests: Number<'a> = "web_search_requests",
    }
}

/// What a `stop_reason` means.
pub fn finish_reason(stop_reason: Str<'_>) -> FinishReason<'_> {
    match &*stop_reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "pause_turn" => FinishReason::Pause,
        "refusal" => FinishReason::Refusal,
        "tool_use" => FinishReason::ToolCalls,
        _ => FinishReason::Other(stop_reason.0),
    }
}

/// What was told beside the reason to stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// A stop sequence was met.
    pub stop_sequence: bool,
    /// The Message holds a `tool_use`.
    pub tool_use: bool,
    /// The model refused in so many words.
    pub refusal: bool,
}

/// The `stop_reason` that says `reason`; `None` where the API names none such.
///
/// It agrees with what was told: a Message with calls in it stops for `tool_use` even where the provider said "stop",
/// and one without never does.
pub fn stop_reason(reason: &FinishReason<'_>, told: Told) -> Option<&'static str> {
    Some(match reason {
        _ if told.refusal => "refusal",
        FinishReason::Stop | FinishReason::ToolCalls if told.tool_use => "tool_use",
        FinishReason::Stop | FinishReason::ToolCalls if told.stop_sequence => "stop_sequence",
        FinishReason::Stop | FinishReason::ToolCalls => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
        FinishReason::Other(_) => return None,
    })
}

/// The blocks of server tools and the like, which pass from Messages to Messages as they are.
pub fn is_ours(kind: &str) -> bool {
    matches!(kind, "server_tool_use" | "mcp_tool_use" | "container_upload" | "compaction" | "fallback" | "mcp_tool_listing")
        || kind.ends_with("_tool_result")
}

/// The tier that served a call, as the API names it; `None` for one that it does not have.
pub fn service_tier(tier: &str) -> Option<&'static str> {
    match tier {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}
