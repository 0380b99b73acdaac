//! OpenAI's models.
//!
//! Source: OpenAI documentation, "Models" and "Reasoning models"; the model list of the vendor's SDK.

use crate::dialect::{Capabilities, LengthMember, ReasoningStyle, Sampling, StructuredOutput};

/// How the names of OpenAI's models begin.
pub(super) const PATTERNS: &[&str] = &[
    "gpt-*",
    "o1*",
    "o3*",
    "o4*",
    "chatgpt-*",
    "codex-*",
    "computer-use-*",
    "dall-e-*",
    "omni-moderation-*",
    "text-embedding-*",
    "text-moderation-*",
];

/// Every `gpt-` past the fourth reasons, and so, until it is known better, does one that nobody knows yet.
pub(super) const MODELS: &[(&str, Capabilities)] = &[
    ("gpt-3*", OLD),
    ("gpt-4", OLD),
    ("gpt-4-turbo*", Capabilities { image_input: true, ..OLD }),
    ("gpt-4-*", OLD),
    ("gpt-4*", PLAIN),
    ("gpt-5-chat*", PLAIN),
    ("gpt-audio*", PLAIN),
    ("gpt-image*", PLAIN),
    ("gpt-*", REASONING),
    ("o1*", REASONING),
    ("o3*", REASONING),
    ("o4*", REASONING),
    ("codex-*", REASONING),
    ("computer-use-*", REASONING),
    ("*", PLAIN),
];

const PLAIN: Capabilities = Capabilities { reasoning: ReasoningStyle::None, ..Capabilities::UNKNOWN };

/// Before schemas and images.
const OLD: Capabilities = Capabilities { structured_output: StructuredOutput::JsonObject, image_input: false, ..PLAIN };

/// Refuses `max_tokens`, and sampling other than the default.
const REASONING: Capabilities = Capabilities {
    length: LengthMember::MaxCompletionTokens,
    default_max_output_tokens: 32_000,
    reasoning: ReasoningStyle::Effort,
    sampling: Sampling::Fixed,
    ..PLAIN
};
