//! Walks over JSON text, each byte once.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2;

use super::{MAX_DEPTH, MAX_MEMBERS, Member, Members, ScanError};

/// A walk over a body, at a value. Whoever walks takes it apart or [skips](Self::skip) it.
///
/// The text is checked as it goes by. What is found wrong ends the walk: nothing is visited any more, and
/// [`Members::visit`], which began it, says what it was.
#[derive(Clone, Debug)]
pub struct Walk<'b> {
    bytes: &'b [u8],
    /// Never past the end.
    at: usize,
    /// Objects and arrays that are open around this place.
    depth: usize,
    /// Whether bytes past ASCII were met.
    wide: bool,
    failed: Option<ScanError>,
}

/// A member's name, as it stands in a body.
#[derive(Clone, Debug)]
pub struct Name<'b> {
    inside: &'b [u8],
    escaped: bool,
    span: Range<usize>,
}

impl<'b> Name<'b> {
    /// The name in UTF-8, unescaped. Lone surrogates leave it as it was written.
    #[inline]
    pub fn text(&self) -> Cow<'b, [u8]> {
        if self.escaped { self.unescaped() } else { Cow::Borrowed(self.inside) }
    }

    #[cold]
    fn unescaped(&self) -> Cow<'b, [u8]> {
        let quoted = [b"\"", self.inside, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).map_or(Cow::Borrowed(self.inside), |text| Cow::Owned(text.into_bytes()))
    }
}

impl<'b> Walk<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Self {
        let mut walk = Self { bytes, at, depth: 0, wide: false, failed: None };
        walk.blank();
        walk
    }

    /// The value's first byte, which tells what it is.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The value's position in the body.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Walks over the value. Gives its bytes; none if it is not sound.
    pub fn skip(&mut self) -> &'b [u8] {
        let start = self.at;
        match self.value() {
            Ok(()) => self.bytes.get(start..self.at).unwrap_or_default(),
            Err(error) => self.fail(error),
        }
    }

    /// Walks over the value; if it is an object, `each` stands before each of its members' values. Those it leaves alone
    /// are skipped.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &Name<'b>)) {
        let done = match self.peek() {
            Some(b'{') => self.entries(|walk, name| walk.visited(|walk| each(walk, &name))),
            _ => self.value(),
        };
        if let Err(error) = done {
            self.fail(error);
        }
    }

    /// Like [`object`](Self::object), and lists the members. None if there is no object.
    pub fn members(&mut self, each: impl FnMut(&mut Self, &Name<'b>)) -> Option<Members> {
        let listed = if self.peek() == Some(b'{') { self.list(MAX_MEMBERS, each).map(Some) } else { self.value().map(|()| None) };
        listed.unwrap_or_else(|error| {
            self.fail(error);
            None
        })
    }

    /// Walks over the value; if it is an array, `each` stands before each element. Those it leaves alone are skipped.
    pub fn elements(&mut self, mut each: impl FnMut(&mut Self)) {
        let done = match self.peek() {
            Some(b'[') => self.items(|walk| walk.visited(&mut each)),
            _ => self.value(),
        };
        if let Err(error) = done {
            self.fail(error);
        }
    }

    /// Lists the members of the object that begins here.
    pub(super) fn list(&mut self, most: usize, mut each: impl FnMut(&mut Self, &Name<'b>)) -> Result<Members, ScanError> {
        let mut members = Members { start: self.at, ..Members::default() };
        let done = self.entries(|walk, name| {
            if members.list.len() == most {
                return Err(ScanError::TooMany { offset: name.span.start });
            }
            let start = walk.at;
            walk.visited(|walk| each(walk, &name))?;
            members.list.push(Member { name: name.span, value: start..walk.at, escaped: name.escaped });
            Ok(())
        });
        members.end = match done {
            Ok(()) => self.at - 1,
            Err(error) if most < usize::MAX => return Err(error),
            // Asked to take what there is.
            Err(_) => members.list.last().map_or(members.start, |last| last.value.end),
        };
        Ok(members)
    }

    /// Walks over one value with nothing but white space behind it.
    pub(super) fn end(&mut self) -> Result<(), ScanError> {
        self.blank();
        if self.at < self.bytes.len() {
            return Err(self.syntax());
        }
        if self.wide {
            // Bytes past ASCII are only let through inside strings.
            std::str::from_utf8(self.bytes).map_err(|error| ScanError::Syntax { offset: error.valid_up_to() })?;
        }
        Ok(())
    }

    /// Enters the array that begins here; says whether it has elements.
    pub(super) fn enter(&mut self) -> bool {
        let open = self.eat(b'[');
        self.blank();
        open && !self.eat(b']')
    }

    /// Walks over one element.
    pub(super) fn element(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.value().ok().map(|()| start..self.at)
    }

    /// Walks to the next element; says whether there is one.
    pub(super) fn another(&mut self) -> bool {
        self.blank();
        let another = self.eat(b',');
        self.blank();
        another
    }

    /// Lets somebody visit the value here, and goes on behind it.
    #[inline]
    fn visited(&mut self, visit: impl FnOnce(&mut Self)) -> Result<(), ScanError> {
        let start = self.at;
        visit(self);
        match self.failed {
            Some(error) => Err(error),
            None if self.at == start => self.value(),
            None => Ok(()),
        }
    }

    #[cold]
    fn fail(&mut self, error: ScanError) -> &'b [u8] {
        self.failed.get_or_insert(error);
        self.at = self.bytes.len();
        &[]
    }
}

/// What JSON is made of.
impl<'b> Walk<'b> {
    /// Walks over the object that begins here; `each` walks over the values of its members.
    fn entries(&mut self, mut each: impl FnMut(&mut Self, Name<'b>) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.open()?;
        if !self.eat(b'}') {
            loop {
                let (span, escaped) = self.name()?;
                let inside = self.bytes.get(span.start + 1..span.end - 1).unwrap_or_default();
                each(self, Name { inside, escaped, span })?;
                self.blank();
                if self.eat(b'}') {
                    break;
                }
                self.expect(b',')?;
                self.blank();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks over the array that begins here; `each` walks over its elements.
    fn items(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.open()?;
        if !self.eat(b']') {
            loop {
                each(self)?;
                self.blank();
                if self.eat(b']') {
                    break;
                }
                self.expect(b',')?;
                self.blank();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Into the object or array that begins here.
    fn open(&mut self) -> Result<(), ScanError> {
        if self.depth == MAX_DEPTH {
            return Err(ScanError::Depth { offset: self.at });
        }
        self.depth += 1;
        self.at += 1;
        self.blank();
        Ok(())
    }

    /// Walks over one value. A bit per open level, set for an object, stands for a call stack.
    pub(super) fn value(&mut self) -> Result<(), ScanError> {
        let mut objects = 0u128;
        let mut depth = 0;
        'value: loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if self.depth + depth == MAX_DEPTH {
                        return Err(ScanError::Depth { offset: self.at });
                    }
                    self.at += 1;
                    self.blank();
                    let object = open == b'{';
                    if !self.eat(if object { b'}' } else { b']' }) {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return Err(self.syntax()),
            }
            // A value is behind us: on to the next one, or out of what it closes.
            while depth > 0 {
                self.blank();
                let object = objects & 1 == 1;
                if self.eat(b',') {
                    self.blank();
                    if object {
                        self.name()?;
                    }
                    continue 'value;
                }
                self.expect(if object { b'}' } else { b']' })?;
                objects >>= 1;
                depth -= 1;
            }
            return Ok(());
        }
    }

    /// Walks over a member's name and colon, up to its value. Says whether the name holds escapes.
    #[inline]
    fn name(&mut self) -> Result<(Range<usize>, bool), ScanError> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let escaped = self.string()?;
        let end = self.at;
        self.blank();
        self.expect(b':')?;
        self.blank();
        Ok((start..end, escaped))
    }

    /// Walks over the string whose opening quote is here. Says whether it holds escapes.
    fn string(&mut self) -> Result<bool, ScanError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let (plain, wide) = plain(self.bytes.get(self.at..).unwrap_or_default());
            self.at += plain;
            self.wide |= wide;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    self.escape()?;
                    escaped = true;
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.syntax());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.syntax()) }
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<(), ScanError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        word.iter().try_for_each(|&byte| self.expect(byte))
    }

    #[inline]
    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.eat(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    fn syntax(&self) -> ScanError {
        ScanError::Syntax { offset: self.at.min(self.bytes.len()) }
    }
}

/// How many bytes at the start of `text` stand for themselves inside a JSON string, and whether bytes past ASCII are among
/// or near them: a few words by hand, since most strings are short and a call costs more than they do, then in blocks.
#[inline(always)]
pub(in crate::dialect) fn plain(text: &[u8]) -> (usize, bool) {
    let mut rest = text;
    let mut all = 0;
    for _ in 0..SHORT_WORDS {
        let Some((word, more)) = rest.split_first_chunk() else { break };
        let word = u64::from_le_bytes(*word);
        all |= word;
        let hits = special(word);
        if hits != 0 {
            return (text.len() - rest.len() + hits.trailing_zeros() as usize / 8, all & HIGH != 0);
        }
        rest = more;
    }
    let (more, wide) = if rest.len() < 8 { tail(rest) } else { blocks(rest) };
    (text.len() - rest.len() + more, wide | (all & HIGH != 0))
}

/// The bytes behind the last word.
fn tail(text: &[u8]) -> (usize, bool) {
    let plain = text.iter().take_while(|byte| !is_special(**byte));
    plain.fold((0, false), |(count, wide), byte| (count + 1, wide | (*byte >= 0x80)))
}

/// In blocks that stay in the cache, since each is read twice.
fn blocks(text: &[u8]) -> (usize, bool) {
    let (mut at, mut wide) = (0, false);
    for block in text.chunks(BLOCK) {
        let end = memchr2(b'"', b'\\', block);
        let run = &block[..end.unwrap_or(block.len())];
        let (least, all) = run.iter().fold((u8::MAX, 0), |(least, all), &byte| (byte.min(least), all | byte));
        wide |= all >= 0x80;
        if least < 0x20 {
            return (at + run.iter().position(|&byte| byte < 0x20).unwrap_or(0), wide);
        }
        at += run.len();
        if end.is_some() {
            break;
        }
    }
    (at, wide)
}

/// Marks the bytes of `word` that end a plain run in a string: quote, backslash, control. The lowest mark is exact; a
/// borrow may set more above it.
#[inline]
const fn special(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    // Bytes past ASCII are none of these.
    (quote | backslash | control) & !word & HIGH
}

/// Whether a byte ends a plain run in a string.
const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;
/// Words looked at before the block search takes over.
const SHORT_WORDS: usize = 4;
const BLOCK: usize = 16 * 1024;
