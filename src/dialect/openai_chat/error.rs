//! Errors: a provider's, read; ours, written.
//!
//! Source: OpenAI API reference, "Error codes". Compatible servers answer in many envelopes, and not always in JSON.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;

use super::NAME;
use crate::{
    dialect::{
        json::{self, Object},
        place::{Step, steps, write_steps},
        scan::Members,
        splice::Edits,
        upstream::{kind_of, request_id, retry_after, scrubbed},
        wire::{Raw, Str, Unknown, wire},
    },
    fault::{Failure, Fault, FaultKind, UpstreamError},
};

wire! {
    /// An error answer, or the error object inside one.
    pub struct Envelope<'a> {
        /// The error: an object, or its message alone.
        pub error: Raw<'a> = "error",
        /// The same, as a list.
        pub errors: Raw<'a> = "errors",
        /// What went wrong.
        pub message: Raw<'a> = "message",
        /// The same: FastAPI's.
        pub detail: Raw<'a> = "detail",
        /// The same.
        pub msg: Raw<'a> = "msg",
        /// The kind of error.
        pub kind: Raw<'a> = "type",
        /// The exact error.
        pub code: Raw<'a> = "code",
        /// The parameter it is about.
        pub param: Raw<'a> = "param",
        /// Its HTTP status, or the name of it.
        pub status: Raw<'a> = "status",
    }
}

/// Whether members of an answer without choices are an error's.
pub(super) fn is_envelope(members: &Unknown<'_>) -> bool {
    members.iter().any(|(name, _)| matches!(&**name, "message" | "detail" | "msg" | "errors"))
}

/// Reads a provider's error answer.
pub(super) fn decode(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Fault {
    let text = String::from_utf8_lossy(body);
    let mut upstream = upstream(&text, Some(status.as_u16()));
    upstream.request_id = request_id(headers);
    let code = upstream.code.as_deref().or(upstream.kind.as_deref()).unwrap_or_default();
    let kind = match kind_of(status) {
        // The quota is our account's.
        _ if matches!(code, "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active") => FaultKind::CredentialRefused,
        FaultKind::Rejected { status: 404 } if code == "model_not_found" || upstream.message.contains("model") => {
            FaultKind::Upstream(Failure::UnknownModel)
        }
        FaultKind::Rejected { .. } if code == "model_not_found" => FaultKind::Upstream(Failure::UnknownModel),
        kind => kind,
    };
    let fault = Fault::new(kind).with_upstream(upstream);
    match retry_after(headers) {
        Some(wait) => fault.with_retry_after(wait),
        None => fault,
    }
}

/// Reads what a provider says about its failure, in a body or in a stream. Nothing of it is a secret afterwards.
pub(in crate::dialect) fn upstream(text: &str, status: Option<u16>) -> UpstreamError {
    let text = text.trim();
    let (object, envelope) = innermost(text);
    let Some(envelope) = envelope else {
        return UpstreamError { dialect: Some(NAME), status, message: excerpt(text), ..UpstreamError::default() };
    };
    let message = [envelope.message, envelope.msg, envelope.detail, envelope.error].into_iter().flatten().next();
    let kind = envelope.kind.and_then(|kind| plain(kind.get()));
    let code = envelope.code.and_then(|code| plain(code.get()));
    let named = envelope.status.and_then(|status| plain(status.get()));
    let stands_for = || {
        let number = [&code, &named].into_iter().flatten().find_map(|code| code.parse().ok()).filter(|status| (400..600).contains(status));
        number.or_else(|| [&code, &kind, &named].into_iter().flatten().find_map(|name| status_of(name)))
    };
    UpstreamError {
        dialect: Some(NAME),
        status: status.or_else(stands_for),
        message: message.map_or_else(|| excerpt(object), |message| plain(message.get()).unwrap_or_else(|| excerpt(message.get()))),
        kind: kind.or(named),
        param: envelope.param.and_then(|param| plain(param.get())),
        request_id: None,
        raw: (object.starts_with('{') && object.len() <= LARGEST_RAW).then(|| Bytes::from(scrubbed(object).into_owned())),
        code,
    }
}

/// The error object inside its envelopes, and its members; none in a text that is no object.
fn innermost(text: &str) -> (&str, Option<Envelope<'_>>) {
    let mut at = text;
    let mut found = None;
    // Envelopes in envelopes are few; a text that nests on is cut here.
    for _ in 0..4 {
        let first =
            at.starts_with('[').then(|| serde_json::from_str::<Vec<Raw<'_>>>(at).ok()).flatten().and_then(|list| list.first().copied());
        if let Some(first) = first {
            at = first.get();
        }
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(at) else { break };
        let inner = envelope.error.or(envelope.errors).map(|inner| inner.get()).filter(|inner| inner.starts_with(['{', '[']));
        let here = at;
        found = Some((here, envelope));
        match inner {
            Some(inner) => at = inner,
            None => break,
        }
    }
    match found {
        Some((here, envelope)) => (here, Some(envelope)),
        None => (text, None),
    }
}

/// A string's or a number's text.
fn plain(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<Str<'_>>(json).ok().map(|text| scrubbed(&text).into_owned()),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

/// What an error without a status stands for, by the names that the APIs give their errors.
fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "invalid_request_error" | "BadRequestError" | "context_length_exceeded" | "INVALID_ARGUMENT" => 400,
        "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
        "insufficient_quota" | "billing_error" => 402,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "model_not_found" | "NotFoundError" | "NOT_FOUND" => 404,
        "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" | "RESOURCE_EXHAUSTED" => 429,
        "server_error" | "api_error" | "internal_error" | "InternalServerError" | "INTERNAL" => 500,
        "overloaded_error" | "service_unavailable" | "engine_overloaded" | "UNAVAILABLE" => 503,
        _ => return None,
    })
}

/// The beginning of a text that is no error object; of an HTML page, its title.
fn excerpt(text: &str) -> String {
    let text = match text.starts_with('<').then(|| text.split_once("<title>")).flatten() {
        Some((_, rest)) => rest.split("</title>").next().unwrap_or_default(),
        None => text,
    };
    let short: String = scrubbed(text).chars().filter(|c| !c.is_control()).take(LONGEST_EXCERPT).collect();
    if short.trim().is_empty() { "the provider gave no reason".to_owned() } else { short }
}

/// The most characters of an excerpt.
const LONGEST_EXCERPT: usize = 256;

/// The largest error object kept, in bytes.
const LARGEST_RAW: usize = 16 * 1024;

/// Writes the error body.
pub(super) fn encode(fault: &Fault, generation_id: &str, out: &mut BytesMut) {
    let verdict = fault.verdict();
    let mut body = Object::begin(out);
    write_error(&mut body, fault);
    body.str("generation_id", generation_id);
    body.number("status_code", verdict.status.as_u16().into());
    body.str("reason", verdict.reason).str("description", &fault.to_string()).str("error_origin", verdict.origin);
    if let FaultKind::KeyLimit { reset_at: Some(at) } = fault.kind() {
        body.raw("reset_at", &at.to_string());
    }
    let mut attempts = body.array("attempts");
    for attempt in fault.attempts() {
        let mut object = attempts.object();
        object.str("provider", &attempt.provider);
        match attempt.status {
            Some(status) => object.number("status", status.into()),
            None => object.raw("status", "null"),
        };
        object.str("fault", attempt.fault);
        object.end();
    }
    attempts.end();
    let mut details = body.array("details");
    for detail in fault.details() {
        let mut object = details.object();
        let mut path = object.array("path");
        write_steps(&mut path, &detail.path);
        path.end();
        object.str("message", &detail.message);
        object.end();
    }
    details.end();
    body.end();
}

/// Writes the error as a stream's last event. No `[DONE]` follows: it would look like a normal end.
pub(super) fn encode_event(fault: &Fault, generation_id: &str, out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    encode(fault, generation_id, out);
    out.extend_from_slice(b"\n\n");
}

/// The `error` member: the provider's own where it refused the caller's request in this API's words, else ours.
fn write_error(body: &mut Object<'_>, fault: &Fault) {
    let upstream = fault.upstream().filter(|_| matches!(fault.kind(), FaultKind::Rejected { .. }));
    let spoke = upstream.filter(|upstream| upstream.dialect == Some(NAME));
    if let Some(parts) = spoke.and_then(|upstream| upstream.raw.as_ref()).and_then(|raw| spoken(raw, fault.verdict().openai_type)) {
        let out = body.key("error");
        let start = out.len();
        parts.iter().for_each(|part| out.extend_from_slice(part));
        // Line breaks between its members would end an event.
        json::unbreak(out.get_mut(start..).unwrap_or_default());
        return;
    }
    let mut error = body.object("error");
    error.str("message", &fault.to_string());
    let theirs = spoke.and_then(|upstream| upstream.kind.as_deref());
    error.str("type", theirs.unwrap_or(fault.verdict().openai_type));
    nullable(&mut error, "code", fault.error_code());
    let param = match fault.kind() {
        FaultKind::UnknownModel { .. } => Some("model".to_owned()),
        _ => fault.details().first().map(|detail| parameter(&detail.path)).filter(|param| !param.is_empty()),
    };
    nullable(&mut error, "param", param.as_deref().or(upstream.and_then(|upstream| upstream.param.as_deref())));
    error.end();
}

/// The provider's object, if it is of this API's shape: a message, and a code or a parameter, `null` maybe. Some servers
/// leave the type out, which clients want: then it is `kind`.
fn spoken(raw: &Bytes, kind: &str) -> Option<SmallVec<[Bytes; 1]>> {
    let envelope: Envelope<'_> = serde_json::from_slice(raw).ok()?;
    let text = |value: Raw<'_>| value.get().starts_with('"');
    let members = Members::scan(raw).ok()?;
    if !envelope.message.is_some_and(text) || !["code", "param"].iter().any(|name| members.find(raw, name).is_some()) {
        return None;
    }
    let mut edits = Edits::default();
    if !envelope.kind.is_some_and(text) {
        edits.write(raw, &members, "type", |out| json::string(out, kind));
    }
    Some(edits.apply(raw))
}

fn nullable(object: &mut Object<'_>, name: &str, text: Option<&str>) {
    match text {
        Some(text) => object.str(name, text),
        None => object.raw(name, "null"),
    };
}

/// A JSON Pointer as OpenAI writes parameters: `messages[0].content`.
fn parameter(pointer: &str) -> String {
    steps(pointer).fold(String::new(), |mut text, step| {
        let written = match step {
            Step::Index(index) => write!(text, "[{index}]"),
            Step::Name(name) if text.is_empty() => write!(text, "{name}"),
            Step::Name(name) => write!(text, ".{name}"),
        };
        written.map(|()| text).unwrap_or_default()
    })
}
