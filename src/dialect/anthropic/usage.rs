//! Token counts, from the API's convention and back.
//!
//! Anthropic counts apart what was read from a cache and written to one, so nothing is subtracted here. A stream tells
//! cumulative counts twice, at its start and its end; a zero takes nothing back, since some servers tell the input at the
//! one place only.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};

use crate::dialect::{
    Usage,
    json::Object,
    scan::{Name, Walk, by_name},
    usage::{NO_COUNT, count},
    wire::{self, Raw, Str, Wire},
};

/// The counts told so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    input: u64,
    cache_read: u64,
    cache_creation: u64,
    ephemeral_5m: u64,
    ephemeral_1h: u64,
    output: u64,
    thinking: u64,
    searches: u64,
}

impl Counts {
    /// Takes a `usage` object's text, as [`take`](Self::take) does; `None` for `null`.
    pub fn tell<'a>(&mut self, usage: &'a str) -> Option<(Usage, Option<Str<'a>>)> {
        Walk::whole(usage, |walk| Spent::walk(walk, usage)).map(|spent| self.take(spent))
    }

    /// Takes what a `usage` object tells: sets, never adds. Gives what is known now, and the service tier if it was named.
    pub fn take<'a>(&mut self, spent: Spent<'a>) -> (Usage, Option<Str<'a>>) {
        self.set(&spent.now);
        (self.usage(), spent.service_tier)
    }

    /// Takes what was told; nothing is no news.
    fn set(&mut self, now: &Self) {
        for (count, told) in [
            (&mut self.input, now.input),
            (&mut self.cache_read, now.cache_read),
            (&mut self.cache_creation, now.cache_creation),
            (&mut self.ephemeral_5m, now.ephemeral_5m),
            (&mut self.ephemeral_1h, now.ephemeral_1h),
            (&mut self.output, now.output),
            (&mut self.thinking, now.thinking),
            (&mut self.searches, now.searches),
        ] {
            if told > 0 {
                *count = told;
            }
        }
    }

    /// The same as disjoint counters; [absurd](Usage::ABSURD) while something was told that is no count.
    fn usage(&self) -> Usage {
        let Self { input, cache_read, cache_creation, ephemeral_5m, ephemeral_1h, output, thinking, searches } = *self;
        // Differences of absurd counts would look like sane ones.
        let told = [input, cache_read, cache_creation, ephemeral_5m, ephemeral_1h, output, thinking, searches];
        if told.into_iter().any(|count| count > Usage::MOST) {
            return Usage::ABSURD;
        }
        Usage {
            input,
            cache_read,
            // The total may come without its split, and later than it.
            cache_write_5m: cache_creation.saturating_sub(ephemeral_1h).max(ephemeral_5m),
            cache_write_1h: ephemeral_1h,
            output,
            reasoning: thinking.min(output),
            requests: searches,
            ..Usage::default()
        }
    }
}

/// Writes `usage`'s counts as members.
pub fn write(usage: &Usage, out: &mut Object<'_>) {
    // Messages has no sound; where a provider counted some, it is input and output all the same.
    out.number("input_tokens", usage.input + usage.input_audio)
        .number("cache_creation_input_tokens", usage.cache_write_5m + usage.cache_write_1h)
        .number("cache_read_input_tokens", usage.cache_read)
        .number("output_tokens", usage.output + usage.output_audio);
    if usage.reasoning > 0 {
        let mut details = out.object("output_tokens_details");
        details.number("thinking_tokens", usage.reasoning);
        details.end();
    }
}

/// What one `usage` object tells, in one walk.
#[derive(Clone, Debug, Default)]
pub struct Spent<'a> {
    now: Counts,
    service_tier: Option<Str<'a>>,
    /// Whether it, or a part of it, is no object.
    odd: bool,
}

impl<'a> Wire<'a> for Spent<'a> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        if walk.peek() == Some(b'n') {
            return None;
        }
        let mut spent = Self { odd: walk.peek() != Some(b'{'), ..Self::default() };
        walk.object(|walk, name| {
            by_name!(name, {
                "input_tokens" => spent.now.input = count(walk).unwrap_or(0),
                "cache_creation_input_tokens" => spent.now.cache_creation = count(walk).unwrap_or(0),
                "cache_read_input_tokens" => spent.now.cache_read = count(walk).unwrap_or(0),
                "output_tokens" => spent.now.output = count(walk).unwrap_or(0),
                "cache_creation" => {
                    (spent.now.ephemeral_5m, spent.now.ephemeral_1h) = (0, 0);
                    spent.parts(walk, |spent, walk, name| by_name!(name, {
                        "ephemeral_5m_input_tokens" => spent.now.ephemeral_5m = count(walk).unwrap_or(0),
                        "ephemeral_1h_input_tokens" => spent.now.ephemeral_1h = count(walk).unwrap_or(0),
                        _ => {},
                    }));
                },
                "output_tokens_details" => {
                    spent.now.thinking = 0;
                    spent.parts(walk, |spent, walk, name| by_name!(name, {
                        "thinking_tokens" => spent.now.thinking = count(walk).unwrap_or(0),
                        _ => {},
                    }));
                },
                "server_tool_use" => {
                    spent.now.searches = 0;
                    spent.parts(walk, |spent, walk, name| by_name!(name, {
                        "web_search_requests" => spent.now.searches = count(walk).unwrap_or(0),
                        _ => {},
                    }));
                },
                "service_tier" => _ = wire::member(&mut spent.service_tier, walk, text),
                _ => {},
            });
        });
        if spent.odd {
            // What was told before must not stand as if this had not come.
            spent.now.input = NO_COUNT;
        }
        Some(spent)
    }
}

impl<'a> Spent<'a> {
    /// Reads an object of counts.
    fn parts(&mut self, walk: &mut Walk<'a>, mut each: impl FnMut(&mut Self, &mut Walk<'a>, &Name<'a>)) {
        self.odd |= !matches!(walk.peek(), Some(b'{' | b'n'));
        walk.object(|walk, name| each(self, walk, name));
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Spent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?.get();
        Walk::whole(raw, |walk| Self::walk(walk, raw)).ok_or_else(|| Error::invalid_type(Unexpected::Other("something else"), &"a usage"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(usages: &[&str]) -> Usage {
        let mut counts = Counts::default();
        usages.iter().filter_map(|usage| counts.tell(usage)).last().map(|(usage, _)| usage).unwrap_or_default()
    }

    #[test]
    fn us_01_cached_input_is_counted_apart() {
        let usage = told(&[r#"{"input_tokens":3,"cache_read_input_tokens":20000,"cache_creation_input_tokens":1500,"output_tokens":1}"#]);
        assert_eq!((usage.input, usage.cache_read, usage.cache_write_5m, usage.prompt()), (3, 20_000, 1500, 21_503));
    }

    #[test]
    fn us_02_written_tokens_are_in_one_counter() {
        let usage = told(&[
            r#"{"input_tokens":3,"cache_creation_input_tokens":12304,"cache_creation":{"ephemeral_5m_input_tokens":12000,"ephemeral_1h_input_tokens":304}}"#,
        ]);
        assert_eq!((usage.input, usage.cache_write_5m, usage.cache_write_1h), (3, 12_000, 304));
    }

    #[test]
    fn us_04_cumulative_counts_are_set_not_added() {
        let usage =
            told(&[r#"{"input_tokens":10,"output_tokens":1}"#, r#"{"output_tokens":15}"#, r#"{"input_tokens":10,"output_tokens":42}"#]);
        assert_eq!((usage.input, usage.output), (10, 42));
    }

    #[test]
    fn us_05_a_zero_takes_nothing_back() {
        let usage =
            told(&[r#"{"input_tokens":10,"cache_read_input_tokens":7,"output_tokens":1}"#, r#"{"input_tokens":0,"output_tokens":5}"#]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (10, 7, 5));
    }

    #[test]
    fn us_06_counts_may_come_late() {
        let usage =
            told(&[r#"{"input_tokens":0,"output_tokens":0}"#, r#"{"input_tokens":31,"cache_read_input_tokens":8,"output_tokens":9}"#]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (31, 8, 9));
    }

    #[test]
    fn us_37_thinking_tokens_are_the_reasoning_part() {
        let usage = told(&[r#"{"input_tokens":1,"output_tokens":50,"output_tokens_details":{"thinking_tokens":40}}"#]);
        assert_eq!((usage.output, usage.reasoning), (50, 40));
    }

    #[test]
    fn f073_what_is_no_count_makes_no_usage() {
        for odd in ["-3", "2.9", "1e300", "1000000000000000000", "1099511627777"] {
            for usage in [
                format!(r#"{{"input_tokens":{odd},"output_tokens":2}}"#),
                format!(r#"{{"input_tokens":{odd},"output_tokens":2,"cache_creation_input_tokens":{odd}}}"#),
                format!(r#"{{"input_tokens":1,"output_tokens":2,"cache_creation":{{"ephemeral_1h_input_tokens":{odd}}}}}"#),
            ] {
                assert_eq!(told(&[r#"{"input_tokens":7,"output_tokens":1}"#, &usage]).believed(), None, "{usage}");
            }
        }
        let usage = told(&[r#"{"input_tokens":3.0,"output_tokens":2e1,"cache_read_input_tokens":null}"#]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (3, 0, 20));
        let last = told(&[r#"{"input_tokens":7,"output_tokens":-1}"#, r#"{"output_tokens":5}"#]);
        assert_eq!((last.input, last.output), (7, 5), "what is told later counts");
        assert!(Counts::default().tell("null").is_none());
        let odd = [
            "[]",
            r#""many""#,
            r#"{"input_tokens":"many"}"#,
            r#"{"output_tokens":{}}"#,
            r#"{"cache_creation":[],"input_tokens":7}"#,
            r#"{"server_tool_use":7}"#,
        ];
        for odd in odd {
            assert_eq!(told(&[r#"{"input_tokens":7,"output_tokens":1}"#, odd]).believed(), None, "{odd}");
        }
        let untold = told(&[r#"{"input_tokens":7,"output_tokens":1}"#, r#"{"output_tokens":5,"service_tier":7}"#]);
        assert_eq!((untold.input, untold.output), (7, 5), "a tier is no count");
    }

    #[test]
    fn of_a_member_told_twice_the_last_counts() {
        let usage = told(&[r#"{"input_tokens":2,"inp\u0075t_tokens":3,"output_tokens":4,"output_tokens":null,"cache_creation":null}"#]);
        assert_eq!((usage.input, usage.output), (3, 0));
        let usage = told(&[
            r#"{"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"cache_creation":{"ephemeral_1h_input_tokens":5}}"#,
        ]);
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (0, 5));
        let tier = Counts::default().tell(r#"{"service_tier":"batch","service_tier":"prio\u0072ity"}"#).and_then(|(_, tier)| tier);
        assert_eq!(tier.as_deref(), Some("priority"));
    }
}
