//! What an element of an open union is.

use serde::{Deserialize, Deserializer};

use super::{Str, Wire, wire};
use crate::dialect::scan::Walk;

/// The `type` of an object, if it has one: looked at before the rest is read by whoever knows that type.
#[derive(Clone, Debug, Default)]
pub struct Tag<'a>(pub Option<Str<'a>>);

wire! {
    /// An object with a type.
    pub struct Tagged<'a> {
        /// The type.
        pub kind: Str<'a> = "type",
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tag<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Tagged::deserialize(deserializer).map(|object| Self(object.kind))
    }
}

impl<'a> Wire<'a> for Tag<'a> {
    fn walk(walk: &mut Walk<'a>, text: &'a str) -> Option<Self> {
        // All else is gone over without a look, which is what this type is for.
        let (mut kind, mut taken) = (None, walk.peek() == Some(b'{'));
        walk.object(|walk, name| {
            if *name.text() == *b"type" {
                taken &= super::member(&mut kind, walk, text);
            }
        });
        taken.then_some(Self(kind))
    }
}
