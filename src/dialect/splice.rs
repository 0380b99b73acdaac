//! Edits of a body that leave the rest of its bytes alone.

use std::{cmp::Reverse, ops::Range};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

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
    list: SmallVec<[(Range<usize>, Bytes); 4]>,
    objects: SmallVec<[Object; 1]>,
}

impl Edits {
    /// Replaces `range` by `with`; an empty range inserts, an empty `with` removes. Nothing looks after commas here.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Bytes>) {
        self.list.push((range, with.into()));
    }

    /// Gives `member` another value, a JSON text.
    pub fn value(&mut self, member: &Member, with: impl Into<Bytes>) {
        self.replace(member.value.clone(), with);
    }

    /// Gives `member` another name.
    pub fn rename(&mut self, member: &Member, name: &str) {
        let mut text = BytesMut::new();
        json::string(&mut text, name);
        self.replace(member.name.clone(), text);
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
        for (at, _) in members.iter().enumerate().filter(|(_, member)| member.is(body, name)) {
            self.object(members).cut(members, at);
            any = true;
        }
        any
    }

    /// Adds a member, `value` a JSON text, at the object's end.
    pub fn append(&mut self, members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        self.object(members).tail.push(Insert::new(name, value.as_ref()));
    }

    /// Adds a member, `value` a JSON text, at the object's start, behind those that were added there before.
    pub fn prepend(&mut self, members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        self.object(members).head.push(Insert::new(name, value.as_ref()));
    }

    /// Makes `value`, a JSON text, the value of the one member called `name`: replaces the first, removes others,
    /// appends it if there is none.
    pub fn set(&mut self, body: &[u8], members: &Members, name: &'static str, value: impl AsRef<[u8]>) {
        let mut found = false;
        for (at, member) in members.iter().enumerate().filter(|(_, member)| member.is(body, name)) {
            if std::mem::replace(&mut found, true) {
                self.object(members).cut(members, at);
            } else {
                self.object(members).cuts.retain(|cut| cut.index != at);
                self.value(member, Bytes::copy_from_slice(value.as_ref()));
            }
        }
        if !found {
            let tail = &mut self.object(members).tail;
            tail.retain(|insert| insert.name != name);
            tail.push(Insert::new(name, value.as_ref()));
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.objects.iter().all(Object::is_empty)
    }

    /// The edited body as slices of `body` and of the replacements, in order, without a copy.
    pub fn apply(self, body: &Bytes) -> SmallVec<[Bytes; 8]> {
        let Self { mut list, objects } = self;
        objects.iter().for_each(|object| object.settle(&mut list));
        let mut order: SmallVec<[usize; 8]> = (0..list.len()).collect();
        // At one place insertions come first, in the order they were made; then what reaches farthest, the last made
        // first, so that it voids the others.
        order.sort_by_key(|&at| {
            let range = &list[at].0;
            let made = if range.is_empty() { (0, Reverse(0)) } else { (1, Reverse(at)) };
            (range.start, made.0, Reverse(range.end), made.1)
        });
        let mut parts = SmallVec::new();
        let mut done = 0;
        for at in order {
            let (range, with) = std::mem::take(&mut list[at]);
            debug_assert!(range.start <= range.end && range.end <= body.len(), "an edit of another body");
            if range.start < done || range.end < range.start || range.end > body.len() {
                continue;
            }
            if done < range.start {
                parts.push(body.slice(done..range.start));
            }
            if !with.is_empty() {
                parts.push(with);
            }
            done = range.end;
        }
        if done < body.len() {
            parts.push(body.slice(done..));
        }
        parts
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

/// What becomes of one object's members.
#[derive(Clone, Debug, Default)]
struct Object {
    /// The opening brace.
    start: usize,
    /// The end of the last member, or of the opening brace.
    last: usize,
    count: usize,
    /// By number, each once.
    cuts: SmallVec<[Cut; 4]>,
    head: SmallVec<[Insert; 1]>,
    tail: SmallVec<[Insert; 1]>,
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

/// An added member.
#[derive(Clone, Debug)]
struct Insert {
    name: &'static str,
    value: SmallVec<[u8; 32]>,
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

    /// Turns the object's edits into replacements of ranges, commas included.
    fn settle(&self, list: &mut SmallVec<[(Range<usize>, Bytes); 4]>) {
        let kept = self.count > self.cuts.len();
        if !self.head.is_empty() {
            let comma = if kept || !self.tail.is_empty() { "," } else { "" };
            list.push((self.start + 1..self.start + 1, text("", &self.head, comma)));
        }
        // Neighbours go together: with the comma behind them, or at the end with the one before.
        for run in self.cuts.chunk_by(|one, next| one.index + 1 == next.index) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let range = match last.after {
                Some(after) => first.range.start..after,
                None if first.index > 0 => first.before..last.range.end,
                None => first.range.start..last.range.end,
            };
            list.push((range, Bytes::new()));
        }
        if !self.tail.is_empty() {
            list.push((self.last..self.last, text(if kept { "," } else { "" }, &self.tail, "")));
        }
    }
}

impl Insert {
    fn new(name: &'static str, value: &[u8]) -> Self {
        Self { name, value: value.into() }
    }
}

fn text(before: &str, inserts: &[Insert], after: &str) -> Bytes {
    let mut text = BytesMut::with_capacity(inserts.iter().map(|insert| insert.name.len() + insert.value.len() + 4).sum::<usize>() + 2);
    text.extend_from_slice(before.as_bytes());
    for (at, Insert { name, value }) in inserts.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(b",");
        }
        json::string(&mut text, name);
        text.extend_from_slice(b":");
        text.extend_from_slice(value);
    }
    text.extend_from_slice(after.as_bytes());
    text.freeze()
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
