//! The other operations in OpenAI's shapes: embeddings, moderations, images.
//!
//! One dialect, spoken by callers and by "OpenAI-compatible" providers alike, so there is no hub: a request is patched,
//! an answer is forwarded with our additions spliced in, and what it used is read on the way.
//!
//! Source: OpenAI API reference, "Embeddings", "Moderations", "Images".

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{
    AnswerOptions, Dialect, Edits, End, GATEWAY_MEMBERS, Losses, Notes, Pipe, Seen, Stamp, StreamError, Target, Usage,
    frame::Frame,
    json, openai_chat,
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

/// The edits that make a caller's request a provider's: the model's name, our own members.
pub fn patch_request(body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits) {
    if members.find(body, "model").is_some() {
        edits.set_text(body, members, "model", target.model);
    }
    edits.remove_all(body, members, &GATEWAY_MEMBERS);
}

/// A pipe for `operation`. `dialect` tells errors inside a stream.
pub fn relay(operation: Operation, dialect: &'static dyn Dialect, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe> {
    Box::new(Relay { operation, dialect, stamp, options, used: Usage::default(), losses: Losses::default() })
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
}

impl OperationUsage<'_> {
    /// Whether there is a count in it.
    fn tells(&self) -> bool {
        [&self.prompt_tokens, &self.input_tokens, &self.output_tokens].into_iter().any(Option::is_some)
    }
}

/// The event that brings an image of a stream.
const IMAGE: &str = "\"image_generation.completed\"";
/// The events before it, which bring drafts.
const DRAFT: &str = "\"image_generation.partial_image\"";

/// Whether an event brings something whole, and so counts. An event without a known type does if it tells a usage.
fn is_whole(text: &[u8], members: &Members) -> bool {
    match members.find(text, "type").map(|kind| kind.text(text)) {
        Some(IMAGE) => true,
        Some(DRAFT) => false,
        _ => members.find(text, "usage").is_some_and(|usage| usage.bytes(text).starts_with(b"{")),
    }
}

struct Relay {
    operation: Operation,
    dialect: &'static dyn Dialect,
    stamp: Stamp,
    options: AnswerOptions,
    /// What was used so far. Something in it that was no count stays so.
    used: Usage,
    losses: Losses,
}

impl Relay {
    /// Reads what the object `members` of `text` tells.
    fn read(&mut self, text: &[u8], members: &Members, seen: &mut Seen) {
        let string = |name: &str| {
            let value = members.find(text, name)?.text(text);
            wire::read::<wire::Str<'_>>(value).ok().map(|text| text.0.into_owned())
        };
        seen.id = string("id").or(seen.id.take());
        seen.model = string("model").or(seen.model.take());
        let told = members.find(text, "usage").and_then(|usage| wire::read::<Option<OperationUsage<'_>>>(usage.text(text)).ok()).flatten();
        let told = told.filter(OperationUsage::tells);
        let images = match (self.operation, members.find(text, "data")) {
            (Operation::Images, Some(data)) => elements(text, &data.value).count() as u64,
            (Operation::Images, None) => 1,
            _ => 0,
        };
        seen.images = seen.images.saturating_add(images);
        // What is no count makes the whole usage none: sums that leave it out would look like sane ones.
        let count = |number: Option<Number<'_>>| number.map_or(0, |number| number.count().unwrap_or(u64::MAX));
        // Images and requests are counted here; of tokens nothing is known but what the provider tells.
        if told.is_some() || matches!(self.operation, Operation::Images | Operation::Moderations) {
            let told = told.unwrap_or_default();
            // Each image of a stream tells its own.
            let before = self.used;
            self.used = Usage {
                input: before.input.saturating_add(count(told.prompt_tokens.or(told.input_tokens))),
                output: before.output.saturating_add(count(told.output_tokens)),
                images: seen.images,
                requests: u64::from(self.operation == Operation::Moderations),
                ..before
            };
            seen.usage = self.used.believed();
        }
        seen.content = true;
        seen.finished = true;
    }

    /// The additions to an answer's object.
    fn annotate(&self, text: &[u8], members: &Members, seen: &Seen) -> Edits {
        let mut edits = Edits::default();
        let Some(notes) = &self.options.notes else { return edits };
        edits.write(text, members, "provider", |out| json::string(out, notes.provider()));
        if let Some(id) = &seen.id {
            edits.write(text, members, "native_response_id", |out| json::string(out, id));
        }
        if let (Some(usage), true) = (&seen.usage, self.options.rich_usage) {
            let told = members.find(text, "usage").map(|usage| Members::of(text, &usage.value)).filter(|usage| !usage.is_empty());
            match told {
                Some(told) => edits.write(text, &told, "cost", |out| _ = notes.cost(usage, out)),
                // The API has no counts here, so these are all ours. An image's would lack counts that the API's must have.
                None if self.operation == Operation::Moderations => {
                    edits.write(text, members, "usage", |out| requested(usage, notes.as_ref(), out));
                }
                None => {}
            }
        }
        edits.write(text, members, "meta", |out| _ = notes.meta(seen.model.as_deref(), seen.usage.as_ref(), out));
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
                if is_whole(text, &members) {
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

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<SmallVec<[Bytes; 1]>, StreamError> {
        let members = Members::scan(body).map_err(|error| StreamError::malformed(error.to_string()))?;
        if let Some(error) = error_of(body, &members) {
            seen.error = Some(error);
            return Ok(SmallVec::new());
        }
        self.read(body, &members, seen);
        seen.ended = true;
        Ok(self.annotate(body, &members, seen).apply(body))
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// Writes the usage of what is billed by the request: their number, and the cost.
fn requested(usage: &Usage, notes: &dyn Notes, out: &mut BytesMut) {
    let mut object = json::Object::begin(out);
    object.number("requests", usage.requests);
    let mut cost = BytesMut::new();
    if notes.cost(usage, &mut cost) {
        object.key("cost").extend_from_slice(&cost);
    }
    object.end();
}

/// The error that an object with a 200 status tells, if it does.
fn error_of(text: &[u8], members: &Members) -> Option<UpstreamError> {
    members.find(text, "error").filter(|error| error.bytes(text) != b"null")?;
    Some(openai_chat::error::upstream(&String::from_utf8_lossy(text), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai_chat::OpenAiChat;

    #[derive(Debug)]
    struct Noted;

    impl Notes for Noted {
        fn provider(&self) -> &str {
            "one"
        }

        fn cost(&self, _: &Usage, out: &mut BytesMut) -> bool {
            out.extend_from_slice(b"0.5");
            true
        }

        fn meta(&self, _: Option<&str>, _: Option<&Usage>, _: &mut BytesMut) -> bool {
            false
        }
    }

    fn pipe(operation: Operation) -> Box<dyn Pipe> {
        let options = AnswerOptions { rich_usage: true, notes: Some(std::sync::Arc::new(Noted)), ..AnswerOptions::default() };
        relay(operation, &OpenAiChat, Stamp::default(), options)
    }

    fn whole(operation: Operation, body: &'static str) -> (String, Seen) {
        let mut seen = Seen::default();
        let parts = pipe(operation).whole(&Bytes::from_static(body.as_bytes()), &mut seen).unwrap();
        (String::from_utf8(parts.concat()).unwrap(), seen)
    }

    #[test]
    fn a_usage_is_only_reported_by_the_provider() {
        for body in [r#"{"data":[]}"#, r#"{"data":[],"usage":null}"#, r#"{"data":[],"usage":{}}"#] {
            assert_eq!(whole(Operation::Embeddings, body).1.usage, None, "{body}");
        }
        let told = whole(Operation::Embeddings, r#"{"data":[],"usage":{"prompt_tokens":7,"total_tokens":7}}"#).1.usage;
        assert_eq!(told, Some(Usage { input: 7, ..Usage::default() }));
        // F073: what is no count is no usage.
        for odd in ["-1", "2.5", "1e18", "1000000000000000000"] {
            let body = format!(r#"{{"data":[],"usage":{{"prompt_tokens":{odd}}}}}"#);
            assert_eq!(whole(Operation::Embeddings, body.leak()).1.usage, None);
        }
        assert_eq!(whole(Operation::Images, r#"{"data":[{},{}]}"#).1.usage, Some(Usage { images: 2, ..Usage::default() }));
        assert_eq!(whole(Operation::Moderations, "{}").1.usage, Some(Usage { requests: 1, ..Usage::default() }));
    }

    #[test]
    fn what_a_gateway_behind_us_wrote_gives_way() {
        let body = r#"{"id":"a","provider":"two","native_response_id":"b","usage":{"prompt_tokens":1,"cost":9}}"#;
        let ours = r#"{"id":"a","provider":"one","native_response_id":"a","usage":{"prompt_tokens":1,"cost":0.5}}"#;
        assert_eq!(whole(Operation::Embeddings, body).0, ours);
    }

    #[test]
    fn a_moderation_is_billed_by_the_request() {
        let told = whole(Operation::Moderations, r#"{"id":"m","model":"o","results":[]}"#).0;
        let usage = r#""usage":{"requests":1,"cost":0.5}"#;
        assert!(told.starts_with(r#"{"id":"m","model":"o","results":[],"#) && told.contains(usage), "{told}");
        let told = whole(Operation::Moderations, r#"{"id":"m","usage":null}"#).0;
        assert!(told.contains(usage), "{told}");
        assert!(!whole(Operation::Images, r#"{"data":[{}]}"#).0.contains("usage"));
    }

    #[test]
    fn each_image_of_a_stream_counts() {
        let (mut pipe, mut seen) = (pipe(Operation::Images), Seen::default());
        let mut event = |data: &str| {
            let raw = format!("data: {data}\n\n");
            let frame = Frame { event: "", data: Some(data.into()), raw: raw.as_bytes() };
            pipe.frame(&frame, &mut BytesMut::new(), &mut seen).unwrap();
            (seen.finished, seen.usage)
        };
        assert_eq!(event(r#"{"type":"image_generation.partial_image","usage":null}"#), (false, None));
        let one = Usage { images: 1, ..Usage::default() };
        assert_eq!(event(r#"{"type":"image_generation.completed"}"#), (true, Some(one)));
        let two = Usage { input: 3, output: 5, images: 2, ..Usage::default() };
        assert_eq!(event(r#"{"type":"image_generation.completed","usage":{"input_tokens":3,"output_tokens":5}}"#), (true, Some(two)));
    }

    #[test]
    fn f073_of_a_stream_with_an_odd_count_the_images_are_known() {
        let usage =
            |tokens: &str| format!(r#"{{"type":"image_generation.completed","usage":{{"input_tokens":3,"output_tokens":{tokens}}}}}"#);
        for odd in ["-1", "2.5", "1e18"] {
            let (mut pipe, mut seen) = (pipe(Operation::Images), Seen::default());
            for (tokens, reported) in [("5", true), (odd, false), ("5", false)] {
                let data = usage(tokens);
                let raw = format!("data: {data}\n\n");
                let frame = Frame { event: "", data: Some(data.as_str().into()), raw: raw.as_bytes() };
                pipe.frame(&frame, &mut BytesMut::new(), &mut seen).unwrap();
                assert_eq!(seen.usage.is_some(), reported, "{odd}, {tokens}");
            }
            assert_eq!(seen.images, 3, "{odd}");
        }
    }

    #[test]
    fn f052_a_key_in_an_error_goes_no_further() {
        let mut seen = Seen::default();
        let body = r#"{"error":{"message":"bad key sk-abcdefgh0123","code":"x"}}"#;
        pipe(Operation::Embeddings).whole(&Bytes::from_static(body.as_bytes()), &mut seen).unwrap();
        assert!(!format!("{:?}", seen.error.unwrap()).contains("abcdefgh"));
    }
}
