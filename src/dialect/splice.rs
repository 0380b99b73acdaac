//! Edits of a body that leave the rest of its bytes alone.

use std::{cmp::Reverse, ops::Range};

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::{
    json,
    scan::{Member, Members},
};

/// Edits of one body.
///
/// They are collected in any order and settled by [`apply`](Self::apply), which also settles the commas: whatever is
/// removed from an object and inserted into it, the result is sound JSON. An edit inside something that another edit
/// removes or replaces is void; of two replacements of one value the later one counts.
///
/// ```
/// use bytes::Bytes;
/// use portcullis::dialect::{Edits, scan::Members};
///
/// let body = Bytes::from_static(br#"{"model": "fast", "provider": {}, "stream": true}"#);
/// let members = Members::scan(&body)?;
/// let mut edits = Edits::default();
/// edits.set(&body, &members, "model", "\"gpt-5\"");
/// edits.remove(&body, &members, "provider");
/// edits.append(&members, "stream_options", r#"{"include_usage":true}"#);
/// assert_eq!(edits.apply(&body).concat(), br#"{"model": "gpt-5", "stream": true,"stream_options":{"include_usage":true}}"#);
/// # Ok::<(), portcullis::dialect::scan::ScanError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// What is new, in the order it was said.
    text: BytesMut,
    list: SmallVec<[Edit; 8]>,
    objects: SmallVec<[Object; 2]>,
}

/// The bytes at `range` give way to those at `with` in the new text.
#[derive(Clone, Debug, Default)]
struct Edit {
    range: Range<usize>,
    with: Range<usize>,
}

impl Edits {
    /// Replaces `range` by `with`; an empty range inserts, an empty `with` removes. Nothing looks after commas here.
    pub fn replace(&mut self, range: Range<usize>, with: impl AsRef<[u8]>) {
        let with = self.say(|text| text.extend_from_slice(with.as_ref()));
        self.list.push(Edit { range, with });
    }

    /// Gives `member` another value, a JSON text.
    pub fn value(&mut self, member: &Member, with: impl AsRef<[u8]>) {
        self.replace(member.value.clone(), with);
    }

    /// Gives `member` another name.
    pub fn rename(&mut self, member: &Member, name: &str) {
        let with = self.say(|text| json::string(text, name));
        self.list.push(Edit { range: member.name.clone(), with });
    }

    /// Removes `member`, one of `members`, with its comma.
    pub fn cut(&mut self, members: &Members, member: &Member) {
        if let Some(at) = members.iter().position(|other| other == member) {
            self.object(members).cut(members, at);
        }
    }

    /// Removes every member called `name`, however its letters are escaped. Says whether there was one.
    pub fn remove(&mut self, body: &[u8], members: &Members, name: &str) -> bool {
        let mut any = false;
        for (at, _) in members.all(body, name) {
            self.object(members).cut(members, at);
            any = true;
        }
        any
    }

    /// As [`remove`](Self::remove), for several names in one pass.
    pub(super) fn remove_all(&mut self, body: &[u8], members: &Members, names: &[&str]) {
        for (at, member) in members.iter().enumerate() {
            if names.iter().any(|name| member.is(body, name)) {
                self.object(members).cut(members, at);
            }
        }
    }

    /// Adds a member, `value` a JSON text, at the object's end. The name must need no escapes.
    pub fn append(&mut self, members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        let insert = self.insert(name, |text| text.extend_from_slice(value.as_ref()));
        self.object(members).tail.extend(insert);
    }

    /// Adds a member, `value` a JSON text, at the object's start, behind those that were added there before. The name must
    /// need no escapes.
    pub fn prepend(&mut self, members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        let with = self.say(|text| {
            named(text, name);
            text.extend_from_slice(value.as_ref());
            text.extend_from_slice(b",");
        });
        self.object(members).head.push(Insert { name, with });
    }

    /// Makes `value`, a JSON text, the value of the one member called `name`: replaces the first, removes others,
    /// appends it if there is none.
    pub fn set(&mut self, body: &[u8], members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        self.write(body, members, name, |text| text.extend_from_slice(value.as_ref()));
    }

    /// As [`set`](Self::set), with a value that `write` appends to a buffer. If that is nothing, nothing is set.
    pub fn write(&mut self, body: &[u8], members: &Members, name: &'static str, write: impl FnOnce(&mut BytesMut)) {
        let mut found = members.all(body, name);
        let Some((first, member)) = found.next() else {
            if let Some(insert) = self.insert(name, write) {
                let tail = &mut self.object(members).tail;
                tail.retain(|insert| insert.name != name);
                tail.push(insert);
            }
            return;
        };
        let with = self.say(write);
        if with.is_empty() {
            return;
        }
        if let Some(object) = self.objects.iter_mut().find(|object| object.start == members.start()) {
            object.cuts.retain(|cut| cut.index != first);
        }
        self.list.push(Edit { range: member.value.clone(), with });
        for (at, _) in found {
            self.object(members).cut(members, at);
        }
    }

    /// Says a member for an object's end, unless `write` writes no value.
    fn insert(&mut self, name: &'static str, write: impl FnOnce(&mut BytesMut)) -> Option<Insert> {
        let mut value = 0;
        let with = self.say(|text| {
            text.extend_from_slice(b",");
            named(text, name);
            value = text.len();
            write(text);
        });
        if with.end == value {
            self.text.truncate(with.start);
            return None;
        }
        Some(Insert { name, with })
    }

    /// As [`set`](Self::set), with a text. Where the body says just that already, nothing is done.
    pub fn set_text(&mut self, body: &[u8], members: &Members, name: &'static str, text: &str) {
        let mut found = members.all(body, name).map(|(_, member)| member.bytes(body));
        let (only, more) = (found.next(), found.next());
        let inside = only.and_then(|json| json.strip_prefix(b"\"")?.strip_suffix(b"\""));
        let said = more.is_none() && inside == Some(text.as_bytes()) && !text.contains('\\');
        // Another edit may have changed it.
        if !(said && self.is_empty()) {
            self.write(body, members, name, |out| json::string(out, text));
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.objects.iter().all(Object::is_empty)
    }

    /// The edited body, in order: a small one in one piece, which costs less than many; a large one as slices of `body`
    /// and of what is new, without a copy. Afterwards there is nothing more to do.
    pub fn apply(&mut self, body: &Bytes) -> SmallVec<[Bytes; 1]> {
        if self.is_empty() {
            self.clear();
            return smallvec![body.clone()];
        }
        self.settle();
        let mut parts = SmallVec::new();
        if body.len() > LARGEST_COPY {
            let new = std::mem::take(&mut self.text).freeze();
            self.pieces(body.len(), |piece| match piece {
                Piece::Old(range) => parts.push(body.slice(range)),
                Piece::New(range) => parts.push(new.slice(range)),
            });
        } else {
            // With not a byte to spare it need not be moved, nor its size be kept beside it.
            let mut len = 0;
            self.pieces(body.len(), |piece| len += piece.len());
            let mut whole = BytesMut::with_capacity(len);
            self.copy(body, &mut whole);
            parts.push(whole.freeze());
        }
        self.clear();
        parts
    }

    /// As [`apply`](Self::apply), but appends the edited body to `out`.
    pub fn apply_to(&mut self, body: &[u8], out: &mut BytesMut) {
        self.settle();
        out.reserve(body.len() + self.text.len());
        self.copy(body, out);
        self.clear();
    }

    fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.objects.clear();
    }

    fn copy(&self, body: &[u8], out: &mut BytesMut) {
        self.pieces(body.len(), |piece| {
            let part = match piece {
                Piece::Old(range) => body.get(range),
                Piece::New(range) => self.text.get(range),
            };
            out.extend_from_slice(part.unwrap_or_default());
        });
    }

    /// Tells the parts of the edited body in order. Edits have been settled.
    #[inline]
    fn pieces(&self, len: usize, mut each: impl FnMut(Piece)) {
        let mut done = 0;
        for Edit { range, with } in &self.list {
            debug_assert!(range.start <= range.end && range.end <= len, "an edit of another body");
            if range.start < done || range.end < range.start || range.end > len {
                continue;
            }
            if done < range.start {
                each(Piece::Old(done..range.start));
            }
            if !with.is_empty() {
                each(Piece::New(with.clone()));
            }
            done = range.end;
        }
        if done < len {
            each(Piece::Old(done..len));
        }
    }

    /// Turns all edits into replacements, in the order of the body.
    fn settle(&mut self) {
        for object in &self.objects {
            object.settle(self.text.len(), &mut self.list);
        }
        // At one place insertions come first, in the order of the list; then what reaches farthest, the last made first, so
        // that it voids the others. Text only grows, so its place tells the order.
        self.list.sort_by_key(|Edit { range, with }| {
            let replacement = (!range.is_empty()).then_some((range.end, with.start, with.end));
            (range.start, replacement.is_some(), Reverse(replacement))
        });
    }

    /// Adds to the new text; says where it stands.
    #[inline]
    fn say(&mut self, write: impl FnOnce(&mut BytesMut)) -> Range<usize> {
        if self.text.capacity() == 0 {
            self.text.reserve(FIRST_TEXT);
        }
        let start = self.text.len();
        write(&mut self.text);
        start..self.text.len()
    }

    /// The edits of the object whose members these are, known by its opening brace.
    fn object(&mut self, members: &Members) -> &mut Object {
        let at = self.objects.iter().position(|object| object.start == members.start()).unwrap_or_else(|| {
            let last = members.iter().last().map_or(members.start() + 1, |last| last.value.end);
            self.objects.push(Object { start: members.start(), last, count: members.len(), ..Object::default() });
            self.objects.len() - 1
        });
        &mut self.objects[at]
    }
}

/// Up to here a body is copied rather than cut to slices, in bytes.
const LARGEST_COPY: usize = 16 * 1024;
/// Room for a usual answer's additions, in bytes.
const FIRST_TEXT: usize = 640;

/// A part of the edited body: a range of the old bytes or of the new text.
enum Piece {
    Old(Range<usize>),
    New(Range<usize>),
}

impl Piece {
    fn len(&self) -> usize {
        let (Self::Old(range) | Self::New(range)) = self;
        range.len()
    }
}

/// What becomes of one object's members.
#[derive(Clone, Debug, Default)]
struct Object {
    /// The opening brace.
    start: usize,
    /// The end of the last member, or of the opening brace.
    last: usize,
    count: usize,
    /// By number, each once.
    cuts: SmallVec<[Cut; 2]>,
    head: SmallVec<[Insert; 1]>,
    tail: SmallVec<[Insert; 4]>,
}

/// A removed member.
#[derive(Clone, Debug)]
struct Cut {
    index: usize,
    /// From its name to the end of its value.
    range: Range<usize>,
    /// The end of the member before it.
    before: usize,
    /// The start of the member behind it.
    after: Option<usize>,
}

/// An added member, which stands in the new text with a comma: at the object's end with the one before it, at its start
/// with the one behind it.
#[derive(Clone, Debug)]
struct Insert {
    name: &'static str,
    with: Range<usize>,
}

impl Object {
    fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.head.is_empty() && self.tail.is_empty()
    }

    fn cut(&mut self, members: &Members, index: usize) {
        let Err(at) = self.cuts.binary_search_by_key(&index, |cut| cut.index) else { return };
        let mut around = members.iter().skip(index.saturating_sub(1));
        let before = if index == 0 { self.start + 1 } else { around.next().map_or(self.start + 1, |member| member.value.end) };
        let Some(member) = around.next() else { return };
        let range = member.name.start..member.value.end;
        let after = around.next().map(|member| member.name.start);
        self.cuts.insert(at, Cut { index, range, before, after });
    }

    /// Turns the object's edits into replacements of ranges, commas included. `now` is where the new text ends.
    fn settle(&self, now: usize, list: &mut SmallVec<[Edit; 8]>) {
        let kept = self.count > self.cuts.len();
        // A comma stands between two: not where the object ends, nor where it begins.
        let head = self.head.iter().enumerate().map(|(at, insert)| {
            let bare = !kept && self.tail.is_empty() && at + 1 == self.head.len();
            (self.start + 1, insert.with.start..insert.with.end - usize::from(bare))
        });
        let tail = self.tail.iter().enumerate().map(|(at, insert)| {
            let bare = !kept && at == 0;
            (self.last, insert.with.start + usize::from(bare)..insert.with.end)
        });
        for (at, with) in head.chain(tail) {
            match list.last_mut() {
                // What was said in one go is written in one.
                Some(Edit { range, with: before }) if *range == (at..at) && before.end == with.start => before.end = with.end,
                _ => list.push(Edit { range: at..at, with }),
            }
        }
        // Neighbours go together: with the comma behind them, or at the end with the one before.
        for run in self.cuts.chunk_by(|one, next| one.index + 1 == next.index) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let range = match last.after {
                Some(after) => first.range.start..after,
                None if first.index > 0 => first.before..last.range.end,
                None => first.range.start..last.range.end,
            };
            list.push(Edit { range, with: now..now });
        }
    }
}

/// Writes a member's name.
#[inline]
fn named(text: &mut BytesMut, name: &str) {
    text.extend_from_slice(b"\"");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &'static str, edit: impl FnOnce(&[u8], &Members, &mut Edits)) -> String {
        let body = Bytes::from_static(body.as_bytes());
        let members = Members::scan(&body).unwrap();
        let mut edits = Edits::default();
        edit(&body, &members, &mut edits);
        String::from_utf8(edits.apply(&body).concat()).unwrap()
    }

    fn without(body: &'static str, names: &[&str]) -> String {
        edited(body, |body, members, edits| names.iter().for_each(|name| assert!(edits.remove(body, members, name))))
    }

    #[test]
    fn removed_members_take_their_commas() {
        let body = r#"{ "a" : 1 , "b":2, "c":3 }"#;
        assert_eq!(without(body, &["a"]), r#"{ "b":2, "c":3 }"#);
        assert_eq!(without(body, &["b"]), r#"{ "a" : 1 , "c":3 }"#);
        assert_eq!(without(body, &["c"]), r#"{ "a" : 1 , "b":2 }"#);
        assert_eq!(without(body, &["b", "a"]), r#"{ "c":3 }"#);
        assert_eq!(without(body, &["c", "b"]), r#"{ "a" : 1 }"#);
        assert_eq!(without(body, &["a", "c"]), r#"{ "b":2 }"#);
        assert_eq!(without(body, &["a", "c", "b"]), "{  }");
        assert_eq!(without(r#"{"a":1,"\u0061":2}"#, &["a"]), "{}");
    }

    #[test]
    fn inserted_members_bring_theirs() {
        let around = |body, all: bool| {
            edited(body, |_, members, edits| {
                edits.append(members, "y", "1");
                edits.prepend(members, "x", "0");
                edits.append(members, "z", "2");
                members.iter().filter(|_| all).for_each(|member| edits.cut(members, member));
            })
        };
        assert_eq!(around("{ }", false), r#"{"x":0,"y":1,"z":2 }"#);
        assert_eq!(around(r#"{"a":[]}"#, false), r#"{"x":0,"a":[],"y":1,"z":2}"#);
        assert_eq!(around(r#"{"a":[],"b":{}}"#, true), r#"{"x":0,"y":1,"z":2}"#);
    }

    #[test]
    fn set_leaves_one() {
        let set = |body| {
            edited(body, |body, members, edits| {
                edits.set(body, members, "m", "0");
                edits.remove(body, members, "m");
                edits.set(body, members, "m", "1");
            })
        };
        assert_eq!(set(r#"{"m":7,"a":2,"\u006d":8}"#), r#"{"m":1,"a":2}"#);
        assert_eq!(set(r#"{"a":2}"#), r#"{"a":2,"m":1}"#);
    }

    #[test]
    fn what_is_said_already_stays() {
        let set = |body, text| edited(body, |body, members, edits| edits.set_text(body, members, "m", text));
        assert_eq!(set(r#"{"m": "x"}"#, "x"), r#"{"m": "x"}"#);
        assert_eq!(set(r#"{"m":"y"}"#, "x"), r#"{"m":"x"}"#);
        assert_eq!(set(r#"{}"#, "x"), r#"{"m":"x"}"#);
        assert_eq!(set(r#"{"m":"x","m":"x"}"#, "x"), r#"{"m":"x"}"#);
        assert_eq!(set(r#"{"m":"\\u0078"}"#, r"\u0078"), r#"{"m":"\\u0078"}"#);
        assert_eq!(set(r#"{"m":"a\\b"}"#, r"a\\b"), r#"{"m":"a\\\\b"}"#);
        let twice = edited(r#"{"m":"x"}"#, |body, members, edits| {
            edits.set_text(body, members, "m", "y");
            edits.set_text(body, members, "m", "x");
        });
        assert_eq!(twice, r#"{"m":"x"}"#);
    }

    #[test]
    fn edits_inside_what_goes_are_void() {
        let body = r#"{"a":{"b":1,"c":2},"d":3}"#;
        let nested = |edit: fn(&Members, &Member, &mut Edits)| {
            edited(body, |body, members, edits| {
                let a = members.find(body, "a").unwrap();
                let inner = Members::of(body, &a.value);
                edits.remove(body, &inner, "b");
                edits.append(&inner, "e", "4");
                edits.rename(a, "A");
                edit(members, a, edits);
            })
        };
        assert_eq!(nested(|_, _, _| {}), r#"{"A":{"c":2,"e":4},"d":3}"#);
        assert_eq!(nested(|_, a, edits| edits.value(a, "5")), r#"{"A":5,"d":3}"#);
        assert_eq!(nested(|members, a, edits| edits.cut(members, a)), r#"{"d":3}"#);
    }
}
