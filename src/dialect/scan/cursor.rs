//! What JSON is made of.

use std::ops::Range;

use super::{
    MAX_DEPTH,
    plain::{SHORT, far, first_special, is_wide, plain},
};

/// A place in JSON text. It looks at each byte once, and what it has gone over is sound, UTF-8 aside.
///
/// It is small so that a long way is gone with a copy of it in registers, which is then put back. All that it does is
/// inlined for the same reason, but for the rare ends of it, which know no cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    /// Never past the end.
    at: usize,
    /// The bits of what strings hold, word on word, which tell whether it is ASCII.
    wide: u64,
}

/// What is wrong with the byte that a cursor stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It opens one level too many.
    Depth,
    /// It is not what JSON has there.
    Syntax,
}

/// Stands for the byte behind the last. As a byte of a text it is never right.
const END: u8 = 0;

impl<'b> Cursor<'b> {
    #[inline(always)]
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()), wide: 0 }
    }

    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The byte here.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline(always)]
    pub(super) fn byte(&self) -> u8 {
        self.peek().unwrap_or(END)
    }

    /// What stands at `range`.
    #[inline(always)]
    pub(super) fn text(&self, range: Range<usize>) -> &'b [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Whether this is the end, and all that was gone over is UTF-8. If not, where it is not.
    pub(super) fn end(&self) -> Result<(), usize> {
        match self.peek() {
            Some(_) => Err(self.at),
            // Bytes past ASCII are only let through inside strings.
            None if is_wide(self.wide) => std::str::from_utf8(self.bytes).map(|_| ()).map_err(|error| error.valid_up_to()),
            None => Ok(()),
        }
    }

    /// To the end, where nothing can be found any more.
    pub(super) fn stop(&mut self) {
        self.at = self.bytes.len();
    }

    /// Over white space, to the next byte.
    #[inline(always)]
    pub(super) fn next(&mut self) -> u8 {
        loop {
            match self.byte() {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Over this byte and the white space behind it, to the next byte.
    #[inline(always)]
    pub(super) fn step(&mut self) -> u8 {
        self.at += 1;
        self.next()
    }

    /// Over this byte, if it is `byte`; says whether it was.
    #[inline(always)]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let there = self.byte() == byte;
        self.at += usize::from(there);
        there
    }

    /// Over one value that is no object or array.
    #[inline(always)]
    pub(super) fn scalar(&mut self) -> Result<(), Wrong> {
        match self.byte() {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(Wrong::Syntax),
        }
    }

    /// Over one value, with `above` levels open around it. A bit per level, set for an object, stands for a call stack.
    #[inline(always)]
    pub(super) fn value(&mut self, above: usize) -> Result<(), Wrong> {
        let mut objects = 0u128;
        let mut depth = above;
        'value: loop {
            match self.byte() {
                open @ (b'{' | b'[') => {
                    if depth == MAX_DEPTH {
                        return Err(Wrong::Depth);
                    }
                    let object = open == b'{';
                    if self.step() == if object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value is behind us: on to the next one, or out of what it closes.
            while depth > above {
                let object = objects & 1 == 1;
                match self.next() {
                    b',' => {
                        self.step();
                        if object {
                            self.name()?;
                        }
                        continue 'value;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(Wrong::Syntax),
                }
                self.at += 1;
                objects >>= 1;
                depth -= 1;
            }
            return Ok(());
        }
    }

    /// Over a member's name and colon, to its value. Gives the name's place, and whether it holds escapes.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<(Range<usize>, bool), Wrong> {
        let start = self.at;
        if self.byte() != b'"' {
            return Err(Wrong::Syntax);
        }
        let escaped = self.string()?;
        let end = self.at;
        if self.next() != b':' {
            return Err(Wrong::Syntax);
        }
        self.step();
        Ok((start..end, escaped))
    }

    /// Over the string whose opening quote is here. Says whether it holds escapes.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<bool, Wrong> {
        self.at += 1;
        let start = self.at;
        // Most names, and most values that mean something to us, end within a few words.
        for _ in 0..SHORT / 8 {
            let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else { break };
            let word = u64::from_le_bytes(*word);
            self.wide |= word;
            let Some(bit) = first_special(word) else {
                self.at += 8;
                continue;
            };
            self.at += bit as usize / 8;
            if (word >> bit) as u8 != b'"' {
                break;
            }
            self.at += 1;
            return Ok(false);
        }
        let Rest { end, wide, escaped, closed } = Rest::of(self.bytes, start, self.at);
        self.at = end;
        self.wide |= wide;
        if closed { Ok(escaped) } else { Err(Wrong::Syntax) }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), Wrong> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.byte() | 0x20 == b'e' {
            self.at += 1;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Over at least one digit.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Wrong::Syntax) }
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Wrong> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.at += rest.iter().zip(word).take_while(|(one, other)| one == other).count();
        Err(Wrong::Syntax)
    }
}

/// The rest of a string that is long or holds escapes.
struct Rest {
    /// Behind the closing quote, or at what is wrong.
    end: usize,
    wide: u64,
    escaped: bool,
    /// Whether nothing is wrong.
    closed: bool,
}

impl Rest {
    /// Of the string whose inside begins at `start` and is plain up to `at`.
    fn of(bytes: &[u8], start: usize, at: usize) -> Self {
        let mut rest = Self { end: at, wide: 0, escaped: false, closed: false };
        loop {
            let (plain, wide) = match rest.end - start {
                known @ SHORT => far(bytes.get(start..).unwrap_or_default(), known),
                _ => plain(bytes.get(rest.end..).unwrap_or_default()),
            };
            rest.end += plain;
            rest.wide |= wide;
            match bytes.get(rest.end..).unwrap_or_default() {
                [b'"', ..] => {
                    rest.end += 1;
                    return Self { closed: true, ..rest };
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => rest.end += 2,
                [b'\\', b'u', digits @ ..] => {
                    let count = digits.iter().take(4).take_while(|digit| digit.is_ascii_hexdigit()).count();
                    rest.end += 2 + count;
                    if count < 4 {
                        return rest;
                    }
                }
                [b'\\', ..] => {
                    rest.end += 1;
                    return rest;
                }
                _ => return rest,
            }
            rest.escaped = true;
        }
    }
}
