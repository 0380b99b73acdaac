//! The dialect's machines, driven with text.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use portcullis::dialect::{
    AnswerOptions, Dialect, End, Exchange, Losses, Notes, Pipe, Seen, Stamp, StreamError, Usage,
    anthropic::AnthropicMessages,
    conversation::Event,
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
};

pub const MESSAGES: &dyn Dialect = &AnthropicMessages;

/// A stream of `data`, each event named as its `type`.
pub fn sse(data: &[&str]) -> String {
    data.iter()
        .map(|data| {
            let kind = data.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            format!("event: {kind}\ndata: {data}\n\n")
        })
        .collect()
}

/// Feeds `text` as frames.
pub fn frames(text: &str, sink: &mut dyn FnMut(&Frame<'_>) -> Result<(), StreamError>) -> Result<(), StreamError> {
    let mut sse = Sse::new(Limits::default());
    sse.feed(text.as_bytes(), sink)?;
    sse.finish(sink)
}

/// The events of a stream, and how it ended.
pub fn events(text: &str, exchange: &Exchange) -> (Vec<Event<'static>>, Result<End, StreamError>) {
    let mut decoder = MESSAGES.decoder(exchange);
    let mut events = Vec::new();
    let fed = frames(text, &mut |frame| decoder.frame(frame, &mut |event| events.push(event.into_owned())));
    let end = decoder.finish(&mut |event| events.push(event));
    (events, fed.and(end))
}

/// The events of a whole answer.
pub fn whole(body: &str, exchange: &Exchange) -> Result<Vec<Event<'static>>, StreamError> {
    let mut decoder = MESSAGES.decoder(exchange);
    let mut events = Vec::new();
    decoder.whole(body, &mut |event| events.push(event.into_owned()))?;
    Ok(events)
}

/// What the encoder makes of `events`, checked by the grammar; and the ids of what it lost.
pub fn encoded(events: &[Event<'_>], options: AnswerOptions) -> (String, Vec<&'static str>) {
    let (mut out, mut losses) = (BytesMut::new(), Losses::default());
    let mut encoder = MESSAGES.encoder(stamp(), options);
    events.iter().for_each(|event| encoder.event(event, &mut out, &mut losses));
    encoder.finish(&mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(grammar(&text), Ok(()), "{text}");
    (text, ids(&losses))
}

/// The grammar's verdict.
pub fn grammar(text: &str) -> Result<(), String> {
    let mut grammar = MESSAGES.grammar();
    frames(text, &mut |frame| grammar.frame(frame).map_err(|violation| StreamError::order(violation.0))).map_err(|error| error.message)?;
    grammar.finish().map_err(|violation| violation.0)
}

/// A pipe's output for a stream.
pub fn piped(pipe: &mut dyn Pipe, text: &str) -> (String, Seen, Result<End, StreamError>) {
    let (mut out, mut seen) = (BytesMut::new(), Seen::default());
    let fed = frames(text, &mut |frame| pipe.frame(frame, &mut out, &mut seen));
    let end = pipe.finish(&mut out, &mut seen);
    (String::from_utf8(out.to_vec()).unwrap(), seen, fed.and(end))
}

/// The `data` of each frame.
pub fn data(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

pub fn ids(losses: &Losses) -> Vec<&'static str> {
    losses.iter().map(|lost| lost.loss.id).collect()
}

pub fn stamp() -> Stamp {
    Stamp { id: "G-01KTEST".into(), created: 1_750_000_000, model: "some-model".into() }
}

/// Notes of everything.
pub fn noted() -> AnswerOptions {
    struct Everything;
    impl Notes for Everything {
        fn provider(&self) -> &str {
            "claude-shop"
        }
        fn cost(&self, usage: &Usage, out: &mut BytesMut) -> bool {
            out.put_slice(format!(r#"{{"total_nanos":{}}}"#, usage.input + usage.output).as_bytes());
            true
        }
        fn meta(&self, model: Option<&str>, _: Option<&Usage>, out: &mut BytesMut) -> bool {
            out.put_slice(format!(r#"{{"provider_model":"{}"}}"#, model.unwrap_or_default()).as_bytes());
            true
        }
    }
    AnswerOptions { include_usage: true, rich_usage: true, notes: Some(Arc::new(Everything)) }
}
