//! What the dialects' wire types are made of: borrowed strings, numbers kept as written, and objects that keep the
//! members nobody asked for.
//!
//! The types borrow from the body they were read from. `null` and "not there" are the same to them.
//!
//! Each is read in one of two ways that agree: in one [walk](crate::dialect::scan::Walk) over the text, which is quick and
//! says nothing of what it does not take, and by `serde`, which is asked when the walk took nothing and names the place.

mod tag;
mod walk;

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value},
};
use serde_json::value::RawValue;

pub(in crate::dialect) use self::walk::{elements, member, unknown};
pub use self::{tag::Tag, walk::Wire};
use super::scan::Walk;
use crate::fault::Detail;

/// JSON text that is only carried: one value, without white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

/// A value that is read apart: if it is not what it should be, that spoils nothing else.
#[derive(Clone, Debug)]
pub struct Apart<'a, T> {
    /// Its JSON text.
    pub raw: Raw<'a>,
    /// What it says, if the walk took it.
    taken: Option<T>,
}

impl<'a, T: Wire<'a>> Apart<'a, T> {
    /// What it says.
    ///
    /// # Errors
    /// As [`read`]'s.
    pub fn read(self) -> Result<T, Detail> {
        self.taken.map_or_else(|| read(self.raw.get()), Ok)
    }
}

impl<'a, T> From<Raw<'a>> for Apart<'a, T> {
    fn from(raw: Raw<'a>) -> Self {
        Self { raw, taken: None }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for Apart<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(Self::from)
    }
}

/// The members of an object that its type does not name, in order: name and JSON text.
pub type Unknown<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

/// A string, borrowed where it holds no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Text<'a> {
            type Value = Str<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// A number as it was written: `0.70`, `1e3` and integers past 64 bits stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// Takes a value's JSON text, if it is a number.
    pub fn read(text: &'a str) -> Option<Self> {
        matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')).then_some(Self(text))
    }

    /// The number's JSON text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Its nearest floating-point value.
    pub fn value(self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Its value as a count, if it is a non-negative integer (`3`, `3.0`, `3e0`) that 64 bits hold.
    pub fn count(self) -> Option<u64> {
        self.0.parse().ok().or_else(|| {
            let value = self.value();
            (value >= 0.0 && value.fract() == 0.0 && value < 9_007_199_254_740_992.0).then_some(value as u64)
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Raw::<'de>::deserialize(deserializer)?.get();
        Self::read(text).ok_or_else(|| de::Error::invalid_type(de::Unexpected::Other("something else"), &"a number"))
    }
}

/// A value that is either a plain string or something richer.
#[derive(Clone, Debug)]
pub enum StrOr<'a, T> {
    /// The plain form.
    Str(Str<'a>),
    /// The rich form.
    Or(T),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for StrOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Either<'a, T> {
            type Value = StrOr<'a, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list or an object")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(StrOr::Str(Str(Cow::Borrowed(text))))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StrOr::Str(Str(Cow::Owned(text.to_owned()))))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                T::deserialize(value::SeqAccessDeserializer::new(list)).map(StrOr::Or)
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                T::deserialize(value::MapAccessDeserializer::new(object)).map(StrOr::Or)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// Declares a wire object: each member an `Option`, and `unknown` for all others.
///
/// ```text
/// wire! {
///     /// A function that the model may call.
///     pub struct Function<'a> {
///         /// Its name.
///         pub name: Str<'a> = "name",
///     }
/// }
/// ```
macro_rules! wire {
    ($(
        $(#[$attribute:meta])*
        pub struct $name:ident<$life:lifetime> {
            $($(#[$member_attribute:meta])* pub $member:ident: $type:ty = $key:literal,)*
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, Default)]
        pub struct $name<$life> {
            $($(#[$member_attribute])* pub $member: Option<$type>,)*
            /// Members that this type does not name.
            pub unknown: $crate::dialect::wire::Unknown<$life>,
        }

        impl<'de: $life, $life> serde::Deserialize<'de> for $name<$life> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<$life>(std::marker::PhantomData<&$life ()>);
                impl<'de: $life, $life> serde::de::Visitor<'de> for Members<$life> {
                    type Value = $name<$life>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                        let mut value = $name::default();
                        while let Some(key) = object.next_key::<$crate::dialect::wire::Str<'de>>()? {
                            match &*key {
                                $($key => value.$member = object.next_value()?,)*
                                _ => value.unknown.push((key.0, object.next_value()?)),
                            }
                        }
                        Ok(value)
                    }
                }
                deserializer.deserialize_map(Members(std::marker::PhantomData))
            }
        }

        impl<$life> $crate::dialect::wire::Wire<$life> for $name<$life> {
            fn walk(walk: &mut $crate::dialect::scan::Walk<$life>, text: &$life str) -> Option<Self> {
                // Filled where it is handed back from: these are large.
                let mut filled = Some(Self::default());
                let value = filled.as_mut()?;
                let mut taken = walk.peek() == Some(b'{');
                walk.object(|walk, name| {
                    taken &= $crate::dialect::scan::by_name!(name, {
                        $($key => $crate::dialect::wire::member(&mut value.$member, walk, text),)*
                        _ => $crate::dialect::wire::unknown(&mut value.unknown, name, walk, text),
                    });
                });
                if !taken {
                    filled = None;
                }
                filled
            }
        }
    )*};
}
pub(crate) use wire;

/// Reads a wire type from JSON text.
///
/// # Errors
/// Names the place as a JSON Pointer and what was expected there; never repeats the value.
///
/// What is read is large: whoever takes it with a `match` moves it once less than with `map_err` and `?`.
pub fn read<'a, T: Wire<'a>>(text: &'a str) -> Result<T, Detail> {
    // What is wrong, and where, is only looked for when something is.
    match Walk::whole(text, |walk| T::walk(walk, text)) {
        Some(value) => Ok(value),
        None => parse(text),
    }
}

/// Reads it again, and finds out what is wrong.
#[cold]
#[inline(never)]
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Detail> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Detail { path: pointer(error.path()), message: expectation(error.inner()) })?;
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(Detail { path: String::new(), message: expectation(&error) }),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// serde's message without the value that it found, which may be the caller's text.
fn expectation(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match (error.is_data(), text.rsplit_once("expected ")) {
        (true, Some((_, expected))) => format!("expected {expected}"),
        (true, None) => "is not valid".to_owned(),
        (false, _) => format!("is not JSON: {text}"),
    }
}
