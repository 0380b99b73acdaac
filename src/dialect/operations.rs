//! The other operations in OpenAI's shapes: embeddings, moderations, images.
//!
//! One dialect, spoken by callers and by "OpenAI-compatible" providers alike, so there is no hub: a request is patched,
//! an answer is forwarded with our additions spliced in, and what it used is read on the way.
//!
//! Source: OpenAI API reference, "Embeddings", "Moderations", "Images".

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{
    AnswerOptions, Dialect, Edits, End, Losses, Pipe, Seen, Stamp, StreamError, Target, Usage,
    frame::Frame,
    json,
    scan::{Members, elements},
    wire::{self, Number, wire},
};
use crate::fault::{Fault, UpstreamError};

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/images/generations`.
    Images,
    /// `POST /v1/moderations`.
    Moderations,
}

/// The gateway's own members of a request.
const OWN: [&str; 5] = ["provider", "models", "session_id", "usage", "meta"];

/// The edits that make a caller's request a provider's: the model's name, our own members.
pub fn patch_request(body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits) {
    let mut model = BytesMut::new();
    json::string(&mut model, target.model);
    if let Some(member) = members.find(body, "model") {
        edits.value(member, model);
    }
    for name in OWN {
        edits.remove(body, members, name);
    }
}

/// A pipe for `operation`. `dialect` tells errors inside a stream.
pub fn relay(operation: Operation, dialect: &'static dyn Dialect, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe> {
    Box::new(Relay { operation, dialect, stamp, options, losses: Losses::default() })
}

wire! {
    /// The `usage` object of embeddings and images.
    pub struct OperationUsage<'a> {
        /// Tokens of the input (embeddings).
        pub prompt_tokens: Number<'a> = "prompt_tokens",
        /// Tokens of the prompt (images).
        pub input_tokens: Number<'a> = "input_tokens",
        /// Tokens of the image.
        pub output_tokens: Number<'a> = "output_tokens",
        /// Both.
        pub total_tokens: Number<'a> = "total_tokens",
    }

    /// An error object.
    pub struct ErrorObject<'a> {
        /// What is wrong.
        pub message: wire::Str<'a> = "message",
        /// Its type.
        pub kind: wire::Str<'a> = "type",
        /// Its code.
        pub code: wire::Str<'a> = "code",
    }
}

struct Relay {
    operation: Operation,
    dialect: &'static dyn Dialect,
    stamp: Stamp,
    options: AnswerOptions,
    losses: Losses,
}

impl Relay {
    /// Reads what the object `members` of `text` tells.
    fn read(&self, text: &[u8], members: &Members, seen: &mut Seen) {
        let string = |name: &str| {
            let value = members.find(text, name)?.text(text);
            wire::read::<wire::Str<'_>>(value).ok().map(|text| text.0.into_owned())
        };
        seen.id = string("id").or(seen.id.take());
        seen.model = string("model").or(seen.model.take());
        let told = members.find(text, "usage").and_then(|usage| wire::read::<Option<OperationUsage<'_>>>(usage.text(text)).ok()).flatten();
        let images = match (self.operation, members.find(text, "data")) {
            (Operation::Images, Some(data)) => elements(text, &data.value).count() as u64,
            (Operation::Images, None) => 1,
            _ => 0,
        };
        let count = |number: Option<Number<'_>>| number.and_then(Number::count).unwrap_or(0);
        let usage = told.unwrap_or_default();
        let mut usage = Usage {
            input: count(usage.prompt_tokens.or(usage.input_tokens)),
            output: count(usage.output_tokens),
            images,
            requests: u64::from(self.operation == Operation::Moderations),
            ..Usage::default()
        };
        usage.clamp();
        seen.usage = Some(usage);
        seen.content = true;
        seen.finished = true;
    }

    /// The additions to an answer's object.
    fn annotate(&self, text: &[u8], members: &Members, seen: &Seen) -> Edits {
        let mut edits = Edits::default();
        let Some(notes) = &self.options.notes else { return edits };
        let mut value = BytesMut::new();
        let mut take = |write: &mut dyn FnMut(&mut BytesMut) -> bool| {
            let written = write(&mut value);
            let text = value.split().freeze();
            written.then_some(text)
        };
        if let Some(provider) = take(&mut |out| {
            json::string(out, notes.provider());
            true
        }) {
            edits.append(members, "provider", provider);
        }
        if let (Some(id), false) = (&seen.id, members.find(text, "native_response_id").is_some())
            && let Some(id) = take(&mut |out| {
                json::string(out, id);
                true
            })
        {
            edits.append(members, "native_response_id", id);
        }
        if let (Some(usage), Some(member), true) = (&seen.usage, members.find(text, "usage"), self.options.rich_usage) {
            let object = Members::of(text, &member.value);
            if let (false, Some(cost)) = (object.is_empty(), take(&mut |out| notes.cost(usage, out))) {
                edits.append(&object, "cost", cost);
            }
        }
        if let Some(meta) = take(&mut |out| notes.meta(seen, out)) {
            edits.append(members, "meta", meta);
        }
        edits
    }
}

impl Pipe for Relay {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        if let Some(data) = &frame.data {
            let text = data.as_bytes();
            if &**data == "[DONE]" {
                seen.ended = true;
            } else if let Ok(members) = Members::scan(text) {
                if let Some(error) = error_of(text, &members) {
                    seen.error = Some(error);
                    return Ok(());
                }
                seen.content = true;
                // Partial images come before the one that tells what it took.
                if members.find(text, "usage").is_some() {
                    self.read(text, &members, seen);
                }
            } else {
                return Err(StreamError::malformed("an event is not a JSON object"));
            }
        }
        out.extend_from_slice(frame.raw);
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, seen: &mut Seen) -> Result<End, StreamError> {
        Ok(if seen.ended || seen.finished { End::Complete } else { End::Truncated })
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        self.dialect.encode_fault_event(fault, &self.stamp.id, out);
    }

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<Vec<Bytes>, StreamError> {
        let members = Members::scan(body).map_err(|error| StreamError::malformed(error.to_string()))?;
        if let Some(error) = error_of(body, &members) {
            seen.error = Some(error);
            return Ok(Vec::new());
        }
        self.read(body, &members, seen);
        seen.ended = true;
        Ok(self.annotate(body, &members, seen).apply(body).into_vec())
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// The error that an object with a 200 status tells, if it does.
fn error_of(text: &[u8], members: &Members) -> Option<UpstreamError> {
    let member = members.find(text, "error")?;
    let range: Range<usize> = member.value.clone();
    let value = member.text(text);
    if value == "null" {
        return None;
    }
    let error = wire::read::<ErrorObject<'_>>(value).unwrap_or_default();
    let own = |text: Option<wire::Str<'_>>| text.map(|text| text.0.into_owned());
    Some(UpstreamError {
        status: Some(502),
        kind: own(error.kind),
        code: own(error.code),
        message: own(error.message).unwrap_or_else(|| "the provider failed".to_owned()),
        raw: text.get(range).map(Bytes::copy_from_slice),
        ..UpstreamError::default()
    })
}
