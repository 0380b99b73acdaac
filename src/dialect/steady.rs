//! The steady part of a stream: events that differ from the one before in one string only.
//!
//! Most of a stream says the same again and again around a few new words. Once such an event was looked at, the next one
//! that has the same bytes before and behind its words needs no other look: it is sound if its words are, and it means
//! what the last one meant.

use std::ops::Range;

use bytes::BytesMut;

use super::frame::Frame;

/// What stands around the words, as it came and as it goes out.
#[derive(Debug, Default)]
pub(super) struct Steady {
    before: Vec<u8>,
    after: Vec<u8>,
    written_before: Vec<u8>,
    written_after: Vec<u8>,
    /// Times it was learnt since it last helped.
    learnt: u8,
}

/// A stream whose events never repeat is not tried again and again.
const PATIENCE: u8 = 4;
/// Events that are long for other reasons than their words are not kept.
const LONGEST: usize = 4096;

impl Steady {
    /// The words of `frame`, if it says the same around them as the frame that was learnt, and they hold no escapes.
    pub(super) fn words<'f>(&self, frame: &Frame<'f>) -> Option<&'f [u8]> {
        if self.after.is_empty() {
            return None;
        }
        let words = frame.raw.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        // What was framed is text; what ends or breaks a string is for the long way.
        words.iter().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).then_some(words)
    }

    /// Writes `words` as the event that was learnt would go out with them.
    pub(super) fn write(&mut self, words: &[u8], out: &mut BytesMut) {
        self.learnt = 0;
        out.reserve(self.written_before.len() + words.len() + self.written_after.len());
        out.extend_from_slice(&self.written_before);
        out.extend_from_slice(words);
        out.extend_from_slice(&self.written_after);
    }

    /// Forgets what was learnt: something else came between.
    pub(super) fn forget(&mut self) {
        self.after.clear();
    }

    /// Whether learning may still help.
    pub(super) fn is_willing(&self) -> bool {
        self.learnt < PATIENCE
    }

    /// Learns `raw`, whose words lie at `at`, and what was written for it. Positions are of the words without quotes.
    pub(super) fn learn(&mut self, raw: &[u8], at: Range<usize>, written: &[u8], written_at: Range<usize>) {
        let parts = (raw.get(..at.start), raw.get(at.end..), written.get(..written_at.start), written.get(written_at.end..));
        let (Some(before), Some(after), Some(written_before), Some(written_after)) = parts else { return };
        if raw.len() - at.len() > LONGEST {
            return;
        }
        self.learnt = self.learnt.saturating_add(1);
        for (kept, part) in [
            (&mut self.before, before),
            (&mut self.after, after),
            (&mut self.written_before, written_before),
            (&mut self.written_after, written_after),
        ] {
            kept.clear();
            kept.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(raw: &str) -> Frame<'_> {
        Frame { event: "", data: None, raw: raw.as_bytes() }
    }

    #[test]
    fn what_is_learnt_goes_out_with_other_words() {
        let mut steady = Steady::default();
        assert_eq!(steady.words(&frame("a\"one\"b")), None);
        steady.learn(b"a\"one\"b", 2..5, b"X\"one\"Y", 2..5);
        assert_eq!(steady.words(&frame("a\"two words\"b")), Some(&b"two words"[..]));
        let mut out = BytesMut::new();
        steady.write(b"two words", &mut out);
        assert_eq!(out, "X\"two words\"Y");
    }

    #[test]
    fn what_differs_elsewhere_or_needs_a_look_is_left_alone() {
        let mut steady = Steady::default();
        steady.learn(b"a\"one\"b", 2..5, b"", 0..0);
        for other in ["A\"two\"b", "a\"two\"B", "a\"t\\nwo\"b", "a\"t\",\"x\":\"wo\"b", "a\"t\nwo\"b", "a\"", "a\"b"] {
            assert_eq!(steady.words(&frame(other)), None, "{other}");
        }
        steady.forget();
        assert_eq!(steady.words(&frame("a\"two\"b")), None);
    }
}
