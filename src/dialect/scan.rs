//! The top-level members of a JSON object, as spans.
//!
//! One pass over the bytes checks the whole text as strictly as a parser would and builds nothing: it knows where each
//! member stands and that everything between is sound, so that a body can be edited at a few places and forwarded
//! without having been parsed. Inside strings it runs at memory speed.

use std::{fmt, ops::Range};

use memchr::memchr2;
use smallvec::SmallVec;

use crate::fault::{Fault, FaultKind};

/// The deepest nesting taken.
pub const MAX_DEPTH: usize = 128;

/// The most top-level members taken: no API has a tenth of that, and each costs memory.
pub const MAX_MEMBERS: usize = 1024;

/// The members of a JSON object, found in one pass that checks the whole text: structure, strings, UTF-8, depth.
#[derive(Clone, Debug, Default)]
pub struct Members {
    list: SmallVec<[Member; 12]>,
    start: usize,
    end: usize,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name's bytes, its quotes included.
    pub name: Range<usize>,
    /// The value's bytes.
    pub value: Range<usize>,
    /// Whether the name holds escapes.
    escaped: bool,
}

/// A text that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Nested deeper than [`MAX_DEPTH`].
    Depth {
        /// The offending byte.
        offset: usize,
    },
    /// JSON, but no object.
    NoObject,
    /// Not JSON.
    Syntax {
        /// The offending byte; the text's length where it breaks off.
        offset: usize,
    },
    /// More than [`MAX_MEMBERS`] top-level members.
    TooMany {
        /// The first member too many.
        offset: usize,
    },
}

impl Members {
    /// Scans a body: one JSON object with nothing but white space around it.
    ///
    /// Accepts what `serde_json` accepts as raw JSON, if it is an object and within [`MAX_DEPTH`] and [`MAX_MEMBERS`].
    /// Allocates only past twelve members.
    ///
    /// # Errors
    /// The first thing found wrong, and where. Invalid UTF-8 is looked for last.
    ///
    /// ```
    /// use portcullis::dialect::scan::Members;
    ///
    /// let body = br#"{"mod\u0065l": "gpt-5", "stream": true}"#;
    /// let members = Members::scan(body)?;
    /// let model = members.find(body, "model").expect("there is one");
    /// assert_eq!(&body[model.value.clone()], b"\"gpt-5\"");
    /// # Ok::<(), portcullis::dialect::scan::ScanError>(())
    /// ```
    pub fn scan(body: &[u8]) -> Result<Self, ScanError> {
        let mut scanner = Scanner { bytes: body, at: 0, wide: false };
        scanner.blank();
        let mut members = Self::default();
        let object = scanner.peek() == Some(b'{');
        if object {
            scanner.object(&mut members, MAX_MEMBERS)?;
        } else {
            scanner.value(0)?;
        }
        scanner.blank();
        if scanner.at < body.len() {
            return Err(scanner.syntax());
        }
        if scanner.wide {
            // Bytes past ASCII are only let through inside strings.
            std::str::from_utf8(body).map_err(|error| ScanError::Syntax { offset: error.valid_up_to() })?;
        }
        if object { Ok(members) } else { Err(ScanError::NoObject) }
    }

    /// The members of the object at `at`, a value inside a body that was scanned before. Spans are positions in `body`.
    ///
    /// Empty if there is no object. In a text that is not sound it finds what comes before the damage.
    pub fn of(body: &[u8], at: &Range<usize>) -> Self {
        let mut members = Self::default();
        let mut scanner = Scanner { bytes: body.get(..at.end).unwrap_or(body), at: at.start, wide: false };
        scanner.blank();
        if scanner.peek() == Some(b'{') && scanner.object(&mut members, usize::MAX).is_err() {
            members.end = members.list.last().map_or(members.start, |last| last.value.end);
        }
        members
    }

    /// The members, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Member> {
        self.list.iter()
    }

    /// The member called `name`, however its letters are escaped; of several the last, as nearly all parsers read it.
    /// `body` is what was scanned.
    pub fn find(&self, body: &[u8], name: &str) -> Option<&Member> {
        self.list.iter().rfind(|member| member.is(body, name))
    }

    /// The first of `names` that two members have.
    ///
    /// Parsers disagree on which of two counts, so what the gateway acts on must not be there twice.
    pub fn repeated<'n>(&self, body: &[u8], names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.list.iter().filter(|member| member.is(body, name)).nth(1).is_some())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The position of the opening brace.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The position of the closing brace.
    pub fn end(&self) -> usize {
        self.end
    }
}

impl<'m> IntoIterator for &'m Members {
    type Item = &'m Member;
    type IntoIter = std::slice::Iter<'m, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Member {
    /// Whether this is its name, however its letters are escaped.
    pub fn is(&self, body: &[u8], name: &str) -> bool {
        let written = body.get(self.name.start.saturating_add(1)..self.name.end.saturating_sub(1)).unwrap_or_default();
        written == name.as_bytes() || (self.escaped && unescapes_to(written, name))
    }

    /// The value's bytes in `body`.
    pub fn bytes<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.value.clone()).unwrap_or_default()
    }

    /// The value's text. It is checked to be UTF-8: for large values, see [`bytes`](Self::bytes).
    pub fn text<'b>(&self, body: &'b [u8]) -> &'b str {
        body.get(self.value.clone()).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }
}

/// The elements of the array at `at`, a value inside a body that was scanned before, as positions in `body`.
///
/// None if there is no array. In a text that is not sound it finds what comes before the damage.
pub fn elements<'b>(body: &'b [u8], at: &Range<usize>) -> Elements<'b> {
    let mut scanner = Scanner { bytes: body.get(..at.end).unwrap_or(body), at: at.start, wide: false };
    scanner.blank();
    let open = scanner.eat(b'[');
    scanner.blank();
    Elements { open: open && !scanner.eat(b']'), scanner }
}

/// The elements of an array, from [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'b> {
    scanner: Scanner<'b>,
    open: bool,
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        self.scanner.blank();
        let start = self.scanner.at;
        self.scanner.value(0).ok()?;
        let end = self.scanner.at;
        self.scanner.blank();
        self.open = self.scanner.eat(b',');
        Some(start..end)
    }
}

impl ScanError {
    /// The offending byte's position.
    pub fn offset(self) -> usize {
        match self {
            Self::Depth { offset } | Self::Syntax { offset } | Self::TooMany { offset } => offset,
            Self::NoObject => 0,
        }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth { offset } => write!(f, "nested deeper than {MAX_DEPTH} levels at byte {offset}"),
            Self::NoObject => f.write_str("expected an object"),
            Self::Syntax { offset } => write!(f, "not JSON at byte {offset}"),
            Self::TooMany { offset } => write!(f, "more than {MAX_MEMBERS} members at byte {offset}"),
        }
    }
}

impl std::error::Error for ScanError {}

impl From<ScanError> for Fault {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Syntax { offset } => Self::new(FaultKind::InvalidJson { offset }),
            ScanError::Depth { .. } | ScanError::NoObject | ScanError::TooMany { .. } => Self::invalid("", error.to_string()),
        }
    }
}

/// Walks over JSON text. `at` never passes the end.
#[derive(Clone, Debug)]
struct Scanner<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Whether bytes past ASCII were met.
    wide: bool,
}

impl Scanner<'_> {
    /// Walks over the object that begins here and lists its members.
    fn object(&mut self, members: &mut Members, limit: usize) -> Result<(), ScanError> {
        members.start = self.at;
        self.at += 1;
        self.blank();
        if !self.eat(b'}') {
            loop {
                if members.list.len() == limit {
                    return Err(ScanError::TooMany { offset: self.at });
                }
                let (name, escaped) = self.name()?;
                let start = self.at;
                self.value(1)?;
                members.list.push(Member { name, value: start..self.at, escaped });
                self.blank();
                if self.eat(b'}') {
                    break;
                }
                self.expect(b',')?;
                self.blank();
            }
        }
        members.end = self.at - 1;
        Ok(())
    }

    /// Walks over one value, `outer` levels deep. A bit per open level, set for an object, stands for a call stack.
    fn value(&mut self, outer: usize) -> Result<(), ScanError> {
        let mut objects = 0u128;
        let mut depth = 0;
        'value: loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if outer + depth == MAX_DEPTH {
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
            self.plain();
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

    /// Walks up to the next quote, backslash or control character: a few words by hand, since most strings are short
    /// and a call costs more than they do, then in blocks.
    fn plain(&mut self) {
        for _ in 0..SHORT_WORDS {
            let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) else {
                while self.peek().is_some_and(|byte| !is_special(byte)) {
                    self.wide |= self.bytes[self.at] >= 0x80;
                    self.at += 1;
                }
                return;
            };
            let word = u64::from_le_bytes(*word);
            self.wide |= word & HIGH != 0;
            let hits = special(word);
            if hits != 0 {
                self.at += hits.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        // In blocks that stay in the cache, since each is read twice.
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let block = &rest[..rest.len().min(BLOCK)];
            let end = memchr2(b'"', b'\\', block);
            let run = &block[..end.unwrap_or(block.len())];
            let (least, all) = run.iter().fold((u8::MAX, 0), |(least, all), &byte| (byte.min(least), all | byte));
            self.wide |= all >= 0x80;
            if least < 0x20 {
                self.at += run.iter().position(|&byte| byte < 0x20).unwrap_or(0);
                return;
            }
            self.at += run.len();
            if end.is_some() {
                return;
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

    fn literal(&mut self, word: &[u8]) -> Result<(), ScanError> {
        word.iter().try_for_each(|&byte| self.expect(byte))
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.eat(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    fn syntax(&self) -> ScanError {
        ScanError::Syntax { offset: self.at.min(self.bytes.len()) }
    }
}

/// Marks the bytes of `word` that end a plain run in a string: quote, backslash, control. The lowest mark is exact; a
/// borrow may set more above it.
const fn special(word: u64) -> u64 {
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// How many bytes at the start of `text` stand for themselves inside a JSON string: in blocks that a compiler checks at
/// once, then by words.
pub(super) fn plain(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<64>()) {
        if block.iter().fold(false, |any, &byte| any | is_special(byte)) {
            break;
        }
        at += block.len();
    }
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let hits = special(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += word.len();
    }
    at + text.get(at..).unwrap_or_default().iter().take_while(|byte| !is_special(**byte)).count()
}

/// Whether a byte ends a plain run in a string.
const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// Whether the inside of a sound JSON string says `name`. Compared in UTF-16, the units that `\u` is written in.
fn unescapes_to(written: &[u8], name: &str) -> bool {
    let Ok(written) = std::str::from_utf8(written) else { return false };
    let mut want = name.encode_utf16();
    let mut rest = written.chars();
    while let Some(first) = rest.next() {
        let same = if first == '\\' {
            let unit = match rest.next() {
                Some('b') => 8,
                Some('t') => 9,
                Some('n') => 10,
                Some('f') => 12,
                Some('r') => 13,
                Some('u') => {
                    let digits = rest.as_str().get(..4).unwrap_or_default();
                    rest = rest.as_str().get(4..).unwrap_or_default().chars();
                    u16::from_str_radix(digits, 16).unwrap_or_default()
                }
                other => other.and_then(|other| u8::try_from(other).ok()).unwrap_or_default().into(),
            };
            want.next() == Some(unit)
        } else {
            first.encode_utf16(&mut [0; 2]).iter().all(|unit| want.next() == Some(*unit))
        };
        if !same {
            return false;
        }
    }
    want.next().is_none()
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;
/// Words looked at before the block search takes over.
const SHORT_WORDS: usize = 4;
const BLOCK: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<&str> {
        Members::scan(body.as_bytes()).unwrap().iter().map(|member| &body[member.name.clone()]).collect()
    }

    #[test]
    fn spans_of_the_top_level() {
        let body = r#" { "a" : {"x":[1,{}]} ,"b":"\"}" , "c":-1.5e+3,"d":null } "#;
        let members = Members::scan(body.as_bytes()).unwrap();
        let texts: Vec<_> = members.iter().map(|member| member.text(body.as_bytes())).collect();
        assert_eq!(texts, [r#"{"x":[1,{}]}"#, r#""\"}""#, "-1.5e+3", "null"]);
        assert_eq!(names(body), [r#""a""#, r#""b""#, r#""c""#, r#""d""#]);
        assert_eq!((members.start(), members.end()), (1, body.len() - 2));
    }

    #[test]
    fn names_are_found_behind_escapes() {
        let body = r#"{"mod\u0065l":1,"\/\n\ud83d\ude00":2,"model":3}"#.as_bytes();
        let members = Members::scan(body).unwrap();
        assert_eq!(members.find(body, "model").unwrap().text(body), "1");
        assert_eq!(members.find(body, "/\n😀").unwrap().text(body), "2");
        assert_eq!(members.repeated(body, &["stream", "model"]), Some("model"));
        assert_eq!(members.repeated(body, &["/\n😀"]), None);
        assert!(members.find(body, "mode").is_none());
    }

    #[test]
    fn errors_name_the_byte() {
        for (body, offset) in [
            ("", 0),
            ("{", 1),
            (r#"{"a":01}"#, 6),
            (r#"{"a":tru}"#, 8),
            (r#"{"a":"\x"}"#, 7),
            ("{\"a\":\"\n\"}", 6),
            ("{} x", 3),
            (r#"{"a":1,}"#, 7),
            ("\u{feff}{}", 0),
            ("{\"a\":\"0123456789012345678901234567890123456789\u{1}\"}", 46),
        ] {
            assert_eq!(Members::scan(body.as_bytes()).unwrap_err(), ScanError::Syntax { offset }, "{body:?}");
        }
        assert_eq!(Members::scan(b"{\"a\":\"0123\xff\"}").unwrap_err(), ScanError::Syntax { offset: 10 });
        assert_eq!(Members::scan(b" [1] ").unwrap_err(), ScanError::NoObject);
    }

    #[test]
    fn depth_is_counted_from_the_object() {
        let nest = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(Members::scan(nest(MAX_DEPTH).as_bytes()).is_ok());
        let offset = nest(MAX_DEPTH).find(']').unwrap();
        assert_eq!(Members::scan(nest(MAX_DEPTH + 1).as_bytes()).unwrap_err(), ScanError::Depth { offset });
    }

    #[test]
    fn members_are_counted() {
        let body = |count: usize| format!("{{{}}}", vec!["\"a\":0"; count].join(","));
        assert_eq!(Members::scan(body(MAX_MEMBERS).as_bytes()).unwrap().len(), MAX_MEMBERS);
        assert!(matches!(Members::scan(body(MAX_MEMBERS + 1).as_bytes()), Err(ScanError::TooMany { .. })));
    }

    #[test]
    fn nested_values() {
        let body = br#"{"choices":[{"index":0} , 7,[ ]],"none":[],"usage":{"a":1}}"#;
        let members = Members::scan(body).unwrap();
        let list = |name| elements(body, &members.find(body, name).unwrap().value).collect::<Vec<_>>();
        let texts: Vec<_> = list("choices").into_iter().map(|at| std::str::from_utf8(&body[at]).unwrap()).collect();
        assert_eq!(texts, [r#"{"index":0}"#, "7", "[ ]"]);
        assert!(list("none").is_empty());
        assert!(list("usage").is_empty());
        let usage = Members::of(body, &members.find(body, "usage").unwrap().value);
        assert_eq!(usage.find(body, "a").unwrap().text(body), "1");
        assert_eq!(&body[usage.end()..], b"}}");
        assert!(Members::of(b"{\"a\":1,\"b\"", &(0..99)).find(b"{\"a\":1,\"b\"", "a").is_some());
    }
}
