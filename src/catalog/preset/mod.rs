//! What is known of the providers people have: data, one row each.

mod account;
mod anthropic;
mod base_url;
mod openai;
mod table;

use crate::dialect::Capabilities;

pub use self::{
    account::{Account, AccountError},
    base_url::{BaseUrlError, is_loopback},
};

/// A kind of provider: what an account there needs, how it is spoken to, what its models can do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Preset {
    /// Its name in configuration: `openai`.
    pub kind: &'static str,
    /// Where it listens; `None` if the account must say.
    pub base_url: Option<&'static str>,
    /// Which path segments of a base URL count as the API's version.
    pub version: Version,
    /// How it takes its credential; `None` if it has none.
    pub credential: Option<Credential>,
    /// Whether an account without a credential is refused.
    pub needs_key: bool,
    /// The environment variable that usually holds its credential.
    pub key_variable: Option<&'static str>,
    /// The environment variable that usually holds another base URL.
    pub url_variable: Option<&'static str>,
    /// The dialects it speaks, by name, the preferred first.
    pub dialects: &'static [&'static str],
    /// Whether it also takes OpenAI's shapes of embeddings, moderations and images.
    pub openai_operations: bool,
    /// Whose opaque tokens it reads; `None`: those it made itself.
    pub issuer: Option<&'static str>,
    /// Headers it wants where the caller sent none.
    pub headers: &'static [(&'static str, &'static str)],
    /// How its models' names begin, each with a `*`, where they tell it from other providers.
    pub patterns: &'static [&'static str],
    /// What its models can do, by name: the first row that matches holds. `*` stands for any part of a name.
    pub models: &'static [(&'static str, Capabilities)],
    /// Whether it answers inside the process.
    pub built_in: bool,
}

/// How a credential travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// A header whose value is the key, by its name in lower case.
    Header(&'static str),
}

/// Which path segments of a base URL count as the API's version, so that none is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Any that looks like one: OpenAI's clients take a base URL as complete (`.../v1/account/openai`).
    Anywhere,
    /// The last: Anthropic's clients always add `/v1`.
    AtEnd,
}

impl Preset {
    /// The preset called `kind`.
    pub fn named(kind: &str) -> Option<&'static Self> {
        Self::all().iter().copied().find(|preset| preset.kind == kind)
    }

    /// Every preset.
    pub fn all() -> &'static [&'static Self] {
        table::ALL
    }

    /// What `model` can do, by the name this provider gives it.
    pub fn capabilities(&self, model: &str) -> Capabilities {
        let row = self.models.iter().find(|(pattern, _)| matches(pattern, model));
        row.map_or_else(Capabilities::default, |(_, capabilities)| capabilities.clone())
    }
}

/// What `model` can do at a provider of `kind`.
pub(super) fn capabilities(kind: &str, model: &str) -> Capabilities {
    Preset::named(kind).map_or_else(Capabilities::default, |preset| preset.capabilities(model))
}

/// Whether `name` has the shape of `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    // The parts between stars match where they first can; the last part must end the name.
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        name = name.get(at + part.len()..).unwrap_or_default();
        pattern = rest;
    }
    name.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{LengthMember, ReasoningStyle, Sampling, StructuredOutput};

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("gpt-*", "gpt-5", true),
            ("gpt-*", "chatgpt-5", false),
            ("claude-*-4-5*", "claude-sonnet-4-5-20250929", true),
            ("claude-*-4-5*", "claude-sonnet-4-6", false),
            ("gpt-5-chat", "gpt-5-chat-latest", false),
            ("a*b*c", "abxbc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_dialect_is_one_that_is_built() {
        for preset in Preset::all() {
            assert!(preset.dialects.iter().all(|name| crate::dialect::named(name).is_some()), "{}", preset.kind);
        }
    }

    #[test]
    fn every_row_ends_with_one_for_models_nobody_knows() {
        for preset in Preset::all() {
            assert_eq!(preset.models.last().map(|(pattern, _)| *pattern), Some("*"), "{}", preset.kind);
            assert!(preset.patterns.iter().all(|pattern| pattern.ends_with('*')));
        }
    }

    #[test]
    fn cp_12_reasoning_models_of_openai_by_shape_not_by_list() {
        let openai = Preset::named("openai").unwrap();
        for model in ["o1", "o3-mini-2025-01-31", "o4-mini", "gpt-5-nano-2025-08-07", "gpt-6.2-sol", "gpt-11", "codex-mini-latest"] {
            let it = openai.capabilities(model);
            assert_eq!((it.length, it.sampling), (LengthMember::MaxCompletionTokens, Sampling::Fixed), "{model}");
        }
        for model in ["gpt-4.1", "gpt-4o-mini", "gpt-4-0613", "gpt-3.5-turbo", "gpt-5-chat-latest", "text-embedding-3-small"] {
            assert_eq!(openai.capabilities(model).sampling, Sampling::Free, "{model}");
        }
    }

    #[test]
    fn images_are_claimed_where_they_are_known() {
        let sees = |preset: &str, model: &str| Preset::named(preset).unwrap().capabilities(model).image_input;
        for model in
            ["gpt-4-turbo", "gpt-4-vision-preview", "gpt-4-1106-vision-preview", "gpt-4o-mini", "gpt-4.1", "gpt-5-nano", "o1", "o3"]
        {
            assert!(sees("openai", model), "{model}");
        }
        for model in [
            "gpt-3.5-turbo",
            "gpt-4-0613",
            "gpt-4-turbo-preview",
            "gpt-4o-audio-preview",
            "o1-mini",
            "o3-mini",
            "text-embedding-3-small",
            "dall-e-3",
        ] {
            assert!(!sees("openai", model), "{model}");
        }
        assert!(sees("anthropic", "claude-3-haiku-20240307") && !sees("anthropic", "mine"));
        assert!(!sees("openai-compatible", "llama") && !sees("demo", "demo"));
    }

    #[test]
    fn generations_of_claude() {
        let anthropic = Preset::named("anthropic").unwrap();
        use {ReasoningStyle as R, Sampling as S, StructuredOutput as O};
        for (model, reasoning, sampling, output, limit) in [
            ("claude-3-haiku-20240307", R::None, S::Free, O::Emulated, 4096),
            ("claude-3-5-haiku-latest", R::None, S::Free, O::Emulated, 8192),
            ("claude-3-7-sonnet-20250219", R::Budget, S::Free, O::Emulated, 64_000),
            ("claude-sonnet-4-20250514", R::Budget, S::Free, O::Emulated, 64_000),
            ("claude-opus-4-0", R::Budget, S::Free, O::Emulated, 32_000),
            ("claude-opus-4-1-20250805", R::Budget, S::OneOf, O::Emulated, 32_000),
            ("claude-haiku-4-5", R::Budget, S::OneOf, O::Schema, 64_000),
            ("claude-opus-4-6", R::Adaptive, S::OneOf, O::Schema, 64_000),
            ("claude-opus-4-8", R::Adaptive, S::Fixed, O::Schema, 64_000),
            ("claude-sonnet-5-5", R::Adaptive, S::Fixed, O::Schema, 64_000),
            ("claude-nova-7", R::Adaptive, S::Fixed, O::Schema, 64_000),
            ("somebody-elses", R::Budget, S::Free, O::Emulated, 4096),
        ] {
            let it = anthropic.capabilities(model);
            let found = (it.reasoning, it.sampling, it.structured_output, it.default_max_output_tokens);
            assert_eq!(found, (reasoning, sampling, output, limit), "{model}");
            assert_eq!(it.max_temperature_tenths, 10, "{model}");
        }
    }
}
