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

/// `text` without the credential, and without what stands behind its scheme (`Bearer`).
pub(super) fn masked<'a>(text: &'a str, credential: Option<&HeaderValue>) -> Cow<'a, str> {
    let Some(credential) = credential.map(|value| String::from_utf8_lossy(value.as_bytes())) else { return text.into() };
    let credential = credential.trim();
    let secret = credential.split_once(' ').map(|(_, secret)| secret.trim_start());
    let mut text = Cow::Borrowed(text);
    for secret in [Some(credential), secret].into_iter().flatten() {
        if secret.len() >= LEAST && text.contains(secret) {
            text = text.replace(secret, MASK).into();
        }
    }
    text
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
    if let Some(raw) = &mut error.raw
        && let Cow::Owned(masked) = masked(&String::from_utf8_lossy(raw), credential)
    {
        *raw = Bytes::from(masked);
    }
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
