//! By what a secret that opened its key is known again.

use siphasher::sip128::{Hash128, SipHasher24};
use subtle::{Choice, ConstantTimeEq};

/// Tags secrets, so that a hot key costs no HMAC.
///
/// A tag is SipHash-2-4 with 128 bits under a random key of this process. That is a message authentication code: without
/// its key nobody makes a second secret with a known tag but by luck, one in 2^128. Neither key nor tag leaves the
/// process's memory. What is stored stays the HMAC under the pepper.
#[derive(Clone)]
pub(super) struct Tagger(Option<SipHasher24>);

/// What stands for a secret in this process.
#[derive(Clone, Copy)]
pub(super) struct Tag([u64; 2]);

impl Tagger {
    /// Tags under a new key. Where the system has no randomness there are no tags, and each use costs an HMAC.
    pub(super) fn new() -> Self {
        let mut key = [0; 16];
        let filled = getrandom::fill(&mut key);
        Self(filled.ok().map(|()| SipHasher24::new_with_key(&key)))
    }

    /// The tag of `secret`.
    pub(super) fn tag(&self, secret: &str) -> Option<Tag> {
        let Hash128 { h1, h2 } = self.0.as_ref()?.hash(secret.as_bytes());
        Some(Tag([h1, h2]))
    }
}

impl ConstantTimeEq for Tag {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_for_one_secret_in_one_process() {
        let (one, two) = (Tagger::new(), Tagger::new());
        let tag = |tagger: &Tagger, secret| tagger.tag(secret).unwrap().0;
        assert_eq!(tag(&one, "secret"), tag(&one.clone(), "secret"));
        assert_ne!(tag(&one, "secret"), tag(&one, "secreT"));
        assert_ne!(tag(&one, "secret"), tag(&two, "secret"));
    }
}
