//! Runs of bytes that stand for themselves inside a JSON string.
//!
//! Short runs are looked at in words of eight bytes, or in chunks of two words if they are to be ASCII, since most strings are
//! short and a call costs more than they do. Long ones are searched in blocks that stay in the cache: once for the byte that
//! ends them, once for control characters.

use memchr::memchr2;

/// How many bytes at the start of `text` stand for themselves inside a JSON string; and the bits of words that they lie in,
/// word on word, which tell whether they are [wide](is_wide).
#[inline]
pub(in crate::dialect) fn plain(text: &[u8]) -> (usize, u64) {
    let mut rest = text;
    for _ in 0..SHORT / CHUNK {
        let Some((chunk, more)) = rest.split_first_chunk() else { break };
        match first_unusual(chunk) {
            None => rest = more,
            Some(run) if chunk.get(run).is_some_and(u8::is_ascii) => return (text.len() - rest.len() + run, 0),
            Some(_) => break,
        }
    }
    if text.len() - rest.len() == SHORT {
        return far(text, SHORT);
    }
    // From here on it is not all ASCII, or ends soon.
    let mut all = 0;
    for _ in 0..SHORT / 8 {
        let Some((word, more)) = rest.split_first_chunk() else { break };
        let word = u64::from_le_bytes(*word);
        all |= word;
        if let Some(run) = first_special(word) {
            return (text.len() - rest.len() + run, all);
        }
        rest = more;
    }
    let known = text.len() - rest.len();
    let (run, wide) = if rest.len() < 8 { tail(text, known) } else { far(text, known) };
    (run, all | wide)
}

/// How many bytes of `word`, from its lowest on, come before one that ends a plain run in a string: quote, backslash or
/// control.
#[inline]
const fn first_special(word: u64) -> Option<usize> {
    // What is below a bound wraps when that is subtracted, and sets its highest bit, which bytes past ASCII have anyway. With
    // one bit flipped the quote is next to the controls. A borrow can only set bits above the first that is right.
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    match (quote_or_control | backslash) & !word & HIGH {
        0 => None,
        marks => Some(marks.trailing_zeros() as usize / 8),
    }
}

/// How many bytes of `chunk` come before one that ends a plain run in a string, or is past ASCII.
///
/// Compilers turn it into a handful of vector instructions; to call it costs as much.
#[inline(always)]
pub(super) fn first_unusual(chunk: &[u8; CHUNK]) -> Option<usize> {
    // As signed numbers, what is past ASCII is below the controls.
    let mut marks = [0; CHUNK];
    for (mark, byte) in marks.iter_mut().zip(chunk) {
        *mark = if byte.cast_signed() < 0x20 || matches!(byte, b'"' | b'\\') { u8::MAX } else { 0 };
    }
    match u128::from_le_bytes(marks) {
        0 => None,
        marks => Some(marks.trailing_zeros() as usize / 8),
    }
}

/// Whether a byte of `word` is past ASCII; or one of any word, if `word` has the bits of all.
#[inline]
pub(super) const fn is_wide(word: u64) -> bool {
    word & HIGH != 0
}

/// The same as `plain` of a text whose first `known` bytes are plain: one by one.
fn tail(text: &[u8], known: usize) -> (usize, u64) {
    let plain = text[known..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
    plain.fold((known, 0), |(run, all), byte| (run + 1, all | u64::from(*byte)))
}

/// The same in blocks, if at least `SHORT` are known.
pub(super) fn far(text: &[u8], known: usize) -> (usize, u64) {
    let (mut at, mut wide) = (known, 0);
    while at < text.len() {
        let block = &text[at..text.len().min(at + BLOCK)];
        let found = memchr2(b'"', b'\\', block);
        let run = found.unwrap_or(block.len());
        let seen = Extremes::of(&text[..at + run], run);
        wide |= seen.wide();
        if seen.control() {
            let run = block.iter().position(|byte| *byte < 0x20).unwrap_or(run);
            return (at + run, wide);
        }
        at += run;
        if found.is_some() {
            break;
        }
    }
    (at, wide)
}

/// Of each lane the least byte and the bits of all, which compilers turn into vector instructions.
struct Extremes {
    least: [u8; LANES],
    all: [u8; LANES],
}

impl Extremes {
    /// Of the last `run` bytes of `text`, which is longer than a lane is wide, and perhaps of some before them.
    fn of(text: &[u8], run: usize) -> Self {
        let mut seen = Self { least: [u8::MAX; LANES], all: [0; LANES] };
        let (pairs, _) = text[text.len() - run..].as_chunks::<{ 2 * LANES }>();
        for pair in pairs {
            pair.as_chunks().0.iter().for_each(|chunk| seen.add(chunk));
        }
        // What is left is shorter than a pair: it lies in the last two chunks. That a byte is seen twice does no harm.
        if let Some((before, last)) = text.split_last_chunk() {
            seen.add(last);
            before.last_chunk().into_iter().for_each(|chunk| seen.add(chunk));
        }
        seen
    }

    #[inline]
    fn add(&mut self, chunk: &[u8; LANES]) {
        for ((least, all), byte) in self.least.iter_mut().zip(&mut self.all).zip(chunk) {
            *least = (*least).min(*byte);
            *all |= byte;
        }
    }

    fn control(&self) -> bool {
        self.least.iter().fold(false, |any, byte| any | (*byte < 0x20))
    }

    fn wide(&self) -> u64 {
        let (words, _) = self.all.as_chunks();
        words.iter().fold(0, |all, word| all | u64::from_le_bytes(*word))
    }
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;
/// Bytes looked at in words or chunks before the block search takes over.
pub(super) const SHORT: usize = 32;
pub(super) const CHUNK: usize = 16;
const BLOCK: usize = 16 * 1024;
/// Not more than `SHORT`.
const LANES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// What `plain` is to find, byte by byte.
    fn naive(text: &[u8]) -> usize {
        text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(text.len())
    }

    fn check(text: &[u8]) {
        let (run, wide) = plain(text);
        let wide = is_wide(wide);
        assert_eq!(run, naive(text), "{text:?}");
        assert!(wide || text[..run].is_ascii(), "{text:?}");
        assert!(!wide || !text.is_ascii(), "{text:?}");
    }

    #[test]
    fn a_chunk_ends_at_every_byte_that_is_not_plain_ascii() {
        for (at, byte) in (0..CHUNK).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
            let mut chunk = [b' '; CHUNK];
            chunk[at..].fill(byte);
            let unusual = matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..);
            assert_eq!(first_unusual(&chunk), unusual.then_some(at), "{chunk:?}");
        }
        assert_eq!(first_unusual(b"0123456789abcdef"), None);
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            for before in 0..100 {
                for after in [0, 1, 7, 8, 40] {
                    let mut text = vec![b'x'; before + 1 + after];
                    text[before] = byte;
                    check(&text);
                }
            }
        }
    }

    #[test]
    fn neighbours_do_not_hide_or_feign_each_other() {
        let edge = [0, 0x1f, 0x20, b'!', b'"', b'#', b'[', b'\\', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff];
        for (one, two) in edge.into_iter().flat_map(|one| edge.map(|two| (one, two))) {
            for before in (0..10).chain(28..70) {
                let mut text = vec![b'x'; before + 30];
                (text[before], text[before + 1]) = (one, two);
                check(&text);
            }
        }
    }

    #[test]
    fn blocks_join() {
        for at in (SHORT + BLOCK - 3..SHORT + BLOCK + 40).chain([SHORT + 2 * BLOCK]) {
            for byte in [b'"', b'\\', 0x1f, 0xff] {
                let mut text = vec![b'x'; SHORT + 2 * BLOCK + 1];
                text[at] = byte;
                check(&text);
                check(&text[..=at]);
                check(&text[..at]);
            }
        }
    }
}
