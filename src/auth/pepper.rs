//! What a secret is stored as.

use std::{error::Error, fmt, str::FromStr, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq};

/// The secret that every key is hashed with, kept apart from the store: a stolen store opens nothing.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

/// The peppers in use. New keys are hashed with the first; keys hashed with the others still open.
///
/// To rotate, put a new one first and keep the old until the keys that were made with it are rotated or gone.
#[derive(Clone)]
pub struct Peppers(Arc<[Pepper]>);

/// `HMAC-SHA256(pepper, secret)`: what a store keeps of a key. As text, lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

/// A pepper of fewer than 16 bytes, or a blank one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakPepper;

/// A text that is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseKeyHashError;

impl Pepper {
    /// A pepper of at least 16 bytes.
    ///
    /// # Errors
    /// It is shorter, or nothing but white space.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, WeakPepper> {
        let secret = secret.as_ref();
        if secret.len() < SHORTEST || secret.trim_ascii().is_empty() {
            return Err(WeakPepper);
        }
        // HMAC is defined for keys of any length: this cannot fail.
        Hmac::new_from_slice(secret).map(Self).map_err(|_| WeakPepper)
    }

    /// What `secret` is stored as.
    pub fn hash(&self, secret: &str) -> KeyHash {
        // The state after the pepper is cloned: the pepper itself is hashed only once.
        KeyHash(self.0.clone().chain_update(secret).finalize().into_bytes().into())
    }
}

impl Peppers {
    /// The pepper that new keys are hashed with.
    pub fn new(current: Pepper) -> Self {
        Self(Arc::new([current]))
    }

    /// Adds an earlier pepper.
    #[must_use]
    pub fn with_earlier(self, earlier: Pepper) -> Self {
        Self(self.0.iter().cloned().chain([earlier]).collect())
    }

    /// What a new key's `secret` is stored as.
    pub fn hash(&self, secret: &str) -> KeyHash {
        self.0.first().map_or(KeyHash([0; 32]), |pepper| pepper.hash(secret))
    }

    /// All that `secret` may be stored as.
    pub(super) fn hashes(&self, secret: &str) -> Hashes {
        self.0.iter().map(|pepper| pepper.hash(secret)).collect()
    }
}

/// One secret under each pepper.
pub(super) type Hashes = SmallVec<[KeyHash; 2]>;

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl From<Pepper> for Peppers {
    fn from(current: Pepper) -> Self {
        Self::new(current)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyHash {
    type Err = ParseKeyHashError;

    fn from_str(text: &str) -> Result<Self, ParseKeyHashError> {
        let mut hash = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(ParseKeyHashError);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(hash))
    }
}

fn nibble(digit: u8) -> Result<u8, ParseKeyHashError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseKeyHashError),
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(<redacted>)")
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peppers({})", self.0.len())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(<redacted>)")
    }
}

impl fmt::Display for WeakPepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pepper has at least {SHORTEST} bytes")
    }
}

impl fmt::Display for ParseKeyHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key's hash is 64 lower-case hex digits")
    }
}

impl Error for WeakPepper {}
impl Error for ParseKeyHashError {}

const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper() -> Pepper {
        Pepper::new("pepper-for-tests").unwrap()
    }

    #[test]
    fn vectors() {
        for (secret, hash) in [
            ("secretBBBB1111secretBBBB1111secretBBBB11", "f10f9c6ce80703363fe29f67967b6d9c7ab4df2c1fee9329e8f8f8a1199f34f1"),
            ("with_under_scores", "4d94f793e3feba59b9e1838481cf3b9f7c0e123e906a6c55700e5bc1531f29fd"),
        ] {
            assert_eq!(pepper().hash(secret).to_string(), hash);
            assert_eq!(hash.parse(), Ok(pepper().hash(secret)));
        }
    }

    #[test]
    fn a_hash_is_64_lower_case_digits() {
        let hash = pepper().hash("s").to_string();
        for text in ["", "f1", &hash[1..], &hash.to_uppercase(), &format!("{hash}0"), &format!("{}é", &hash[2..])] {
            assert_eq!(text.parse::<KeyHash>(), Err(ParseKeyHashError), "{text}");
        }
    }

    #[test]
    fn earlier_peppers_still_open() {
        let new = Pepper::new("another pepper of tests").unwrap();
        let peppers = Peppers::new(new.clone()).with_earlier(pepper());
        assert_eq!(peppers.hash("s"), new.hash("s"));
        assert_eq!(peppers.hashes("s").to_vec(), [new.hash("s"), pepper().hash("s")]);
    }

    #[test]
    fn f084_weak_peppers_are_refused() {
        for weak in ["", "short", "                    "] {
            assert_eq!(Pepper::new(weak).unwrap_err(), WeakPepper);
        }
    }
}
