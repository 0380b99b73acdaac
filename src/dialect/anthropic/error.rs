//! Errors: read from a provider, written for a caller.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{NAME, encoder::frames};
use crate::{
    dialect::{
        json::{self, Object},
        place::write_steps,
        upstream::{kind_of, request_id, retry_after, scrubbed},
        wire::{self, Raw, Str, wire},
    },
    fault::{Failure, Fault, FaultKind, Timeout, UpstreamError},
};

wire! {
    /// The body of an error answer.
    pub struct ErrorResponse<'a> {
        /// `error`.
        pub kind: Str<'a> = "type",
        /// The error.
        pub error: Raw<'a> = "error",
        /// The provider's id of the request.
        pub request_id: Str<'a> = "request_id",
        /// Where proxies and clouds put the message.
        pub message: Str<'a> = "message",
    }

    /// The error itself.
    pub struct ErrorObject<'a> {
        /// Its broad kind: `invalid_request_error`.
        pub kind: Str<'a> = "type",
        /// What went wrong.
        pub message: Str<'a> = "message",
        /// The exact kind, where there is one.
        pub details: ErrorDetails<'a> = "details",
    }

    /// More on an error.
    pub struct ErrorDetails<'a> {
        /// Its exact kind.
        pub error_code: Str<'a> = "error_code",
    }
}

/// The API's error types and the status each stands for.
const TYPES: [(&str, u16); 10] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// The status that Messages answers an overload with.
const OVERLOADED: u16 = 529;

/// Reads an `error` object, as it stands in an answer or an event. Secrets in it are blotted out.
pub fn upstream_error(error: &str) -> UpstreamError {
    let raw = Some(Bytes::copy_from_slice(scrubbed(error).as_bytes()));
    // A server behind the API may send plain text.
    let Ok(object) = wire::read::<ErrorObject<'_>>(error) else {
        let text: String = wire::read::<Str<'_>>(error).map_or_else(|_| excerpt(error), |text| excerpt(&text));
        return UpstreamError { dialect: Some(NAME), message: text, raw, ..UpstreamError::default() };
    };
    // A proxy may answer in OpenAI's words: they have a code and a parameter, `null` maybe, which this API's have not.
    let theirs = |wanted: &str| object.unknown.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.get());
    let text = |value: &str| wire::read::<Str<'_>>(value).ok().map(|text| excerpt(&text));
    let (code, param) = (theirs("code"), theirs("param"));
    let exact = object.details.and_then(|details| details.error_code).map(|code| code.0.into_owned());
    let kind = object.kind.map(|kind| kind.0.into_owned());
    UpstreamError {
        dialect: (code.is_none() && param.is_none()).then_some(NAME),
        status: TYPES.iter().find(|(name, _)| Some(*name) == kind.as_deref()).map(|(_, status)| *status),
        code: exact.or_else(|| code.and_then(text)),
        param: param.and_then(text),
        message: excerpt(object.message.as_deref().unwrap_or("the provider gave no message")),
        request_id: None,
        kind,
        raw,
    }
}

/// Reads an error answer, in this dialect's shape or whatever a proxy in between sent.
pub fn decode(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Fault {
    let text = String::from_utf8_lossy(body);
    let response: ErrorResponse<'_> = wire::read(&text).unwrap_or_default();
    let mut upstream = match (response.error, response.message) {
        (Some(error), _) => upstream_error(error.get()),
        (None, Some(message)) => UpstreamError { message: excerpt(&message), ..UpstreamError::default() },
        (None, None) => UpstreamError { message: excerpt(&text), ..UpstreamError::default() },
    };
    upstream.request_id = response.request_id.map(|id| id.0.into_owned()).or_else(|| request_id(headers));
    let kind = kind(status, &upstream);
    upstream.status = Some(status.as_u16());
    let fault = Fault::new(kind).with_upstream(upstream);
    match retry_after(headers) {
        Some(wait) => fault.with_retry_after(wait),
        None => fault,
    }
}

/// What an error means. Its type says it; where that is not one of the API's, the status does.
fn kind(status: StatusCode, upstream: &UpstreamError) -> FaultKind {
    let code = upstream.code.as_deref().unwrap_or_default();
    let message = upstream.message.to_ascii_lowercase();
    match upstream.kind.as_deref().unwrap_or_default() {
        // Our account's money, under three names.
        "billing_error" => FaultKind::CredentialRefused,
        _ if code.ends_with("spend_limit_reached") || message.contains("credit balance is too low") => FaultKind::CredentialRefused,
        "authentication_error" | "permission_error" => FaultKind::CredentialRefused,
        "rate_limit_error" => FaultKind::RateLimited,
        "overloaded_error" => FaultKind::Upstream(Failure::Overloaded),
        // Broad enough for a 503 too.
        "api_error" if !status.is_server_error() => FaultKind::Upstream(Failure::Status),
        "timeout_error" => FaultKind::Timeout(Timeout::FirstByte),
        // "model: claude-none": the only thing that a call itself names and the API looks up by our configuration.
        "not_found_error" if message.starts_with("model") => FaultKind::Upstream(Failure::UnknownModel),
        _ => kind_of(status),
    }
}

/// The status of a fault: Messages says 529 for an overload.
pub fn status(fault: &Fault) -> StatusCode {
    let status = fault.verdict().status;
    if status == StatusCode::SERVICE_UNAVAILABLE { StatusCode::from_u16(OVERLOADED).unwrap_or(status) } else { status }
}

/// Writes a fault as an error body.
pub fn encode(fault: &Fault, generation_id: &str, out: &mut BytesMut) {
    let mut body = Object::begin(out);
    body.str("type", "error");
    members(fault, generation_id, &mut body);
    body.end();
}

/// Writes a fault as the last event of a stream.
pub fn encode_event(fault: &Fault, generation_id: &str, out: &mut BytesMut) {
    frames::event("error", out, |event| members(fault, generation_id, event));
}

fn members(fault: &Fault, generation_id: &str, body: &mut Object<'_>) {
    let verdict = fault.verdict();
    let message = fault.to_string();
    // A refusal of the caller's own request keeps the provider's words for it, or its type, if they are this API's. Another
    // has types of the same names, which mean more: `invalid_request_error` is also what OpenAI says with a 404.
    let rejected = fault.upstream().filter(|_| matches!(fault.kind(), FaultKind::Rejected { .. }));
    let spoke = rejected.filter(|upstream| upstream.dialect == Some(NAME));
    if let Some(raw) = spoke.and_then(|upstream| upstream.raw.as_ref()).and_then(|raw| spoken(raw)) {
        // Line breaks between its members would end an event.
        json::line(body.key("error"), raw);
    } else {
        let kind = spoke.and_then(|upstream| upstream.kind.as_deref()).filter(|kind| is_type(kind)).unwrap_or(verdict.anthropic_type);
        let mut error = body.object("error");
        error.str("type", kind).str("message", &message);
        // Not this API's members, but what the other kind of client reads: the exact error, and what it is about.
        if let Some(code) = fault.error_code() {
            error.str("code", code);
        }
        if let Some(param) = rejected.and_then(|upstream| upstream.param.as_deref()) {
            error.str("param", param);
        }
        error.end();
    }
    body.str("request_id", generation_id)
        .str("generation_id", generation_id)
        .number("status_code", status(fault).as_u16().into())
        .str("reason", verdict.reason)
        .str("description", &message)
        .str("error_origin", verdict.origin);
    if let FaultKind::KeyLimit { reset_at: Some(at) } = fault.kind() {
        body.raw("reset_at", &at.to_string());
    }
    let mut attempts = body.array("attempts");
    for attempt in fault.attempts() {
        let mut object = attempts.object();
        object.str("provider", &attempt.provider);
        match attempt.status {
            Some(status) => _ = object.number("status", status.into()),
            None => _ = object.raw("status", "null"),
        }
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
}

fn is_type(kind: &str) -> bool {
    TYPES.iter().any(|(name, _)| *name == kind)
}

/// The provider's error object, if it is of this API's shape.
fn spoken(raw: &Bytes) -> Option<&str> {
    const LARGEST: usize = 16 * 1024;
    let text = std::str::from_utf8(raw).ok().filter(|text| text.len() <= LARGEST)?;
    let object: ErrorObject<'_> = wire::read(text).ok()?;
    (object.kind.as_deref().is_some_and(is_type) && object.message.is_some()).then_some(text)
}

/// The beginning of a provider's words, scrubbed.
fn excerpt(text: &str) -> String {
    const MOST: usize = 512;
    let text = text.trim();
    let end = (0..=MOST.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    scrubbed(&text[..end]).into_owned()
}
