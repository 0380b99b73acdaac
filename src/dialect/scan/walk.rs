//! Walks over JSON text, each byte once.

use std::{borrow::Cow, ops::Range};

use super::{
    MAX_DEPTH, MAX_MEMBERS, Member, Members, ScanError,
    cursor::{Cursor, Wrong},
    plain::is_wide,
};

/// A walk over a body, at a value. Whoever walks takes it apart or [skips](Self::skip) it.
///
/// The text is checked as it goes by. What is found wrong ends the walk: nothing is visited any more, and
/// [`Members::visit`], which began it, says what it was.
#[derive(Clone, Debug)]
pub struct Walk<'b> {
    bytes: &'b [u8],
    cursor: Cursor<'b>,
    /// Objects and arrays that are open around this place.
    depth: usize,
    failed: Option<ScanError>,
}

/// The text is not sound. The walk knows what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsound;

/// A member's name, as it stands in a body.
#[derive(Clone, Debug)]
pub struct Name<'b> {
    inside: &'b [u8],
    escaped: bool,
    /// How many bytes were ahead where it began.
    ahead: usize,
}

impl<'b> Name<'b> {
    /// Goes over the name that is here, to its value.
    #[inline(always)]
    fn of(cursor: &mut Cursor<'b>) -> Result<Self, Wrong> {
        let ahead = cursor.rest().len();
        let (inside, escaped) = cursor.name()?;
        Ok(Self { inside, escaped, ahead })
    }

    /// The name in UTF-8, unescaped. Lone surrogates leave it as it was written.
    #[inline]
    pub fn text(&self) -> Cow<'b, [u8]> {
        if self.escaped { self.unescaped() } else { Cow::Borrowed(self.inside) }
    }

    /// The name in `text`, which the walk goes over, unescaped; none if it holds lone surrogates.
    #[inline]
    pub(in crate::dialect) fn str(&self, text: &'b str) -> Option<Cow<'b, str>> {
        string(text, text.len() - self.ahead + 1, self.inside, self.escaped)
    }

    /// Where it stands in `body`, which the walk goes over, its quotes included.
    #[inline]
    fn span(&self, body: &[u8]) -> Range<usize> {
        let start = body.len() - self.ahead;
        start..start + self.inside.len() + 2
    }

    #[cold]
    fn unescaped(&self) -> Cow<'b, [u8]> {
        let quoted = [b"\"", self.inside, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).map_or(Cow::Borrowed(self.inside), |text| Cow::Owned(text.into_bytes()))
    }
}

/// The string whose `inside` stands in quotes at `start` of `text`; none if its escapes say lone surrogates.
#[inline]
fn string<'b>(text: &'b str, start: usize, inside: &[u8], escaped: bool) -> Option<Cow<'b, str>> {
    let end = start + inside.len();
    if escaped { unescaped(text.get(start - 1..end + 1)?) } else { text.get(start..end).map(Cow::Borrowed) }
}

#[cold]
fn unescaped(quoted: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(quoted).ok().map(Cow::Owned)
}

/// Chooses by a name's text, as a `match` would.
///
/// A `match` on bytes compares them one after the other, and a name of twenty takes twenty branches. Here a name is told by
/// its length, then by words.
macro_rules! by_name {
    ($name:expr, { $($($text:literal)|+ => $chosen:expr,)+ _ => $other:expr $(,)? }) => {{
        let name = $name.text();
        let name: &[u8] = &name;
        $(if $(name == $text.as_bytes())||+ { $chosen } else)+ { $other }
    }};
}
pub(in crate::dialect) use by_name;

impl<'b> Walk<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Self {
        let mut cursor = Cursor::new(bytes.get(at..).unwrap_or_default());
        cursor.next();
        Self { bytes, cursor, depth: 0, failed: None }
    }

    /// Walks over `text`, one value with nothing but white space around it, as `read` does. None if that reads nothing, or the
    /// text is not sound.
    #[inline]
    pub(in crate::dialect) fn whole<T>(text: &'b str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut walk = Self::new(text.as_bytes(), 0);
        // Handed back from where it was read to: these are large.
        let mut value = read(&mut walk);
        walk.cursor.next();
        if walk.failed.is_some() || walk.peek().is_some() {
            value = None;
        }
        value
    }

    /// The value's first byte, which tells what it is.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.cursor.peek()
    }

    /// The value's position in the body.
    #[inline]
    pub fn at(&self) -> usize {
        self.bytes.len() - self.cursor.rest().len()
    }

    /// Walks over the value. Gives its bytes; none if it is not sound.
    #[inline]
    pub fn skip(&mut self) -> &'b [u8] {
        let start = self.at();
        match self.value() {
            Ok(()) => self.bytes.get(start..self.at()).unwrap_or_default(),
            Err(Unsound) => &[],
        }
    }

    /// Walks over the value, a string in `text`, which the walk goes over. Gives what it says; none if it is no string, not
    /// sound, or holds lone surrogates.
    #[inline]
    pub(in crate::dialect) fn string(&mut self, text: &'b str) -> Option<Cow<'b, str>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at() + 1;
        let (inside, escaped) = self.go(Cursor::string).ok()?;
        string(text, start, inside, escaped)
    }

    /// Walks over the value; if it is an object, `each` stands before each of its members' values. Those it leaves alone
    /// are skipped.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &Name<'b>)) {
        // What is not sound ends the walk, whoever looks.
        let _ = match self.cursor.byte() {
            b'{' => self.entries(|walk, name| walk.visited(|walk| each(walk, &name))),
            _ => self.value(),
        };
    }

    /// Like [`object`](Self::object), and lists the members. None if there is no object.
    pub fn members(&mut self, each: impl FnMut(&mut Self, &Name<'b>)) -> Option<Members> {
        let mut members = Members::default();
        self.members_into(&mut members, each).then_some(members)
    }

    /// As [`members`](Self::members), into a list, which is large to hand on. Says whether there is an object.
    #[inline]
    pub(in crate::dialect) fn members_into(&mut self, members: &mut Members, each: impl FnMut(&mut Self, &Name<'b>)) -> bool {
        *members = Members::default();
        if self.cursor.byte() != b'{' {
            let _ = self.value();
            return false;
        }
        self.list(members, MAX_MEMBERS, each).is_ok()
    }

    /// Walks over the value; if it is an array, `each` stands before each element. Those it leaves alone are skipped.
    pub fn elements(&mut self, mut each: impl FnMut(&mut Self)) {
        let _ = match self.cursor.byte() {
            b'[' => self.items(|walk| walk.visited(&mut each)),
            _ => self.value(),
        };
    }

    /// Lists the members of the object that begins here, as far as it is sound.
    pub(super) fn list(&mut self, members: &mut Members, most: usize, mut each: impl FnMut(&mut Self, &Name<'b>)) -> Result<(), Unsound> {
        (members.start, members.end) = (self.at(), self.at());
        self.entries(|walk, name| {
            if members.len() == most {
                return Err(walk.fail(ScanError::TooMany { offset: name.span(walk.bytes).start }));
            }
            let start = walk.at();
            walk.visited(|walk| each(walk, &name))?;
            members.push(Member { name: name.span(walk.bytes), value: start..walk.at(), escaped: name.escaped });
            Ok(())
        })?;
        members.end = self.at() - 1;
        Ok(())
    }

    /// Ends behind one value: nothing but white space may follow.
    pub(super) fn end(mut self) -> Result<(), ScanError> {
        self.cursor.next();
        match self.failed {
            Some(error) => Err(error),
            None if self.peek().is_some() => Err(ScanError::Syntax { offset: self.at() }),
            // Bytes past ASCII are only let through inside strings.
            None if is_wide(self.cursor.wide()) => match std::str::from_utf8(self.bytes) {
                Ok(_) => Ok(()),
                Err(error) => Err(ScanError::Syntax { offset: error.valid_up_to() }),
            },
            None => Ok(()),
        }
    }

    /// Enters the array that begins here; says whether it has elements.
    pub(super) fn enter(&mut self) -> bool {
        self.cursor.eat(b'[') && self.cursor.next() != b']'
    }

    /// Walks over one element.
    pub(super) fn element(&mut self) -> Option<Range<usize>> {
        let start = self.at();
        self.value().ok().map(|()| start..self.at())
    }

    /// Walks to the next element; says whether there is one.
    pub(super) fn another(&mut self) -> bool {
        let another = self.cursor.next() == b',';
        if another {
            self.cursor.step();
        }
        another
    }

    /// Walks over one value.
    pub(super) fn value(&mut self) -> Result<(), Unsound> {
        match self.cursor.byte() {
            b'{' | b'[' => self.nested(),
            // Most values are short, and what it takes to walk in and out of others costs more than they do.
            _ => self.go(Cursor::scalar),
        }
    }

    #[inline(never)]
    fn nested(&mut self) -> Result<(), Unsound> {
        let depth = self.depth;
        self.go(|cursor| cursor.value(depth))
    }

    /// Walks over the object that begins here; `each` walks over the values of its members.
    #[inline]
    fn entries(&mut self, mut each: impl FnMut(&mut Self, Name<'b>) -> Result<(), Unsound>) -> Result<(), Unsound> {
        let mut more = self.open(b'}')?;
        while more {
            let name = self.go(Name::of)?;
            each(self, name)?;
            more = self.more(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks over the array that begins here; `each` walks over its elements.
    #[inline]
    fn items(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Unsound>) -> Result<(), Unsound> {
        let mut more = self.open(b']')?;
        while more {
            each(self)?;
            more = self.more(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Into the object or array that begins here. Says whether there is anything in it before `close`, or goes out again.
    #[inline(always)]
    fn open(&mut self, close: u8) -> Result<bool, Unsound> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(Wrong::Depth));
        }
        self.depth += 1;
        self.go(|cursor| {
            cursor.step();
            Ok(!cursor.eat(close))
        })
    }

    /// On from what lies in an object or array. Says whether there is more in it before `close`, or goes out.
    #[inline(always)]
    fn more(&mut self, close: u8) -> Result<bool, Unsound> {
        self.go(|cursor| match cursor.next() {
            b',' => {
                cursor.step();
                Ok(true)
            }
            byte if byte == close => {
                cursor.eat(close);
                Ok(false)
            }
            _ => Err(Wrong::Syntax),
        })
    }

    /// Lets somebody visit the value here, and goes on behind it.
    #[inline]
    fn visited(&mut self, visit: impl FnOnce(&mut Self)) -> Result<(), Unsound> {
        let start = self.at();
        visit(self);
        match self.failed {
            Some(_) => Err(Unsound),
            None if self.at() == start => self.value(),
            None => Ok(()),
        }
    }

    /// Goes some of the way with a cursor at hand.
    #[inline(always)]
    fn go<T>(&mut self, way: impl FnOnce(&mut Cursor<'b>) -> Result<T, Wrong>) -> Result<T, Unsound> {
        let mut cursor = self.cursor;
        let gone = way(&mut cursor);
        self.cursor = cursor;
        gone.map_err(|wrong| self.wrong(wrong))
    }

    #[cold]
    fn wrong(&mut self, wrong: Wrong) -> Unsound {
        let offset = self.at();
        self.fail(match wrong {
            Wrong::Depth => ScanError::Depth { offset },
            Wrong::Syntax => ScanError::Syntax { offset },
        })
    }

    /// Ends the walk.
    #[cold]
    fn fail(&mut self, error: ScanError) -> Unsound {
        self.failed.get_or_insert(error);
        self.cursor.stop();
        Unsound
    }
}
