//! Anthropic's models.
//!
//! Source: Anthropic documentation, "Models overview", "Migration guide", "Extended thinking", "Structured outputs".

use crate::dialect::{Capabilities, LengthMember, ReasoningStyle, Sampling, StructuredOutput};

/// From the fourth generation's seventh on, models think as they see fit and refuse sampling settings; so, until it is
/// known better, does one that nobody knows yet.
///
/// The limit for callers who give none is the model's own, or half of it for the newest, whose thinking counts in it.
pub(super) const MODELS: &[(&str, Capabilities)] = &[
    ("claude-3-5-*", THIRD),
    ("claude-3-7-*", Capabilities { reasoning: ReasoningStyle::Budget, default_max_output_tokens: 64_000, ..THIRD }),
    ("claude-3-*", Capabilities { default_max_output_tokens: 4096, ..THIRD }),
    ("claude-opus-4-0", FOURTH_OPUS),
    ("claude-opus-4-2025*", FOURTH_OPUS),
    ("claude-opus-4-1*", Capabilities { sampling: Sampling::OneOf, ..FOURTH_OPUS }),
    ("claude-sonnet-4-0", FOURTH),
    ("claude-sonnet-4-2025*", FOURTH),
    ("claude-*-4-5*", Capabilities { reasoning: ReasoningStyle::Budget, sampling: Sampling::OneOf, ..NEWEST }),
    ("claude-*-4-6*", Capabilities { sampling: Sampling::OneOf, ..NEWEST }),
    ("claude-*", NEWEST),
    // Somebody else's model behind this API.
    ("*", Capabilities { reasoning: ReasoningStyle::Budget, default_max_output_tokens: 4096, image_input: false, ..THIRD }),
];

const NEWEST: Capabilities = Capabilities {
    length: LengthMember::MaxTokens,
    default_max_output_tokens: 64_000,
    reasoning: ReasoningStyle::Adaptive,
    sampling: Sampling::Fixed,
    max_temperature_tenths: 10,
    developer_role: false,
    image_input: true,
    ..Capabilities::UNKNOWN
};

const FOURTH: Capabilities = Capabilities {
    reasoning: ReasoningStyle::Budget,
    sampling: Sampling::Free,
    structured_output: StructuredOutput::Emulated,
    strict_tools: false,
    ..NEWEST
};

const FOURTH_OPUS: Capabilities = Capabilities { default_max_output_tokens: 32_000, ..FOURTH };

const THIRD: Capabilities = Capabilities { reasoning: ReasoningStyle::None, default_max_output_tokens: 8192, ..FOURTH };
