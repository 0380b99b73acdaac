//! What was used, in this API's counts: cached input is part of the prompt, reasoning part of the completion.
//!
//! Source: OpenAI API reference, "The chat completion object", `usage`. Compatible servers differ in names and sums; each
//! line that knows one of them says whose it is.

use bytes::BytesMut;

use crate::dialect::{
    AnswerOptions, Usage,
    json::Object,
    scan::{Members, Name, Walk, by_name},
    usage,
};

/// The counts of a `usage` object.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// `prompt_tokens`: input tokens, cached ones included. The Responses API's word is `input_tokens`.
    prompt: Option<u64>,
    input: Option<u64>,
    /// `completion_tokens`: output tokens, reasoning included. The Responses API's word is `output_tokens`.
    completion: Option<u64>,
    output: Option<u64>,
    /// `total_tokens`: their sum.
    total: Option<u64>,
    /// `prompt_tokens_details`: parts of the input. Mistral's word is `prompt_token_details`.
    prompt_details: Option<Details>,
    prompt_details_singular: Option<Details>,
    /// `completion_tokens_details`: parts of the output.
    completion_details: Option<Details>,
    /// `prompt_cache_hit_tokens`: cached input, DeepSeek's.
    cache_hit: Option<u64>,
    /// `cached_tokens`: cached input, Moonshot's.
    cached: Option<u64>,
    /// `num_cached_tokens`: cached input, Mistral's.
    num_cached: Option<u64>,
    /// `reasoning_tokens`: Perplexity's.
    reasoning: Option<u64>,
}

/// Parts of the input or of the output.
#[derive(Debug, Default)]
struct Details {
    /// `cached_tokens`: read from a cache.
    cached: Option<u64>,
    /// `cache_write_tokens`: written to a cache.
    written: Option<u64>,
    /// `audio_tokens`: sound.
    audio: Option<u64>,
    /// `reasoning_tokens`.
    reasoning: Option<u64>,
}

/// Reads a `usage` member. `None` if it is `null` or counts nothing, [absurd](Usage::ABSURD) if something in it is no count.
pub(super) fn read(raw: &str) -> Option<Usage> {
    let mut counts = Counts::default();
    Members::visit(raw.as_bytes(), |walk, name| counts.take(walk, name)).ok()?;
    counts.usage()
}

impl Counts {
    /// Takes the member called `name`, if it is a count.
    pub(super) fn take(&mut self, walk: &mut Walk<'_>, name: &Name<'_>) {
        by_name!(name, {
            "prompt_tokens" => count(walk, &mut self.prompt),
            "completion_tokens" => count(walk, &mut self.completion),
            "total_tokens" => count(walk, &mut self.total),
            "prompt_tokens_details" => details(walk, &mut self.prompt_details),
            "completion_tokens_details" => details(walk, &mut self.completion_details),
            "input_tokens" => count(walk, &mut self.input),
            "output_tokens" => count(walk, &mut self.output),
            "prompt_token_details" => details(walk, &mut self.prompt_details_singular),
            "prompt_cache_hit_tokens" => count(walk, &mut self.cache_hit),
            "cached_tokens" => count(walk, &mut self.cached),
            "num_cached_tokens" => count(walk, &mut self.num_cached),
            "reasoning_tokens" => count(walk, &mut self.reasoning),
            _ => {},
        });
    }

    /// What was used. `None` if nothing was counted, [absurd](Usage::ABSURD) if something was told that is no count.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (prompt, completion) = (self.prompt.or(self.input), self.completion.or(self.output));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        let none = Details::default();
        let input = self.prompt_details.as_ref().or(self.prompt_details_singular.as_ref()).unwrap_or(&none);
        let output = self.completion_details.as_ref().unwrap_or(&none);

        let cached = input.cached.or(self.cache_hit).or(self.cached).or(self.num_cached).unwrap_or(0);
        let written = input.written.unwrap_or(0);
        let heard = input.audio.unwrap_or(0);
        let spoken = output.audio.unwrap_or(0);
        let reasoning = output.reasoning.or(self.reasoning).unwrap_or(0);
        // Differences of absurd counts would look like sane ones. The total only arbitrates.
        if [prompt, completion, cached, written, heard, spoken, reasoning].into_iter().any(|count| count > Usage::MOST) {
            return Some(Usage::ABSURD);
        }
        // xAI counts cached input beside the prompt when there is more of it than prompt.
        let fresh = if cached > prompt { prompt } else { prompt - cached };

        let total = self.total.unwrap_or(0);
        // xAI counts reasoning beside the completion; the total tells who does.
        let beside = reasoning > 0 && total > prompt + completion && total == prompt + completion + reasoning;
        let completion = if beside { completion + reasoning } else { completion };
        let spoken = spoken.min(completion);

        Some(Usage {
            input: fresh.saturating_sub(written).saturating_sub(heard),
            cache_read: cached,
            cache_write_5m: written,
            output: completion - spoken,
            reasoning: reasoning.min(completion - spoken),
            input_audio: heard,
            output_audio: spoken,
            ..Usage::default()
        })
    }
}

/// Reads a count; `null` and "not there" are the same.
fn count(walk: &mut Walk<'_>, count: &mut Option<u64>) {
    if let Some(told) = usage::count(walk) {
        *count = Some(told);
    }
}

/// Reads the parts of a count; what is no object has none.
fn details(walk: &mut Walk<'_>, details: &mut Option<Details>) {
    if walk.peek() == Some(b'n') {
        return;
    }
    let details = details.insert(Details::default());
    walk.object(|walk, name| {
        by_name!(name, {
            "cached_tokens" => count(walk, &mut details.cached),
            "cache_write_tokens" => count(walk, &mut details.written),
            "audio_tokens" => count(walk, &mut details.audio),
            "reasoning_tokens" => count(walk, &mut details.reasoning),
            _ => {},
        });
    });
}

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
        if let Some(notes) = &options.notes {
            object.perhaps("cost", |out| notes.cost(usage, out));
        }
    }
    object.end();
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
    fn f073_what_is_no_count_makes_no_usage() {
        for odd in ["-5", "2.9", "1e300", "1000000000000000000", "1099511627777", "18446744073709551616", "\"many\"", "[1]", "true"] {
            for usage in [
                format!(r#"{{"prompt_tokens":{odd},"completion_tokens":2}}"#),
                format!(r#"{{"prompt_tokens":2,"completion_tokens":{odd}}}"#),
                format!(r#"{{"prompt_tokens":{odd},"completion_tokens":2,"prompt_tokens_details":{{"cached_tokens":{odd}}}}}"#),
                format!(r#"{{"prompt_tokens":9,"completion_tokens":2,"completion_tokens_details":{{"reasoning_tokens":{odd}}}}}"#),
            ] {
                assert_eq!(read(&usage).unwrap().believed(), None, "{usage}");
            }
            // It only arbitrates.
            assert_eq!(counts(&format!(r#"{{"prompt_tokens":9,"completion_tokens":2,"total_tokens":{odd}}}"#)), (9, 0, 2, 0));
        }
    }

    #[test]
    fn counts_come_in_several_spellings() {
        assert_eq!(counts(r#"{"prompt_tokens":3.0,"completion_tokens":2e1}"#), (3, 0, 20, 0));
        assert_eq!(counts(r#"{"prompt_tokens":1099511627776,"completion_tokens":-0}"#), (1 << 40, 0, 0, 0));
        assert_eq!(counts(r#"{"prompt_tokens":3,"completion_tokens":null,"prompt_tokens_details":[1]}"#), (3, 0, 0, 0));
        assert_eq!(read("null"), None);
        assert_eq!(read("{}"), None);
        assert_eq!(read("[]"), None);
    }
}
