//! Which key a request carries.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::format::{KeyFormat, ParsedKey};
use crate::fault::FaultKind;

/// A value in our format, taken out of a request's headers.
pub(super) struct Credential(HeaderValue);

/// Where a key may be: the second is where Anthropic's clients put it, the third Gemini's.
const HEADERS: [HeaderName; 3] = [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("x-goog-api-key")];

impl Credential {
    /// Takes the one key in our format out of `headers`, wherever and however often it is there.
    ///
    /// Values in other formats beside it are the host's own business and stay.
    ///
    /// # Errors
    /// No credential, none in our format, or two different ones.
    pub(super) fn take(headers: &mut HeaderMap, format: &KeyFormat) -> Result<Self, FaultKind> {
        let mut found: Option<(&HeaderValue, &str)> = None;
        let mut foreign = false;
        for (value, sent) in sent(headers) {
            match (sent.filter(|text| format.parse(text).is_some()), found) {
                (None, _) => foreign = true,
                (Some(text), None) => found = Some((value, text)),
                (Some(text), Some((_, first))) if text == first => {}
                (Some(_), Some(_)) => return Err(FaultKind::TwoKeys),
            }
        }
        let Some((value, _)) = found else {
            return Err(if foreign { FaultKind::InvalidKeyFormat } else { FaultKind::MissingKey });
        };
        let credential = Self(value.clone());
        Self::remove(headers, format);
        Ok(credential)
    }

    /// Takes every value in our format out of `headers`.
    pub(super) fn remove(headers: &mut HeaderMap, format: &KeyFormat) {
        let ours = |name: &HeaderName, value: &HeaderValue| text(name, value).flatten().is_some_and(|text| format.parse(text).is_some());
        for name in HEADERS {
            let mut values = headers.get_all(&name).iter();
            if !values.any(|value| ours(&name, value)) {
                continue;
            }
            let rest: Vec<_> = headers.get_all(&name).iter().filter(|value| !ours(&name, value)).cloned().collect();
            headers.remove(&name);
            rest.into_iter().for_each(|value| {
                headers.append(&name, value);
            });
        }
    }

    /// The key. `None` cannot be: it was parsed when it was taken.
    pub(super) fn parse(&self, format: &KeyFormat) -> Option<ParsedKey<'_>> {
        let text = self.0.to_str().ok()?;
        format.parse(bearer(text).unwrap_or(text).trim())
    }
}

/// Every credential that was sent: its header's value, and its text if that is ASCII.
fn sent(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderValue, Option<&str>)> {
    HEADERS.into_iter().flat_map(|name| headers.get_all(&name).iter().filter_map(move |value| Some((value, text(&name, value)?))))
}

/// The credential in a header's value: `None` if there is none, `Some(None)` if it cannot be a key.
fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Option<Option<&'a str>> {
    let Ok(text) = value.to_str() else { return Some(None) };
    let credential = if *name == header::AUTHORIZATION { bearer(text)? } else { text };
    Some(credential.trim()).filter(|credential| !credential.is_empty()).map(Some)
}

/// What follows `Bearer`, in whatever case.
fn bearer(text: &str) -> Option<&str> {
    let (scheme, credential) = text.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential)
}
