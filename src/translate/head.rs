//! Heads: which headers go up, which come down.

use std::fmt::Write;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, request::Parts, uri::InvalidUri};
use smallvec::SmallVec;

use super::notes::AnswerNotes;
use crate::{
    catalog::{Picodollars, Target, Wire},
    dialect::{Dialect, Losses},
    fault::{Fault, FaultKind},
    stage::{Operation, Outgoing, SERVER_TIMING, X_GATEWAY_ATTEMPTS, X_GATEWAY_MODEL, X_GATEWAY_PROVIDER, write_millis},
};

/// Whether a header of the caller goes up: some whatever the dialects, others only where the provider speaks the caller's
/// `own` dialect and understands them.
fn goes_up(name: &HeaderName, own: bool) -> bool {
    match name.as_str() {
        "traceparent" | "tracestate" => true,
        "anthropic-version" | "anthropic-beta" | "openai-beta" | "idempotency-key" => own,
        _ => false,
    }
}

/// What was lost.
const X_GATEWAY_LOSS: HeaderName = HeaderName::from_static("x-gateway-loss");
/// What a whole answer cost: the usage that it tells, at the price of the target that gave it. Attempts before it that were
/// billed as well are in the call's record, which is the bill.
const X_GATEWAY_COST_USD: HeaderName = HeaderName::from_static("x-gateway-cost-usd");

/// What tells a proxy not to hold a stream back.
pub(super) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The longest `x-gateway-loss` header, in bytes.
const MAX_LOSS: usize = 2048;

/// The provider's request. Trusts the caller's head for nothing but the allow-list.
pub(super) fn outgoing(
    mut parts: Parts,
    notes: &AnswerNotes,
    dialect: &'static dyn Dialect,
    body: Outgoing,
) -> Result<Request<Outgoing>, Fault> {
    let AnswerNotes { call, target, .. } = notes;
    let headers = &mut parts.headers;
    let own = call.dialect.name() == dialect.name();
    let mut accept = None;
    let mut kept: SmallVec<[(HeaderName, HeaderValue); 2]> = SmallVec::new();
    // Lists may come in several lines.
    for (name, value) in &*headers {
        if *name == header::ACCEPT {
            accept.get_or_insert_with(|| value.clone());
        } else if goes_up(name, own) {
            kept.push((name.clone(), value.clone()));
        }
    }
    // The emptied map has room for what goes up.
    headers.clear();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    kept.into_iter().for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers.insert(header::ACCEPT, accept.unwrap_or(HeaderValue::from_static("*/*")));
    for (name, value) in &target.provider.default_headers {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    parts.method = Method::POST;
    parts.uri = uri(target, call.operation, dialect)?;
    parts.version = Version::default();
    Ok(Request::from_parts(parts, body))
}

/// Where the request goes: the provider's base and the operation's path.
fn uri(target: &Target, operation: Operation, dialect: &dyn Dialect) -> Result<Uri, Fault> {
    let path = match operation {
        Operation::Chat if dialect.name() == "anthropic-messages" => "/messages",
        Operation::Chat => "/chat/completions",
        Operation::Embeddings => "/embeddings",
        Operation::Images => "/images/generations",
        Operation::Moderations => "/moderations",
    };
    let Wire::Http(origin) = &target.provider.wire else {
        return format!("http://demo.invalid/v1{path}")
            .parse()
            .map_err(|error: InvalidUri| Fault::new(FaultKind::Internal).with_source(error));
    };
    origin.base_url.endpoint(path).ok_or_else(|| Fault::new(FaultKind::Internal).with_source("a base URL without endpoints"))
}

/// Room for an answer's headers, those of the layers above included.
const ROOM: usize = 12;

/// The map of the provider's `headers`, emptied for the answer's: mostly it has the room, since the client reads an answer
/// into the map that its request came in.
pub(super) fn emptied(mut headers: HeaderMap) -> HeaderMap {
    headers.clear();
    headers.reserve(ROOM);
    headers
}

/// Writes the headers that every answer has, and what a whole one cost.
pub(super) fn annotate(notes: &AnswerNotes, model: Option<&str>, losses: [&Losses; 2], cost: Option<Picodollars>, headers: &mut HeaderMap) {
    let target = &notes.target;
    let mut line = Line::new(headers);
    line.write(X_GATEWAY_PROVIDER, |out| out.extend_from_slice(target.provider.name.as_str().as_bytes()));
    line.write(X_GATEWAY_MODEL, |out| out.extend_from_slice(model.unwrap_or(&target.model).as_bytes()));
    let committed = *notes.committed.get_or_init(std::time::Instant::now);
    let (before, with) = (notes.sent.saturating_duration_since(notes.call.started), committed.saturating_duration_since(notes.sent));
    line.write(SERVER_TIMING, |out| {
        out.extend_from_slice(b"gateway;dur=");
        write_millis(out, before);
        out.extend_from_slice(b", provider;dur=");
        write_millis(out, with);
    });
    line.write(X_GATEWAY_ATTEMPTS, |out| out.extend_from_slice(itoa::Buffer::new().format(notes.attempt).as_bytes()));
    if let Some(cost) = cost {
        line.write(X_GATEWAY_COST_USD, |out| cost.write(out));
    }
    tell_losses(losses, headers);
}

/// Writes the `x-gateway-loss` header, if the request or its answer lost anything.
fn tell_losses(losses: [&Losses; 2], headers: &mut HeaderMap) {
    let mut text = String::new();
    let mut more = losses.iter().map(|losses| losses.unlisted()).sum::<usize>();
    let mut full = false;
    for lost in losses.into_iter().flat_map(Losses::iter) {
        let path: String = lost.path.chars().map(|c| if c.is_ascii_graphic() && c != ',' && c != ';' { c } else { '_' }).collect();
        let separator = if text.is_empty() { "" } else { ", " };
        // Room for the rest's count is kept.
        full |= text.len() + path.len() + 24 > MAX_LOSS;
        if full {
            more += 1;
        } else {
            let _ = write!(text, "{separator}{path};{}", lost.loss.fate);
        }
    }
    if more > 0 {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}+{more}");
    }
    if let (false, Ok(value)) = (text.is_empty(), HeaderValue::try_from(text)) {
        headers.insert(X_GATEWAY_LOSS, value);
    }
}

/// Writes headers whose values are made for one answer, all into one buffer.
struct Line<'h> {
    headers: &'h mut HeaderMap,
    text: BytesMut,
}

impl<'h> Line<'h> {
    fn new(headers: &'h mut HeaderMap) -> Self {
        Self { headers, text: BytesMut::with_capacity(160) }
    }

    /// Sets the header `name` to what `write` appends, if that can be a header's value.
    fn write(&mut self, name: HeaderName, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.text);
        if let Ok(value) = HeaderValue::from_maybe_shared(self.text.split().freeze()) {
            self.headers.insert(name, value);
        }
    }
}
