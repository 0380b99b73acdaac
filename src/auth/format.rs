//! What a key looks like.

use std::{fmt, sync::Arc};

use crate::stage::KeyKind;

/// The shape of keys: `<namespace>_<version>_<tag>_<kid>_<secret>`, by default `aistats_v1_k_...`.
///
/// The tag is `k` or `sk` for inference and `mk` for management; the kid is 12 base62 characters and names the key, the
/// secret opens it. Generated secrets are 40 base62 characters; read are up to 200, `_` among them.
///
/// ```
/// use portcullis::{auth::KeyFormat, stage::KeyKind};
///
/// let format = KeyFormat::default();
/// let text = format.generate(KeyKind::Inference)?;
/// let key = format.parse(text.expose()).unwrap();
/// assert_eq!((key.kind(), key.kid().len()), (KeyKind::Inference, 12));
/// # Ok::<(), portcullis::auth::NoRandomness>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFormat {
    namespace: Arc<str>,
    version: Arc<str>,
}

/// A text that has a key's shape. Whether it opens anything is another question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParsedKey<'a> {
    kid: &'a str,
    kind: KeyKind,
    secret: &'a str,
}

/// A key in plain text, shown once. `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// A namespace or version that no key could be parsed with: empty, or not of letters and digits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKeyFormat;

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

impl KeyFormat {
    /// A format of one's own.
    ///
    /// # Errors
    /// Either part is empty or has other characters than ASCII letters and digits.
    pub fn new(namespace: &str, version: &str) -> Result<Self, InvalidKeyFormat> {
        let valid = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if valid(namespace) && valid(version) {
            Ok(Self { namespace: namespace.into(), version: version.into() })
        } else {
            Err(InvalidKeyFormat)
        }
    }

    /// Reads a key. `None` if the text has not this shape.
    pub fn parse<'a>(&self, text: &'a str) -> Option<ParsedKey<'a>> {
        let rest = text.strip_prefix(&*self.namespace)?.strip_prefix('_')?;
        let rest = rest.strip_prefix(&*self.version)?.strip_prefix('_')?;
        let (kind, rest) = TAGS.iter().find_map(|(tag, kind)| Some((*kind, rest.strip_prefix(tag)?)))?;
        let (kid, rest) = rest.split_at_checked(KID)?;
        let secret = rest.strip_prefix('_')?;
        let whole = kid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let sendable = !secret.is_empty() && secret.len() <= LONGEST_SECRET && secret.bytes().all(|byte| TOKEN[usize::from(byte)]);
        (whole && sendable).then_some(ParsedKey { kid, kind, secret })
    }

    /// Reads a key that came as bytes.
    pub(super) fn parse_bytes<'a>(&self, text: &'a [u8]) -> Option<ParsedKey<'a>> {
        self.parse(std::str::from_utf8(text).ok()?)
    }

    /// A new key, from the system's random bytes.
    ///
    /// # Errors
    /// There are none to be had.
    pub fn generate(&self, kind: KeyKind) -> Result<KeyText, NoRandomness> {
        let kid = base62::<KID>()?;
        self.generate_secret(kind, &kid)
    }

    /// A new secret for the key `kid`.
    pub(super) fn generate_secret(&self, kind: KeyKind, kid: &str) -> Result<KeyText, NoRandomness> {
        let tag = match kind {
            KeyKind::Inference => "k",
            KeyKind::Management => "mk",
        };
        let secret = base62::<SECRET>()?;
        Ok(KeyText(format!("{}_{}_{tag}_{kid}_{secret}", self.namespace, self.version)))
    }
}

impl Default for KeyFormat {
    fn default() -> Self {
        Self { namespace: "aistats".into(), version: "v1".into() }
    }
}

impl<'a> ParsedKey<'a> {
    /// The key's id.
    pub fn kid(&self) -> &'a str {
        self.kid
    }

    /// What its tag says it is for.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What opens it.
    pub fn secret(&self) -> &'a str {
        self.secret
    }
}

impl KeyText {
    /// The plain text. Show it once and keep it nowhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParsedKey({}, <redacted>)", self.kid)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(<redacted>)")
    }
}

impl fmt::Display for InvalidKeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key's namespace and version are ASCII letters and digits")
    }
}

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gave no random bytes")
    }
}

impl std::error::Error for InvalidKeyFormat {}
impl std::error::Error for NoRandomness {}

/// What a tag says that a key is for.
const TAGS: [(&str, KeyKind); 3] = [("k_", KeyKind::Inference), ("sk_", KeyKind::Inference), ("mk_", KeyKind::Management)];

/// What a bearer token is made of (RFC 6750): a comma or a space would be a second credential.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        byte += 1;
    }
    table
};

/// `N` random base62 characters.
fn base62<const N: usize>() -> Result<String, NoRandomness> {
    let mut text = String::with_capacity(N);
    let mut bytes = [0; 64];
    while text.len() < N {
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        text.extend(bytes.iter().filter_map(|byte| digit(*byte)).take(N - text.len()));
    }
    Ok(text)
}

/// A byte's base62 digit. The bytes past the last whole round of 62 are rejected: a remainder would favour some digits.
fn digit(byte: u8) -> Option<char> {
    const ROUNDS: u8 = u8::MAX / 62 * 62;
    if byte >= ROUNDS {
        return None;
    }
    let digit = byte % 62;
    Some(char::from(match digit {
        0..10 => b'0' + digit,
        10..36 => b'A' + (digit - 10),
        _ => b'a' + (digit - 36),
    }))
}

const KID: usize = 12;
const SECRET: usize = 40;
const LONGEST_SECRET: usize = 200;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEY: &str = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11";

    #[test]
    fn a_key_has_five_parts_and_the_last_may_hold_more() {
        let format = KeyFormat::default();
        let key = format.parse(KEY).unwrap();
        assert_eq!((key.kid(), key.kind(), key.secret()), ("kidAAAA00001", KeyKind::Inference, &KEY[26..]));
        assert_eq!(format.parse("aistats_v1_sk_kidAAAA00001_with_under_scores").unwrap().secret(), "with_under_scores");
        assert_eq!(format.parse("aistats_v1_mk_kidAAAA00001_s").unwrap().kind(), KeyKind::Management);
    }

    #[test]
    fn f002_other_shapes_are_not_ours() {
        let long = format!("aistats_v1_k_kidAAAA00001_{}", "s".repeat(201));
        for text in [
            "",
            "_",
            "____",
            "sk-proj-abc",
            "aistats",
            "aistats_v1_k_kidAAAA00001",
            "aistats_v1_k_kidAAAA00001_",
            "aistats_v2_k_kidAAAA00001_secret",
            "Aistats_v1_k_kidAAAA00001_secret",
            "other_v1_k_kidAAAA00001_secret",
            "aistats_v1_x_kidAAAA00001_secret",
            "aistats_v1_K_kidAAAA00001_secret",
            "aistats_v1_k_kidAAAA0001_secret",
            "aistats_v1_k_kidAAAA000011_secret",
            "aistats_v1_k_kidAAAA0000-_secret",
            "aistats_v1_k_kidAAAA0000é_secret",
            "aistats_v1_k_kidAAAA00001_sec ret",
            "aistats_v1_k_kidAAAA00001_a,Bearer",
            "aistats_v1_k_kidAAAA00001_a'b",
            " aistats_v1_k_kidAAAA00001_secret",
            &long,
        ] {
            assert_eq!(KeyFormat::default().parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_has_its_own_format() {
        let format = KeyFormat::new("acme", "v2").unwrap();
        assert!(format.parse("acme_v2_k_kidAAAA00001_secret").is_some());
        assert!(format.parse(KEY).is_none());
        assert_eq!(KeyFormat::new("ac_me", "v2"), Err(InvalidKeyFormat));
        assert_eq!(KeyFormat::new("acme", ""), Err(InvalidKeyFormat));
    }

    #[test]
    fn generated_keys_have_the_shape_and_differ() {
        let format = KeyFormat::default();
        for kind in [KeyKind::Inference, KeyKind::Management] {
            let (one, two) = (format.generate(kind).unwrap(), format.generate(kind).unwrap());
            let key = format.parse(one.expose()).unwrap();
            assert_eq!((key.kind(), key.kid().len(), key.secret().len()), (kind, 12, 40));
            assert_ne!(one, two);
        }
        assert!(format.generate(KeyKind::Inference).unwrap().expose().starts_with("aistats_v1_k_"));
    }

    #[test]
    fn every_digit_stands_for_as_many_bytes() {
        let mut counts = BTreeMap::new();
        (0..=u8::MAX).filter_map(digit).for_each(|digit| *counts.entry(digit).or_insert(0) += 1);
        assert_eq!(counts.len(), 62);
        assert!(counts.keys().all(char::is_ascii_alphanumeric));
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn f081_debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", KeyFormat::default().parse(KEY), KeyText(KEY.to_owned()));
        assert!(!shown.contains("secretBBBB"), "{shown}");
    }
}
