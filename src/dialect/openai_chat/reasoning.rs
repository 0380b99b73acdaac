//! Whose reasoning it is.
//!
//! Chat Completions has no member for a thinking signature or hidden reasoning. The form in use is OpenRouter's
//! `reasoning_details`, whose `format` names the API that made the token; we read and write the same.

use std::borrow::Cow;

use bytes::BytesMut;

use crate::dialect::{
    conversation::{Issuer, Reasoning},
    json::Object,
};

/// `format` and issuer. A format that is not here is its own issuer.
const FORMATS: &[(&str, &str)] =
    &[("anthropic-claude-v1", "anthropic"), ("google-gemini-v1", "google"), ("openai-responses-v1", "openai"), ("xai-responses-v1", "xai")];

/// The issuer that `format` stands for.
pub(super) fn issuer(format: Cow<'_, str>) -> Issuer<'_> {
    match FORMATS.iter().find(|(known, _)| *known == format) {
        Some((_, issuer)) => Cow::Borrowed(issuer),
        None => format,
    }
}

/// The `format` of what `issuer` made.
pub(super) fn format(issuer: &str) -> &str {
    FORMATS.iter().find(|(_, known)| *known == issuer).map_or(issuer, |(format, _)| format)
}

/// Writes an item of `reasoning_details`.
pub(super) fn write_detail(out: &mut BytesMut, reasoning: &Reasoning<'_>, index: usize) {
    let mut detail = Object::begin(out);
    match &reasoning.redacted {
        Some(data) => detail.str("type", "reasoning.encrypted").str("data", data),
        None => detail.str("type", "reasoning.text").str("text", &reasoning.text),
    };
    if let Some(signature) = &reasoning.signature {
        detail.str("signature", signature);
    }
    if let Some(issuer) = &reasoning.issuer {
        detail.str("format", format(issuer));
    }
    detail.number("index", index as u64);
    detail.end();
}
