//! Wire types read in one walk.

use serde::Deserialize;

use super::{Apart, Number, Raw, Str, StrOr, Unknown};
use crate::dialect::scan::{Name, Walk};

/// What [`read`](super::read) reads: in one walk, or by `serde` if that takes nothing.
pub trait Wire<'a>: Deserialize<'a> {
    /// Reads the value that `walk` stands before, in `text`, and walks over it.
    ///
    /// None for what is not surely the same to `serde`, which then decides. What is given is worth something only if the whole
    /// text is sound, which the walk knows in the end.
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self>;
}

/// Reads a member's value; of several by one name the last counts. Says whether it was taken.
#[inline]
pub(in crate::dialect) fn member<'a, T: Wire<'a>>(member: &mut Option<T>, walk: &mut Walk<'a>, text: &'a str) -> bool {
    Wire::walk(walk, text).map(|value| *member = value).is_some()
}

/// Carries a member that nobody asked for. Says whether it was taken.
pub(in crate::dialect) fn unknown<'a>(members: &mut Unknown<'a>, name: &Name<'a>, walk: &mut Walk<'a>, text: &'a str) -> bool {
    name.str(text).zip(Raw::walk(walk, text)).map(|member| members.push(member)).is_some()
}

/// Reads an array's elements, and gives each to `take`. Says whether all were taken.
#[inline]
pub(in crate::dialect) fn elements<'a, T: Wire<'a>>(walk: &mut Walk<'a>, text: &'a str, mut take: impl FnMut(T)) -> bool {
    let mut taken = walk.peek() == Some(b'[');
    walk.elements(|walk| taken &= T::walk(walk, text).map(&mut take).is_some());
    taken
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    #[inline]
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        match walk.peek() {
            Some(b'n') => (walk.skip() == b"null").then_some(None),
            _ => T::walk(walk, text).map(Some),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Box<T> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        T::walk(walk, text).map(Self::new)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        let mut list = Self::new();
        elements(walk, text, |element| list.push(element)).then_some(list)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for StrOr<'a, T> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        match walk.peek() {
            Some(b'"') => Str::walk(walk, text).map(Self::Str),
            _ => T::walk(walk, text).map(Self::Or),
        }
    }
}

impl<'a> Wire<'a> for Str<'a> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        walk.string(text).map(Self)
    }
}

impl<'a> Wire<'a> for Raw<'a> {
    #[inline]
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        let start = walk.at();
        let end = start + walk.skip().len();
        text.get(start..end).filter(|value| !value.is_empty()).map(Self)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Apart<'a, T> {
    #[inline]
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        let start = walk.at();
        let taken = T::walk(walk, text);
        if walk.at() == start {
            walk.skip();
        }
        text.get(start..walk.at()).map(|value| Self { raw: Raw(value), taken })
    }
}

impl<'a> Wire<'a> for Number<'a> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        Raw::walk(walk, text).and_then(|raw| Self::read(raw.get()))
    }
}

impl<'a> Wire<'a> for bool {
    fn walk(walk: &mut Walk<'a>, _: &'a str) -> Option<Self> {
        match walk.skip() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }
}

impl<'a> Wire<'a> for u32 {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        Raw::walk(walk, text).and_then(|raw| raw.get().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::wire::{self, Tag, wire};

    wire! {
        /// Something of everything.
        pub struct Thing<'a> {
            pub text: Str<'a> = "text",
            pub number: Number<'a> = "number",
            pub index: u32 = "index",
            pub stream: bool = "stream",
            pub raw: Raw<'a> = "raw",
            pub list: Vec<Raw<'a>> = "list",
            pub stop: StrOr<'a, Vec<Str<'a>>> = "stop",
            pub things: Vec<Thing<'a>> = "things",
        }
    }

    fn walked<'a, T: Wire<'a>>(text: &'a str) -> Option<T> {
        Walk::whole(text, |walk| T::walk(walk, text))
    }

    #[test]
    fn a_walk_takes_what_serde_takes() {
        for text in [
            "{}",
            " {\n} ",
            r#"{"text":"a","text":null,"number":1e3,"number":-0.50}"#,
            r#"{"text":"\u00e9\n\"ü","te\u0078t":"b","index":7,"stream":false}"#,
            r#"{"raw":null,"raw":[ 1, {"a":"\ud800"} ] ,"list":[null,"x", {} ]}"#,
            r#"{"stop":"a","other":1e999,"\u006fdd":[],"other":"again"}"#,
            r#"{"stop":["a","\/"],"things":[{"things":[{}]},{"text":"ß"}],"list":[]}"#,
        ] {
            let told = serde_json::from_str::<Thing<'_>>(text).map(|thing| format!("{thing:?}")).unwrap();
            assert_eq!(walked::<Thing<'_>>(text).map(|thing| format!("{thing:?}")), Some(told), "{text}");
        }
    }

    #[test]
    fn a_walk_takes_nothing_else() {
        for text in [
            "",
            "null",
            "[]",
            "{} {}",
            "{\"text\":\"a\"",
            r#"{"text":1}"#,
            r#"{"text":"\ud800"}"#,
            r#"{"\ud800":1}"#,
            r#"{"text":1,"text":"a"}"#,
            r#"{"number":"1"}"#,
            r#"{"number":01}"#,
            r#"{"index":-1}"#,
            r#"{"index":1.0}"#,
            r#"{"index":4294967296}"#,
            r#"{"stream":0}"#,
            r#"{"stream":nul}"#,
            r#"{"list":{}}"#,
            r#"{"stop":{}}"#,
            r#"{"stop":[1]}"#,
            r#"{"things":[[]]}"#,
            r#"{"things":[null]}"#,
        ] {
            assert!(walked::<Thing<'_>>(text).is_none(), "{text}");
            assert!(wire::read::<Thing<'_>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_is_read_past_everything_else() {
        assert_eq!(wire::read::<Tag<'_>>(r#"{"type":"a","text":5,"type":"b"}"#).unwrap().0.as_deref(), Some("b"));
        assert!(wire::read::<Tag<'_>>(r#"{"text":5}"#).unwrap().0.is_none());
        assert_eq!(wire::read::<Tag<'_>>(r#"{"type":5}"#).unwrap_err().path, "/type");
        assert!(wire::read::<Tag<'_>>("[]").is_err());
    }
}
