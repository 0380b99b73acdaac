//! What JSON is made of.

use super::{
    MAX_DEPTH,
    plain::{CHUNK, SHORT, far, first_unusual, plain},
};

/// A place in JSON text. It looks at each byte once, and what it has gone over is sound, UTF-8 aside.
///
/// It is small so that a long way is gone with a copy of it in registers, which is then put back. All that it does is
/// inlined for the same reason, but for the inside of long strings, which knows no cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'b> {
    /// What is ahead.
    rest: &'b [u8],
    /// The bits of strings that may hold more than ASCII, word on word, which tell whether one does.
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
    pub(super) fn new(rest: &'b [u8]) -> Self {
        Self { rest, wide: 0 }
    }

    /// What is ahead.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// The bits of the strings gone over that may hold more than ASCII, word on word.
    #[inline(always)]
    pub(super) fn wide(&self) -> u64 {
        self.wide
    }

    /// The byte here.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline(always)]
    pub(super) fn byte(&self) -> u8 {
        self.peek().unwrap_or(END)
    }

    /// To the end, where nothing can be found any more.
    pub(super) fn stop(&mut self) {
        self.rest = &[];
    }

    /// Over this byte.
    #[inline(always)]
    fn pass(&mut self) {
        if let [_, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Over white space, to the next byte.
    #[inline(always)]
    pub(super) fn next(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' {
            return byte;
        }
        loop {
            match self.byte() {
                b' ' | b'\t' | b'\n' | b'\r' => self.pass(),
                byte => return byte,
            }
        }
    }

    /// Over this byte and the white space behind it, to the next byte.
    #[inline(always)]
    pub(super) fn step(&mut self) -> u8 {
        self.pass();
        self.next()
    }

    /// Over this byte, if it is `byte`; says whether it was.
    #[inline(always)]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let there = self.byte() == byte;
        if there {
            self.pass();
        }
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
        let mut first = self.byte();
        'value: loop {
            match first {
                b'"' => _ = self.string()?,
                open @ (b'{' | b'[') => {
                    if depth == MAX_DEPTH {
                        return Err(Wrong::Depth);
                    }
                    let object = open == b'{';
                    first = self.step();
                    if first == if object { b'}' } else { b']' } {
                        self.pass();
                    } else {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.name()?;
                            first = self.byte();
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
                        first = self.step();
                        if object {
                            self.name()?;
                            first = self.byte();
                        }
                        continue 'value;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(Wrong::Syntax),
                }
                self.pass();
                objects >>= 1;
                depth -= 1;
            }
            return Ok(());
        }
    }

    /// Over a member's name and colon, to its value. Gives the name as [`string`](Self::string) does.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<(&'b [u8], bool), Wrong> {
        if self.byte() != b'"' {
            return Err(Wrong::Syntax);
        }
        let name = self.string()?;
        if self.next() != b':' {
            return Err(Wrong::Syntax);
        }
        self.step();
        Ok(name)
    }

    /// Over the string whose opening quote is here. Gives its inside, and whether that holds escapes.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<(&'b [u8], bool), Wrong> {
        let [_, inside @ ..] = self.rest else { return Err(Wrong::Syntax) };
        self.rest = inside;
        // Most names, and most values that mean something to us, end within a chunk or two.
        for _ in 0..SHORT / CHUNK {
            let Some((chunk, rest)) = self.rest.split_first_chunk() else { break };
            let Some(run) = first_unusual(chunk) else {
                self.rest = rest;
                continue;
            };
            let known = inside.len() - self.rest.len();
            if let Some((inside, [b'"', rest @ ..])) = inside.split_at_checked(known + run) {
                self.rest = rest;
                return Ok((inside, false));
            }
            break;
        }
        let (run, wide) = match inside.len() - self.rest.len() {
            known @ SHORT => far(inside, known),
            _ => plain(inside),
        };
        self.wide |= wide;
        if let Some((inside, [b'"', rest @ ..])) = inside.split_at_checked(run) {
            self.rest = rest;
            return Ok((inside, false));
        }
        let Rest { rest, wide, closed } = Rest::of(inside.get(run..).unwrap_or_default());
        self.rest = rest;
        self.wide |= wide;
        if !closed {
            return Err(Wrong::Syntax);
        }
        let length = inside.len() - rest.len() - 1;
        Ok((inside.get(..length).unwrap_or_default(), true))
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
            self.pass();
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
        if !self.byte().is_ascii_digit() {
            return Err(Wrong::Syntax);
        }
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        Ok(())
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Wrong> {
        if let Some(rest) = self.rest.strip_prefix(word) {
            self.rest = rest;
            return Ok(());
        }
        let same = self.rest.iter().zip(word).take_while(|(one, other)| one == other).count();
        self.rest = &self.rest[same..];
        Err(Wrong::Syntax)
    }
}

/// What is left when a string with escapes was gone over.
struct Rest<'b> {
    /// What is behind the closing quote, or from what is wrong on.
    rest: &'b [u8],
    wide: u64,
    /// Whether nothing is wrong.
    closed: bool,
}

impl<'b> Rest<'b> {
    /// Of the string that goes on with its first escape.
    #[cold]
    fn of(mut rest: &'b [u8]) -> Self {
        let mut wide = 0;
        loop {
            match rest {
                [b'"', rest @ ..] => return Self { rest, wide, closed: true },
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind @ ..] => rest = behind,
                [b'\\', b'u', digits @ ..] => {
                    let count = digits.iter().take(4).take_while(|digit| digit.is_ascii_hexdigit()).count();
                    rest = digits.get(count..).unwrap_or_default();
                    if count < 4 {
                        return Self { rest, wide, closed: false };
                    }
                }
                [b'\\', rest @ ..] | rest => return Self { rest, wide, closed: false },
            }
            let (run, more) = plain(rest);
            rest = rest.get(run..).unwrap_or_default();
            wide |= more;
        }
    }
}
