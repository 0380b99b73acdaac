//! How fast an answer was made.

use std::time::Duration;

/// Output tokens per second, to two decimal places, for records and answers alike. Nothing for no tokens, and nothing for
/// what took no measurable time: a whole answer is there all at once.
pub(crate) fn throughput(tokens: u64, generation: Duration) -> Option<f64> {
    let micros = u64::try_from(generation.as_micros()).ok().filter(|micros| *micros >= 1_000)?;
    let hundredths = tokens.checked_mul(100_000_000).filter(|_| tokens > 0)? / micros;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people, not money")]
    Some(hundredths as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_took_time_has_a_rate() {
        assert_eq!(throughput(100, Duration::from_secs(3)), Some(33.33));
        for (tokens, micros) in [(100, 13), (100, 0), (0, 5_000), (u64::MAX, 5_000)] {
            assert_eq!(throughput(tokens, Duration::from_micros(micros)), None, "{tokens} in {micros} us");
        }
    }
}
