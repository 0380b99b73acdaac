//! The request's words: the body of `POST /v1/messages`.
//!
//! Source: Anthropic API reference, "Create a Message", and the types of Anthropic's Python SDK.
//!
//! Open unions (content blocks, tools) arrive as raw text: [`tag`] looks at their `type`, then the variant is parsed. So a
//! broken block that we know is an error at its place, and a whole one that we don't know passes through.

use std::borrow::Cow;

use crate::{
    dialect::wire::{self, Number, Raw, Str, StrOr, Tag, wire},
    fault::Detail,
};

/// Text, or a list of blocks.
pub type Content<'a> = StrOr<'a, Vec<Raw<'a>>>;

wire! {
    /// What to create a Message from.
    pub struct MessageCreateParams<'a> {
        /// The model that completes the prompt.
        pub model: Str<'a> = "model",
        /// The conversation so far.
        pub messages: Vec<MessageParam<'a>> = "messages",
        /// The most tokens to generate; required by the API.
        pub max_tokens: Number<'a> = "max_tokens",
        /// The system prompt.
        pub system: StrOr<'a, Vec<TextBlockParam<'a>>> = "system",
        /// Whether to stream the answer.
        pub stream: bool = "stream",
        /// The tools that the model may use.
        pub tools: Vec<Raw<'a>> = "tools",
        /// How the model is to use them.
        pub tool_choice: ToolChoiceParam<'a> = "tool_choice",
        /// Extended thinking.
        pub thinking: ThinkingConfigParam<'a> = "thinking",
        /// Effort and form of the output.
        pub output_config: OutputConfigParam<'a> = "output_config",
        /// The form of the output, where earlier betas put it.
        pub output_format: OutputFormatParam<'a> = "output_format",
        /// Sequences that end the answer.
        pub stop_sequences: Vec<Str<'a>> = "stop_sequences",
        /// Randomness, 0 to 1.
        pub temperature: Number<'a> = "temperature",
        /// Nucleus sampling.
        pub top_p: Number<'a> = "top_p",
        /// Sampling from the `k` likeliest tokens.
        pub top_k: Number<'a> = "top_k",
        /// About the request: `user_id`.
        pub metadata: MetadataParam<'a> = "metadata",
        /// `auto` or `standard_only`.
        pub service_tier: Str<'a> = "service_tier",
    }

    /// One message.
    pub struct MessageParam<'a> {
        /// `user`, `assistant` or `system`.
        pub role: Str<'a> = "role",
        /// What it says.
        pub content: Content<'a> = "content",
    }

    /// `type: text`.
    pub struct TextBlockParam<'a> {
        /// Always `text`.
        pub kind: Str<'a> = "type",
        /// The text.
        pub text: Str<'a> = "text",
        /// What the text cites.
        pub citations: Raw<'a> = "citations",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// `type: image`.
    pub struct ImageBlockParam<'a> {
        /// Always `image`.
        pub kind: Str<'a> = "type",
        /// Where its bytes are.
        pub source: Source<'a> = "source",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// `type: document`.
    pub struct DocumentBlockParam<'a> {
        /// Always `document`.
        pub kind: Str<'a> = "type",
        /// Where its bytes are.
        pub source: Source<'a> = "source",
        /// Its title.
        pub title: Str<'a> = "title",
        /// What to know about it that is not cited.
        pub context: Str<'a> = "context",
        /// Whether to cite it.
        pub citations: CitationsConfigParam<'a> = "citations",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// Whether to cite a document.
    pub struct CitationsConfigParam<'a> {
        /// Whether to.
        pub enabled: bool = "enabled",
    }

    /// A medium's bytes or where they are: `base64`, `url`, `file`, `text` or `content`.
    pub struct Source<'a> {
        /// Which of them.
        pub kind: Str<'a> = "type",
        /// The bytes in base64, or the text.
        pub data: Str<'a> = "data",
        /// The media type of `data`.
        pub media_type: Str<'a> = "media_type",
        /// Where the bytes are.
        pub url: Str<'a> = "url",
        /// Their id in the Files API.
        pub file_id: Str<'a> = "file_id",
        /// Blocks that make up a document.
        pub content: Raw<'a> = "content",
    }

    /// `type: thinking`.
    pub struct ThinkingBlockParam<'a> {
        /// Always `thinking`.
        pub kind: Str<'a> = "type",
        /// The text.
        pub thinking: Str<'a> = "thinking",
        /// Its proof.
        pub signature: Str<'a> = "signature",
    }

    /// `type: redacted_thinking`.
    pub struct RedactedThinkingBlockParam<'a> {
        /// Always `redacted_thinking`.
        pub kind: Str<'a> = "type",
        /// The hidden text.
        pub data: Str<'a> = "data",
    }

    /// `type: tool_use`.
    pub struct ToolUseBlockParam<'a> {
        /// Always `tool_use`.
        pub kind: Str<'a> = "type",
        /// The call's id.
        pub id: Str<'a> = "id",
        /// The tool's name.
        pub name: Str<'a> = "name",
        /// Its input, an object.
        pub input: Raw<'a> = "input",
        /// Who called it: `direct`, or a server tool.
        pub caller: Raw<'a> = "caller",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// `type: tool_result`.
    pub struct ToolResultBlockParam<'a> {
        /// Always `tool_result`.
        pub kind: Str<'a> = "type",
        /// The call's id.
        pub tool_use_id: Str<'a> = "tool_use_id",
        /// What the tool gave.
        pub content: Content<'a> = "content",
        /// Whether it failed.
        pub is_error: bool = "is_error",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// A cache breakpoint.
    pub struct CacheControl<'a> {
        /// Always `ephemeral`.
        pub kind: Str<'a> = "type",
        /// `5m` or `1h`.
        pub ttl: Str<'a> = "ttl",
    }

    /// A tool that the caller runs; `type` is `custom` or not there.
    pub struct ToolParam<'a> {
        /// `custom`.
        pub kind: Str<'a> = "type",
        /// Its name.
        pub name: Str<'a> = "name",
        /// What it does.
        pub description: Str<'a> = "description",
        /// Its input's JSON Schema.
        pub input_schema: Raw<'a> = "input_schema",
        /// Whether inputs must match the schema exactly.
        pub strict: bool = "strict",
        /// A cache breakpoint.
        pub cache_control: CacheControl<'a> = "cache_control",
    }

    /// How to use tools.
    pub struct ToolChoiceParam<'a> {
        /// `auto`, `any`, `tool` or `none`.
        pub kind: Str<'a> = "type",
        /// Which tool, for `tool`.
        pub name: Str<'a> = "name",
        /// Whether to call at most one.
        pub disable_parallel_tool_use: bool = "disable_parallel_tool_use",
    }

    /// Extended thinking.
    pub struct ThinkingConfigParam<'a> {
        /// `enabled`, `disabled`, `adaptive` or `between_tools`.
        pub kind: Str<'a> = "type",
        /// The most thinking tokens, for `enabled`.
        pub budget_tokens: Number<'a> = "budget_tokens",
    }

    /// Effort and form of the output.
    pub struct OutputConfigParam<'a> {
        /// `low` to `max`.
        pub effort: Str<'a> = "effort",
        /// The form.
        pub format: OutputFormatParam<'a> = "format",
    }

    /// The output's form.
    pub struct OutputFormatParam<'a> {
        /// Always `json_schema`.
        pub kind: Str<'a> = "type",
        /// The JSON Schema.
        pub schema: Raw<'a> = "schema",
    }

    /// About the request.
    pub struct MetadataParam<'a> {
        /// An opaque id of the end user.
        pub user_id: Str<'a> = "user_id",
    }
}

/// The `type` of an object; empty if it has none.
///
/// # Errors
/// It is no object, or its `type` no string.
pub fn tag(raw: Raw<'_>) -> Result<Cow<'_, str>, Detail> {
    wire::read::<Tag<'_>>(raw.get()).map(|tag| tag.0.unwrap_or_default().0)
}
