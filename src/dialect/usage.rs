//! What a call used, in counters that do not overlap.

use super::{scan::Walk, wire::Number};

/// Disjoint counters of one answer.
///
/// Providers disagree on whether cached input is part of input and reasoning part of output; their decoders settle it,
/// so that here each token is counted in one place: `input` is fresh input only, and [`reasoning`](Self::reasoning) is
/// the one exception, a part of [`output`](Self::output) told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fresh text input tokens: not read from a cache, not written to one.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a prompt cache that lives five minutes (or as long as the provider pleases).
    pub cache_write_5m: u64,
    /// Input tokens written to a prompt cache that lives an hour.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    /// Audio input tokens, not in `input`.
    pub input_audio: u64,
    /// Audio output tokens, not in `output`.
    pub output_audio: u64,
    /// Images made.
    pub images: u64,
    /// Seconds of audio or video.
    pub seconds: u64,
    /// Requests made of the provider, where it bills those (moderations, searches).
    pub requests: u64,
}

impl Usage {
    /// The most that is believed of one counter: far more than a call can use, and so little that sums cannot overflow.
    pub const MOST: u64 = 1 << 40;

    /// What a decoder gives for a usage in which something is no count: past [`MOST`](Self::MOST), negative, a fraction.
    pub const ABSURD: Self = Self {
        input: u64::MAX,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        output: 0,
        reasoning: 0,
        input_audio: 0,
        output_audio: 0,
        images: 0,
        seconds: 0,
        requests: 0,
    };

    /// All input tokens but audio: fresh, read and written.
    pub fn prompt(&self) -> u64 {
        [self.cache_read, self.cache_write_5m, self.cache_write_1h].into_iter().fold(self.input, u64::saturating_add)
    }

    /// The usage, unless a counter of it is past [`MOST`](Self::MOST): then it is as good as none. It is estimated, and no
    /// cost is told of it.
    pub fn believed(self) -> Option<Self> {
        let counters = [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.output,
            self.reasoning,
            self.input_audio,
            self.output_audio,
            self.images,
            self.seconds,
            self.requests,
        ];
        counters.into_iter().all(|count| count <= Self::MOST).then_some(self)
    }
}

/// Reads a provider's count, `None` for `null`. What is negative, a fraction, absurd or no number is no count: it makes the
/// usage [absurd](Usage::ABSURD).
pub(super) fn count(walk: &mut Walk<'_>) -> Option<u64> {
    let text = walk.skip();
    (text != b"null").then(|| number(text).unwrap_or(NO_COUNT))
}

fn number(text: &[u8]) -> Option<u64> {
    // As counts are: a few digits.
    let mut digits = text.iter().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    if text.len() <= 10
        && let Some(number) = digits.try_fold(0, |number, digit| Some(number * 10 + digit?))
    {
        return Some(number);
    }
    // Some servers write theirs as `3.0`.
    std::str::from_utf8(text).ok().and_then(Number::read).and_then(Number::count).filter(|count| *count <= Usage::MOST)
}

/// What stands for a count that is none. Sums of such do not overflow.
pub(super) const NO_COUNT: u64 = Usage::MOST + 1;
