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
    ("gpt-4-turbo-preview", OLD),
    ("gpt-4-turbo*", OLD_SEEING),
    ("gpt-4-*vision-preview", OLD_SEEING),
    ("gpt-4-*", OLD),
    ("gpt-4o*-audio-*", PLAIN),
    ("gpt-4o*-search-*", PLAIN),
    ("gpt-4*", Capabilities { image_input: true, ..PLAIN }),
    ("gpt-5-chat*", Capabilities { image_input: true, ..PLAIN }),
    ("gpt-audio*", PLAIN),
    ("gpt-image*", Capabilities { image_input: true, ..PLAIN }),
    ("gpt-5*", SEEING),
    ("gpt-*", REASONING),
    ("o1-mini*", REASONING),
    ("o1-preview*", REASONING),
    ("o1*", SEEING),
    ("o3-mini*", REASONING),
    ("o3*", SEEING),
    ("o4*", SEEING),
    ("codex-*", SEEING),
    ("computer-use-*", SEEING),
    ("chatgpt-*", Capabilities { image_input: true, ..PLAIN }),
    ("*", PLAIN),
];

const PLAIN: Capabilities = Capabilities { reasoning: ReasoningStyle::None, ..Capabilities::UNKNOWN };

/// Before schemas.
const OLD: Capabilities = Capabilities { structured_output: StructuredOutput::JsonObject, ..PLAIN };

const OLD_SEEING: Capabilities = Capabilities { image_input: true, ..OLD };

/// Refuses `max_tokens`, and sampling other than the default.
const REASONING: Capabilities = Capabilities {
    length: LengthMember::MaxCompletionTokens,
    default_max_output_tokens: 32_000,
    reasoning: ReasoningStyle::Effort,
    sampling: Sampling::Fixed,
    ..PLAIN
};

const SEEING: Capabilities = Capabilities { image_input: true, ..REASONING };
