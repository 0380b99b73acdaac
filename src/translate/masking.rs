//! What a provider knows us by, in what it says.
//!
//! What *looks* like a credential is gone already ([`upstream::scrubbed`](crate::dialect::upstream::scrubbed)); but a key
//! need not look like one, and a provider, or a proxy before it, may repeat our request.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;

use crate::{
    catalog::{Target, Wire},
    fault::{Fault, UpstreamError},
};

/// As providers mask, and as `scrubbed` leaves alone.
const MASK: &str = "***";
/// What is shorter is no secret, but what is written where none is needed: `none`, `ollama`.
const LEAST: usize = 8;

/// What `target`'s provider knows us by.
pub(super) fn credential(target: &Target) -> Option<&HeaderValue> {
    match &target.provider.wire {
        Wire::Http(origin) => origin.credential.as_ref().map(|(_, value)| value),
        Wire::Demo => None,
    }
}

/// The credential, and what stands behind its scheme (`Bearer`), if they are secrets.
fn secrets(credential: Option<&HeaderValue>) -> impl Iterator<Item = String> {
    let credential = credential.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    let bare = credential.as_deref().and_then(|credential| credential.split_once(' ')).map(|(_, secret)| secret.trim_start().to_owned());
    [credential, bare].into_iter().flatten().filter(|secret| secret.len() >= LEAST)
}

/// `text` without the credential. What was cut off in the middle of it ends before it.
pub(super) fn masked<'a>(text: &'a str, credential: Option<&HeaderValue>) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets(credential) {
        if text.contains(&secret) {
            text = text.replace(&secret, MASK).into();
        }
        let mut beginnings = (LEAST..secret.len()).rev().filter_map(|length| secret.get(..length));
        if let Some(kept) = beginnings.find_map(|beginning| text.strip_suffix(beginning)) {
            text = format!("{kept}{MASK}").into();
        }
    }
    text
}

/// JSON text without the credential, if it can be told from its escapes.
fn masked_json(json: &Bytes, credential: Option<&HeaderValue>) -> Option<Bytes> {
    let plain = |secret: &str| secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if json.contains(&b'\\') && !secrets(credential).all(|secret| secret.split(' ').all(plain)) {
        // `/` may be written `\/`, and anything by its number.
        return None;
    }
    match masked(&String::from_utf8_lossy(json), credential) {
        Cow::Owned(masked) => Some(Bytes::from(masked)),
        Cow::Borrowed(_) => Some(json.clone()),
    }
}

/// What the provider says of an error, masked.
pub(super) fn masked_error(mut error: UpstreamError, credential: Option<&HeaderValue>) -> UpstreamError {
    let mask = |text: &mut String| {
        if let Cow::Owned(masked) = masked(text, credential) {
            *text = masked;
        }
    };
    mask(&mut error.message);
    [&mut error.kind, &mut error.code, &mut error.param, &mut error.request_id].into_iter().flatten().for_each(mask);
    error.raw = error.raw.and_then(|raw| masked_json(&raw, credential));
    error
}

/// A fault whose provider's words are masked.
pub(super) fn masked_fault(fault: Fault, credential: Option<&HeaderValue>) -> Fault {
    match fault.upstream().cloned() {
        Some(error) => fault.with_upstream(masked_error(error, credential)),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As keys without a vendor's prefix are.
    const KEY: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

    #[test]
    fn f052_an_error_that_repeats_our_request_does_not_show_our_key() {
        let raw = format!(r#"{{"message":"no such key: {KEY}"}}"#);
        let said = || Some(format!("({KEY})"));
        let error = UpstreamError {
            message: format!("the key '{KEY}' is unknown; the header was 'Bearer {KEY}'"),
            kind: said(),
            code: said(),
            param: said(),
            request_id: said(),
            raw: Some(raw.into()),
            ..UpstreamError::default()
        };
        for credential in [KEY.to_owned(), format!("Bearer {KEY}"), format!("Token  {KEY}")] {
            let value = HeaderValue::try_from(&credential).unwrap();
            let masked = masked_error(error.clone(), Some(&value));
            assert!(masked.message.starts_with("the key '***' is unknown"), "{credential}");
            assert_eq!([masked.kind, masked.code, masked.param, masked.request_id], [(); 4].map(|()| Some("(***)".to_owned())));
            assert_eq!(masked.raw.unwrap(), r#"{"message":"no such key: ***"}"#);
        }
        assert_eq!(masked_error(error.clone(), None), error);
    }

    #[test]
    fn f052_a_key_that_is_cut_off_or_escaped_is_not_shown_either() {
        let value = HeaderValue::from_static("Bearer 0a1b2c3d4e5f+/718293a4b5c6d7e8f9");
        let clipped = UpstreamError { message: "no such key: 0a1b2c3d4e5f+/7182".into(), ..UpstreamError::default() };
        assert_eq!(masked_error(clipped, Some(&value)).message, "no such key: ***");
        for raw in [r#"{"message":"0a1b2c3d4e5f+\/718293a4b5c6d7e8f9"}"#, r#"{"message":"0a1b2c3d4e5f\u002B/718293a4b5c6d7e8f9"}"#] {
            let escaped = UpstreamError { raw: Some(raw.into()), ..UpstreamError::default() };
            assert_eq!(masked_error(escaped, Some(&value)).raw, None);
        }
        let plain = UpstreamError { raw: Some(r#"{"message":"a\nb"}"#.into()), ..UpstreamError::default() };
        assert_eq!(masked_error(plain.clone(), Some(&HeaderValue::from_static(KEY))).raw, plain.raw);
    }

    #[test]
    fn what_is_written_where_no_key_is_needed_is_a_word() {
        for word in ["", " ", "none", "Bearer ", "Bearer none"] {
            assert_eq!(
                masked("none of these: Bearer none", Some(&HeaderValue::from_static(word))).replace("***", ""),
                match word {
                    "Bearer none" => "none of these: ",
                    _ => "none of these: Bearer none",
                }
            );
        }
    }
}
