//! What a call used, in counters that do not overlap.

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

/// Far above what a call can use: counts are cut here, so that sums cannot overflow.
const SANE: u64 = 1 << 40;

impl Usage {
    /// All input tokens but audio: fresh, read and written.
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    /// Cuts absurd counts, so that sums cannot overflow; says whether there were any.
    pub fn clamp(&mut self) -> bool {
        let mut absurd = false;
        for count in [
            &mut self.input,
            &mut self.cache_read,
            &mut self.cache_write_5m,
            &mut self.cache_write_1h,
            &mut self.output,
            &mut self.reasoning,
            &mut self.input_audio,
            &mut self.output_audio,
            &mut self.images,
            &mut self.seconds,
            &mut self.requests,
        ] {
            absurd |= *count > SANE;
            *count = (*count).min(SANE);
        }
        absurd
    }
}
