//! What was used, in this API's counts: cached input is part of the prompt, reasoning part of the completion.
//!
//! Source: OpenAI API reference, "The chat completion object", `usage`. Compatible servers differ in names and sums; each
//! line that knows one of them says whose it is.

use bytes::BytesMut;
use serde::{Deserialize, Deserializer};

use crate::dialect::{
    AnswerOptions, Usage,
    json::Object,
    wire::{Raw, wire},
};

wire! {
    /// What was used.
    pub struct CompletionUsage<'a> {
        /// Input tokens, cached ones included.
        pub prompt_tokens: Count = "prompt_tokens",
        /// Output tokens, reasoning included.
        pub completion_tokens: Count = "completion_tokens",
        /// Their sum.
        pub total_tokens: Count = "total_tokens",
        /// Parts of the input.
        pub prompt_tokens_details: Raw<'a> = "prompt_tokens_details",
        /// Parts of the output.
        pub completion_tokens_details: Raw<'a> = "completion_tokens_details",

        /// The Responses API's word for `prompt_tokens`.
        pub input_tokens: Count = "input_tokens",
        /// The Responses API's word for `completion_tokens`.
        pub output_tokens: Count = "output_tokens",
        /// Cached input: Moonshot's.
        pub cached_tokens: Count = "cached_tokens",
        /// Cached input: Mistral's.
        pub num_cached_tokens: Count = "num_cached_tokens",
        /// Cached input: DeepSeek's.
        pub prompt_cache_hit_tokens: Count = "prompt_cache_hit_tokens",
        /// Parts of the input: Mistral's.
        pub prompt_token_details: Raw<'a> = "prompt_token_details",
        /// Reasoning: Perplexity's.
        pub reasoning_tokens: Count = "reasoning_tokens",
    }

    /// Parts of the input or of the output.
    pub struct Details<'a> {
        /// Read from a cache.
        pub cached_tokens: Count = "cached_tokens",
        /// Written to a cache.
        pub cache_write_tokens: Count = "cache_write_tokens",
        /// Sound.
        pub audio_tokens: Count = "audio_tokens",
        /// Reasoning.
        pub reasoning_tokens: Count = "reasoning_tokens",
    }
}

/// A count, however it is written: what is negative or no number is nothing, what is absurd is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Raw::<'de>::deserialize(deserializer)?.get();
        // A float past the range saturates, NaN is 0.
        Ok(Self(text.parse().unwrap_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as u64)))
    }
}

/// Reads a `usage` member. `None` if it is `null` or counts nothing.
pub(super) fn read(raw: &str) -> Option<Usage> {
    // Most chunks say `null`, and serde's error is several allocations.
    let object = raw.starts_with('{');
    let wire: CompletionUsage<'_> = object.then(|| serde_json::from_str(raw).ok()).flatten()?;
    let count = |count: Option<Count>| count.map_or(0, |count| count.0.min(ABSURD));
    let prompt = wire.prompt_tokens.or(wire.input_tokens);
    let completion = wire.completion_tokens.or(wire.output_tokens);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt, completion) = (count(prompt), count(completion));
    let input = details(wire.prompt_tokens_details.or(wire.prompt_token_details));
    let output = details(wire.completion_tokens_details);

    let cached = count(input.cached_tokens.or(wire.prompt_cache_hit_tokens).or(wire.cached_tokens).or(wire.num_cached_tokens));
    let written = count(input.cache_write_tokens);
    let heard = count(input.audio_tokens);
    // xAI counts cached input beside the prompt when there is more of it than prompt.
    let fresh = if cached > prompt { prompt } else { prompt - cached };

    let reasoning = count(output.reasoning_tokens.or(wire.reasoning_tokens));
    let total = count(wire.total_tokens);
    // xAI counts reasoning beside the completion; the total tells who does.
    let beside = reasoning > 0 && total > prompt + completion && total == prompt + completion + reasoning;
    let completion = if beside { completion + reasoning } else { completion };
    let spoken = count(output.audio_tokens).min(completion);

    let mut usage = Usage {
        input: fresh.saturating_sub(written).saturating_sub(heard),
        cache_read: cached,
        cache_write_5m: written,
        output: completion - spoken,
        reasoning: reasoning.min(completion - spoken),
        input_audio: heard,
        output_audio: spoken,
        ..Usage::default()
    };
    usage.clamp();
    Some(usage)
}

/// Reads the parts of a count; what is no object has none.
fn details(raw: Option<Raw<'_>>) -> Details<'_> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// More than any call uses; small enough that sums cannot overflow.
const ABSURD: u64 = 1 << 40;

/// Writes the `usage` object; with `options.rich_usage` under both pairs of names, and with its cost.
pub(super) fn write(out: &mut BytesMut, usage: &Usage, options: &AnswerOptions) {
    let prompt = usage.prompt() + usage.input_audio;
    let completion = usage.output + usage.output_audio;
    let mut object = Object::begin(out);
    object.number("prompt_tokens", prompt).number("completion_tokens", completion).number("total_tokens", prompt + completion);

    let mut details = object.object("prompt_tokens_details");
    details.number("cached_tokens", usage.cache_read).number("audio_tokens", usage.input_audio);
    let written = usage.cache_write_5m + usage.cache_write_1h;
    if written > 0 {
        details.number("cache_write_tokens", written);
    }
    details.end();

    let mut details = object.object("completion_tokens_details");
    details.number("reasoning_tokens", usage.reasoning).number("audio_tokens", usage.output_audio);
    details.number("accepted_prediction_tokens", 0).number("rejected_prediction_tokens", 0);
    details.end();

    if options.rich_usage {
        object.number("input_tokens", prompt).number("output_tokens", completion);
        if let Some(cost) = cost(usage, options) {
            object.key("cost").extend_from_slice(&cost);
        }
    }
    object.end();
}

/// The cost of `usage` as a JSON object, if somebody can tell.
pub(super) fn cost(usage: &Usage, options: &AnswerOptions) -> Option<BytesMut> {
    // Two lines, the usual bill, fit.
    let mut cost = BytesMut::with_capacity(320);
    options.notes.as_ref().is_some_and(|notes| notes.cost(usage, &mut cost)).then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(raw: &str) -> (u64, u64, u64, u64) {
        let usage = read(raw).unwrap();
        (usage.input, usage.cache_read, usage.output, usage.reasoning)
    }

    #[test]
    fn cached_input_is_part_of_the_prompt() {
        let oa_13 = r#"{"prompt_tokens":1000,"completion_tokens":7,"total_tokens":1007,"prompt_tokens_details":{"cached_tokens":800}}"#;
        assert_eq!(counts(oa_13), (200, 800, 7, 0));
    }

    #[test]
    fn us_20_reasoning_beside_the_completion_is_added() {
        let raw = |total: u64| {
            format!(
                r#"{{"prompt_tokens":10,"completion_tokens":1,"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":300}}}}"#
            )
        };
        assert_eq!(counts(&raw(311)), (10, 0, 301, 300));
        // US-22: inside, as the total says, and more than the whole: the text's part is nothing, never negative.
        assert_eq!(counts(&raw(11)), (10, 0, 1, 1));
    }

    #[test]
    fn us_21_cached_input_past_the_prompt_is_beside_it() {
        assert_eq!(counts(r#"{"prompt_tokens":4,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":150}}"#), (4, 150, 1, 0));
    }

    #[test]
    fn us_23_cached_tokens_have_several_names() {
        for cached in [
            r#""prompt_tokens_details":{"cached_tokens":6}"#,
            r#""prompt_token_details":{"cached_tokens":6}"#,
            r#""num_cached_tokens":6"#,
            r#""cached_tokens":6"#,
            r#""prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4"#,
        ] {
            assert_eq!(counts(&format!(r#"{{"prompt_tokens":10,"completion_tokens":1,{cached}}}"#)), (4, 6, 1, 0), "{cached}");
        }
    }

    #[test]
    fn absurd_counts_are_cut() {
        assert_eq!(counts(r#"{"prompt_tokens":-5,"completion_tokens":2.9}"#), (0, 0, 2, 0));
        assert_eq!(counts(r#"{"prompt_tokens":1e300,"completion_tokens":"many"}"#), (1 << 40, 0, 0, 0));
        assert_eq!(counts(r#"{"prompt_tokens":3,"completion_tokens":null,"prompt_tokens_details":[1]}"#), (3, 0, 0, 0));
        assert_eq!(read("null"), None);
        assert_eq!(read("{}"), None);
        assert_eq!(read("[]"), None);
    }
}
