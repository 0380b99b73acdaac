//! Which key a request carries.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::format::{KeyFormat, ParsedKey};
use crate::fault::FaultKind;

/// Where in a request's headers values in our format are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places([Held; HEADERS.len()]);

/// What one header holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    /// Nothing of ours.
    #[default]
    Nothing,
    /// Nothing but ours.
    Ours,
    /// Ours, and the host's own beside it.
    Both,
}

/// Where a key may be: the second is where Anthropic's clients put it, the third Gemini's.
static HEADERS: [HeaderName; 3] = [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("x-goog-api-key")];

/// Finds the one key in our format in `headers`, wherever and however often it is there.
///
/// # Errors
/// No credential, none in our format, or two different ones.
pub(super) fn find<'a>(headers: &'a HeaderMap, format: &KeyFormat) -> Result<(ParsedKey<'a>, Places), FaultKind> {
    let mut found: Option<(&[u8], ParsedKey<'_>)> = None;
    let mut foreign = false;
    let (mut places, mut others) = (Places::default(), [false; HEADERS.len()]);
    for (name, value) in headers {
        let Some(at) = HEADERS.iter().position(|place| place == name) else { continue };
        let Some(text) = credential(name, value) else {
            // No credential; but what is not even text may have been meant as one.
            others[at] = true;
            foreign |= value.to_str().is_err();
            continue;
        };
        match (format.parse_bytes(text), found) {
            (None, _) => (others[at], foreign) = (true, true),
            (Some(key), None) => (found, places.0[at]) = (Some((text, key)), Held::Ours),
            (Some(_), Some((first, _))) if text == first => places.0[at] = Held::Ours,
            (Some(_), Some(_)) => return Err(FaultKind::TwoKeys),
        }
    }
    for (held, others) in places.0.iter_mut().zip(others) {
        if others && *held == Held::Ours {
            *held = Held::Both;
        }
    }
    let none = if foreign { FaultKind::InvalidKeyFormat } else { FaultKind::MissingKey };
    found.map(|(_, key)| (key, places)).ok_or(none)
}

/// Takes every value in our format out of `headers`. Values in other formats are the host's own business and stay.
pub(super) fn remove(headers: &mut HeaderMap, format: &KeyFormat) {
    Places([Held::Both; HEADERS.len()]).remove(headers, format);
}

impl Places {
    /// Takes what is at these places out of `headers`, which must be those they were found in.
    pub(super) fn remove(self, headers: &mut HeaderMap, format: &KeyFormat) {
        for (name, held) in HEADERS.iter().zip(self.0) {
            match held {
                Held::Nothing => {}
                Held::Ours => {
                    headers.remove(name);
                }
                Held::Both => remove_among(name, headers, format),
            }
        }
    }
}

fn remove_among(name: &HeaderName, headers: &mut HeaderMap, format: &KeyFormat) {
    let ours = |value: &HeaderValue| credential(name, value).is_some_and(|text| format.parse_bytes(text).is_some());
    if !headers.get_all(name).iter().any(ours) {
        return;
    }
    let rest: Vec<_> = headers.get_all(name).iter().filter(|value| !ours(value)).cloned().collect();
    headers.remove(name);
    rest.into_iter().for_each(|value| {
        headers.append(name, value);
    });
}

/// The credential in a header's value, if there is one.
fn credential<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<&'a [u8]> {
    let value = value.as_bytes();
    let credential = if *name == header::AUTHORIZATION { bearer(value)? } else { value }.trim_ascii();
    (!credential.is_empty()).then_some(credential)
}

/// What follows `Bearer`, in whatever case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, credential) = value.trim_ascii_start().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then_some(credential)
}

const BEARER: &[u8] = b"bearer ";
