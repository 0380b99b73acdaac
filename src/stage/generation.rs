//! The id of a call.

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use ulid::Ulid;

/// A call's id, `G-` and a ULID: unique, and ordered by time.
///
/// The first of our layers that a request reaches sets it in the extensions; a host may set its own before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(Arc<str>);

impl GenerationId {
    /// A new id for a call made at `now`.
    pub fn generate(now: SystemTime) -> Self {
        let mut text = [0u8; 28];
        text[..2].copy_from_slice(b"G-");
        let mut digits = [0u8; 26];
        Ulid::from_datetime(now).array_to_str(&mut digits);
        text[2..].copy_from_slice(&digits);
        Self(std::str::from_utf8(&text).unwrap_or_default().into())
    }

    /// The id that `request` carries, set now if it carries none.
    pub fn of(extensions: &mut http::Extensions) -> Self {
        if let Some(id) = extensions.get::<Self>() {
            return id.clone();
        }
        let id = Self::generate(SystemTime::now());
        extensions.insert(id.clone());
        id
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id's text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// Reads `G-` and a ULID.
impl FromStr for GenerationId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("G-").ok_or(ulid::DecodeError::InvalidLength)?;
        Ulid::from_string(digits).map(|_| Self(text.into()))
    }
}

impl fmt::Debug for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
