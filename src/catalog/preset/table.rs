//! The providers, one row each.

use super::{Credential, Preset, Version, anthropic, openai};
use crate::dialect::Capabilities;

pub(super) static ALL: &[&Preset] = &[&Preset::ANTHROPIC, &Preset::DEMO, &Preset::OPENAI, &Preset::OPENAI_COMPATIBLE];

impl Preset {
    /// Anthropic's own API.
    ///
    /// Source: Anthropic API reference, "API overview" and "Versions".
    pub const ANTHROPIC: Self = Self {
        kind: "anthropic",
        base_url: Some("https://api.anthropic.com/v1"),
        version: Version::AtEnd,
        credential: Some(Credential::Header("x-api-key")),
        needs_key: true,
        key_variable: Some("ANTHROPIC_API_KEY"),
        url_variable: Some("ANTHROPIC_BASE_URL"),
        dialects: &["anthropic-messages"],
        openai_operations: false,
        issuer: Some("anthropic"),
        headers: &[("anthropic-version", "2023-06-01")],
        patterns: &["claude-*"],
        models: anthropic::MODELS,
        built_in: false,
    };

    /// The demo inside the process: it answers offline, in every dialect.
    pub const DEMO: Self = Self {
        kind: "demo",
        base_url: None,
        version: Version::Anywhere,
        credential: None,
        needs_key: false,
        key_variable: None,
        url_variable: None,
        dialects: &["openai-chat", "anthropic-messages"],
        openai_operations: true,
        issuer: None,
        headers: &[],
        patterns: &[],
        models: &[("*", Capabilities::UNKNOWN)],
        built_in: true,
    };

    /// OpenAI's own API.
    ///
    /// Source: OpenAI API reference, "Introduction".
    pub const OPENAI: Self = Self {
        kind: "openai",
        base_url: Some("https://api.openai.com/v1"),
        version: Version::Anywhere,
        credential: Some(Credential::Bearer),
        needs_key: true,
        key_variable: Some("OPENAI_API_KEY"),
        url_variable: Some("OPENAI_BASE_URL"),
        dialects: &["openai-chat"],
        openai_operations: true,
        issuer: Some("openai"),
        headers: &[],
        patterns: openai::PATTERNS,
        models: openai::MODELS,
        built_in: false,
    };

    /// Whoever offers OpenAI's API: vLLM, Ollama, LM Studio, most clouds.
    pub const OPENAI_COMPATIBLE: Self = Self {
        kind: "openai-compatible",
        base_url: None,
        needs_key: false,
        key_variable: None,
        url_variable: None,
        issuer: None,
        patterns: &[],
        // Many templates know no `developer` role.
        models: &[("*", Capabilities { developer_role: false, ..Capabilities::UNKNOWN })],
        ..Self::OPENAI
    };
}
