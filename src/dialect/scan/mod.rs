//! The top-level members of a JSON object, as spans.
//!
//! One pass over the bytes checks the whole text as strictly as a parser would and builds nothing: it knows where each
//! member stands and that everything between is sound, so that a body can be edited at a few places and forwarded
//! without having been parsed. Inside strings it runs at memory speed.

mod cursor;
mod plain;
mod walk;

use std::{fmt, ops::Range};

use smallvec::SmallVec;

pub use self::walk::{Name, Walk};
pub(super) use self::{plain::plain, walk::by_name};

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
    lengths: Lengths,
}

/// Which lengths of names there are, a bit for each. Most names that are looked for are not there, and most that are not
/// there would be the only ones of their length.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths(u64);

impl Lengths {
    /// Of a name of `length` bytes. Long ones share a bit.
    #[inline]
    const fn of(length: usize) -> Self {
        Self(1 << if length < 64 { length } else { 63 })
    }

    /// Of a name that may say anything.
    const ANY: Self = Self(u64::MAX);
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
        Self::visit(body, |_, _| ())
    }

    /// Scans a body as [`scan`](Self::scan) does, and on the way lets `each` look into the members' values: what a body
    /// tells is read in the same pass.
    ///
    /// # Errors
    /// As [`scan`](Self::scan); what `each` has seen is then worth nothing.
    ///
    /// ```
    /// use portcullis::dialect::scan::Members;
    ///
    /// let mut names = Vec::new();
    /// Members::visit(br#"{"tools": [{"name": "a"}, {"name": "b"}], "n": 1}"#, |walk, name| {
    ///     if *name.text() == *b"tools" {
    ///         walk.elements(|walk| walk.object(|walk, _| names.push(walk.skip().to_vec())));
    ///     }
    /// })?;
    /// assert_eq!(names, [b"\"a\"", b"\"b\""]);
    /// # Ok::<(), portcullis::dialect::scan::ScanError>(())
    /// ```
    pub fn visit<'b>(body: &'b [u8], each: impl FnMut(&mut Walk<'b>, &Name<'b>)) -> Result<Self, ScanError> {
        let mut members = Self::default();
        members.visit_into(body, each).map(|()| members)
    }

    /// As [`visit`](Self::visit), into an empty list, which is large to hand on.
    #[inline]
    pub(crate) fn visit_into<'b>(&mut self, body: &'b [u8], each: impl FnMut(&mut Walk<'b>, &Name<'b>)) -> Result<(), ScanError> {
        let mut walk = Walk::new(body, 0);
        let object = walk.peek() == Some(b'{');
        // What went wrong, the walk knows in the end.
        let _ = if object { walk.list(self, MAX_MEMBERS, each) } else { walk.value() };
        walk.end()?;
        if object { Ok(()) } else { Err(ScanError::NoObject) }
    }

    /// The members of the object at `at`, a value inside a body that was scanned before. Spans are positions in `body`.
    ///
    /// Empty if there is no object. In a text that is not sound it finds what comes before the damage.
    pub fn of(body: &[u8], at: &Range<usize>) -> Self {
        let (mut walk, mut members) = (Walk::new(body.get(..at.end).unwrap_or(body), at.start), Self::default());
        if walk.peek() == Some(b'{') {
            // What there is, is taken.
            let _ = walk.list(&mut members, usize::MAX, |_, _| ());
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
        self.all(body, name).next_back().map(|(_, member)| member)
    }

    /// The members called `name`, however its letters are escaped, and their numbers, in order. `body` is what was scanned.
    #[inline]
    pub(super) fn all<'m>(&'m self, body: &[u8], name: &str) -> impl DoubleEndedIterator<Item = (usize, &'m Member)> {
        let list = if self.lengths.0 & Lengths::of(name.len()).0 == 0 { &[] } else { &self.list[..] };
        list.iter().enumerate().filter(move |(_, member)| member.is(body, name))
    }

    #[inline]
    fn push(&mut self, member: Member) {
        self.lengths.0 |= if member.escaped { Lengths::ANY } else { Lengths::of(member.name.len() - 2) }.0;
        self.end = member.value.end;
        self.list.push(member);
    }

    /// The first of `names` that two members have.
    ///
    /// Parsers disagree on which of two counts, so what the gateway acts on must not be there twice.
    pub fn repeated<'n>(&self, body: &[u8], names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.all(body, name).nth(1).is_some())
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
    #[inline]
    pub fn is(&self, body: &[u8], name: &str) -> bool {
        // Most names are told apart by their length.
        if self.escaped {
            unescapes_to(self.inside(body), name)
        } else {
            self.name.len() == name.len() + 2 && self.inside(body) == name.as_bytes()
        }
    }

    /// The name's bytes without its quotes.
    fn inside<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        body.get(self.name.start + 1..self.name.end - 1).unwrap_or_default()
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
    let mut walk = Walk::new(body.get(..at.end).unwrap_or(body), at.start);
    let open = walk.enter();
    Elements { walk, open }
}

/// The elements of an array, from [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'b> {
    walk: Walk<'b>,
    open: bool,
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let element = self.walk.element()?;
        self.open = self.walk.another();
        Some(element)
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
        assert_eq!(members.find(body, "model").unwrap().text(body), "3");
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
            ("{}\0", 2),
            ("{\"a\":\0}", 5),
            ("{\"a\":1\0", 6),
            (r#"{"a":"\u12g4"}"#, 10),
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
