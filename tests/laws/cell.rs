//! A cell of the table "provider x caller": the same answer however it is cut, in the caller's grammar, with one end,
//! and as much of it and as many tokens as came.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use portcullis::{
    dialect::{
        AnswerOptions, Crossing, Dialect, End, Exchange, Losses, Notes, Pipe, Seen, Stamp, StreamError, Usage,
        conversation::{Answer, AnswerBlock},
        frame::{
            Frame,
            sse::{Limits, Sse},
        },
        grammar::{Grammar, Violation},
    },
    fault::{Failure, Fault, FaultKind, Phase},
};

use serde_json::{Map, Value};

use super::{Outcome, assert_object, chunks, cuts_of};

/// Takes a provider's answer, streamed or whole: whichever it is.
pub fn law(from: &'static dyn Dialect, to: &'static dyn Dialect, answer: &[u8]) -> Outcome {
    let mut outcome = Outcome::Refused;
    // Within a dialect there are two ways: the relay, and through the hub where a host maps events.
    let relays: &[bool] = if from.name() == to.name() { &[true, false] } else { &[false] };
    for &relay in relays {
        for options in options() {
            let way = Way { from, to, relay, options };
            if way.stream(answer) || way.whole(answer) {
                outcome = Outcome::Accepted;
            }
        }
    }
    outcome
}

/// A way through the table.
struct Way {
    from: &'static dyn Dialect,
    to: &'static dyn Dialect,
    relay: bool,
    options: AnswerOptions,
}

/// What a caller was told.
struct Told {
    out: Vec<u8>,
    /// The provider's bytes that were used.
    used: Vec<u8>,
    seen: Seen,
    complete: bool,
}

impl Way {
    fn stream(&self, answer: &[u8]) -> bool {
        let cuts = cuts_of(answer);
        let told = run(self.pipe(), self.to, answer, &[]);
        let cut = run(self.pipe(), self.to, answer, &cuts);
        // A relay forwards what came, and where a CRLF is cut in two its LF goes with the next frame.
        let same = if self.relay && answer.contains(&b'\r') { frames(&told.out) == frames(&cut.out) } else { told.out == cut.out };
        assert!(same, "cuts {cuts:?} change the answer:\n{}\n-- to --\n{}", lossy(&told.out), lossy(&cut.out));
        assert_eq!(told.seen, cut.seen, "cuts {cuts:?} change what is seen");
        assert_eq!(told.complete, cut.complete);
        let bare = self.options.notes.is_none() && !self.options.rich_usage && self.options.include_usage;
        if self.relay && bare && told.complete {
            assert!(told.out == told.used, "a bare relay changes bytes:\n{}\n-- to --\n{}", lossy(&told.used), lossy(&told.out));
        }
        // What is forwarded is as good as what came; what we write is good.
        if !self.relay || checks(self.from, &told.used, told.complete).is_ok() {
            let checked = checks(self.to, &told.out, told.complete);
            assert!(checked.is_ok(), "{}: {}", checked.unwrap_err(), lossy(&told.out));
        }
        if told.complete && !self.relay {
            self.conserves(answer, &told);
        }
        told.complete
    }

    fn whole(&self, answer: &[u8]) -> bool {
        let mut seen = Seen::default();
        let Ok(parts) = self.pipe().whole(&Bytes::copy_from_slice(answer), &mut seen) else { return false };
        if seen.error.is_some() {
            return false;
        }
        let out = parts.concat();
        assert_object(&out, self.to.name());
        // What is forwarded is as good as what came.
        if self.relay && self.from.decoder(&Exchange::default()).whole(&lossy(answer), &mut |_| {}).is_err() {
            return true;
        }
        let (_, usage) = read_whole(self.to, std::str::from_utf8(&out).expect("scanned"));
        same_usage(seen.usage, usage, &lossy(&out));
        true
    }

    /// The answer's text, calls and tokens are there, whether it is translated event by event or folded first.
    fn conserves(&self, answer: &[u8], told: &Told) {
        let mut streamed = fold(self.to, &told.out);
        let mut text = BytesMut::new();
        let mut source = Vec::new();
        with_fold(self.from, answer, |answer| {
            source = Gist::of(answer).choices;
            self.to.encode_answer(answer, &stamp(), &self.options, &mut text, &mut Losses::default());
        });
        assert_object(&text, self.to.name());
        let text = std::str::from_utf8(&text).expect("scanned");
        let (mut folded, usage) = read_whole(self.to, text);
        // Arguments that are no object can be streamed as they are; a whole Message has no place for them.
        if source.iter().flat_map(|said| &said.calls).any(|(.., arguments)| arguments.is_none()) {
            let calls = streamed.choices.iter_mut().chain(&mut folded).flat_map(|said| &mut said.calls);
            calls.for_each(|(.., arguments)| *arguments = None);
        }
        // Blocks that a provider forgot to close are taken, but what they hold comes late in a stream, and of two that are open
        // at once the one that speaks first comes first.
        if checks(self.from, &told.used, true).is_err() {
            for said in streamed.choices.iter_mut().chain(&mut folded) {
                said.reasoning.clear();
                let mut chars: Vec<char> = said.text.chars().collect();
                chars.sort_unstable();
                said.text = chars.into_iter().collect();
            }
        }
        assert_eq!(streamed.choices, folded, "a stream's fold and a fold's translation differ:\n{}\n-- and --\n{text}", lossy(&told.out));
        if self.options.include_usage {
            same_usage(told.seen.usage, streamed.usage, &lossy(&told.out));
        }
        same_usage(told.seen.usage, usage, text);
    }

    fn pipe(&self) -> Box<dyn Pipe> {
        if self.relay {
            self.to.relay(stamp(), self.options.clone())
        } else {
            Box::new(Crossing::new(self.from, self.to, &Exchange::default(), stamp(), self.options.clone()))
        }
    }
}

/// What a whole answer of ours says, and its usage.
fn read_whole(dialect: &'static dyn Dialect, text: &str) -> (Vec<Said>, Option<Usage>) {
    let mut events = Vec::new();
    let read = dialect.decoder(&Exchange::default()).whole(text, &mut |event| events.push(event));
    assert!(read.is_ok(), "{} cannot read its own answer ({read:?}): {text}", dialect.name());
    let gist = Gist::of(&Answer::fold(events));
    (gist.choices, gist.usage)
}

/// One way through a pipe, as its driver goes it.
fn run(mut pipe: Box<dyn Pipe>, to: &'static dyn Dialect, answer: &[u8], cuts: &[usize]) -> Told {
    let mut sse = Sse::new(Limits::default());
    let (mut out, mut used, mut seen) = (BytesMut::new(), Vec::new(), Seen::default());
    let mut frame = |frame: &Frame<'_>| {
        if seen.error.is_some() || seen.ended {
            return Ok(());
        }
        used.extend_from_slice(frame.raw);
        let result = pipe.frame(frame, &mut out, &mut seen);
        if let Err(error) = &result {
            let before = out.len();
            assert_eq!(pipe.frame(frame, &mut out, &mut seen).as_ref(), Err(error), "an error does not stick");
            assert_eq!(out.len(), before, "written after an error");
        }
        result
    };
    let fed = chunks(answer, cuts).into_iter().try_for_each(|chunk| sse.feed(chunk, &mut frame)).and_then(|()| sse.finish(&mut frame));
    let before = out.len();
    let end = match fed {
        Ok(()) if seen.error.is_none() => pipe.finish(&mut out, &mut seen),
        Ok(()) => Ok(End::Truncated),
        Err(error) => Err(error),
    };
    let complete = end == Ok(End::Complete) && seen.error.is_none();
    if !complete {
        assert_eq!(out.len(), before, "a broken answer is ended as if it were whole");
        assert!(
            !frames(&out).iter().any(|(event, data)| normal_end(to, event, data.as_deref())),
            "an end before the error: {}",
            lossy(&out)
        );
        pipe.fail(&Fault::new(FaultKind::Upstream(Failure::Connection)).at(Phase::AfterCommit), &mut out);
    }
    let ends = frames(&out).iter().filter(|(event, data)| normal_end(to, event, data.as_deref())).count();
    // A relayed chat stream may lack its `[DONE]`: a finish and a clean end are complete, too.
    assert!(ends <= usize::from(complete), "{ends} ends: {}", lossy(&out));
    Told { out: out.to_vec(), used, seen, complete }
}

/// Whether a frame is the dialect's word for a complete answer.
fn normal_end(dialect: &dyn Dialect, event: &str, data: Option<&str>) -> bool {
    match dialect.name() {
        "openai-chat" => data == Some("[DONE]"),
        "anthropic-messages" => {
            let told = data.and_then(|data| serde_json::from_str::<Value>(data).ok());
            event == "message_stop" && told.is_some_and(|told| told["type"] == event)
        }
        other => panic!("what ends {other}?"),
    }
}

/// The dialect's own checker on a whole stream.
fn checks(dialect: &'static dyn Dialect, stream: &[u8], complete: bool) -> Result<(), Violation> {
    let mut grammar: Box<dyn Grammar> = dialect.grammar();
    let mut sse = Sse::new(Limits::default());
    let mut frame = |frame: &Frame<'_>| grammar.frame(frame).map_err(|violation| StreamError::order(violation.0));
    sse.feed(stream, &mut frame).map_err(|error| Violation(error.message))?;
    assert!(sse.held() == 0 || !complete, "the last frame is not ended by a blank line: {}", lossy(stream));
    if complete { grammar.finish() } else { Ok(()) }
}

fn same_usage(came: Option<Usage>, went: Option<Usage>, text: &str) {
    let Some(came) = came else { return };
    let went = went.unwrap_or_default();
    let told = |usage: Usage| (usage.prompt(), usage.cache_read, usage.output);
    // Sound usage, in tokens that every dialect counts. Absurd counts are cut, each by itself, so their sums are not kept.
    if came.input_audio == 0 && came.output_audio == 0 && came.prompt().max(came.output) < 1 << 40 {
        assert_eq!(told(came), told(went), "usage is not conserved: {text}");
    }
}

/// What an answer says, past the differences that dialects are allowed: pieces of one kind are put together, empty ones
/// left out.
#[derive(Debug, Default)]
struct Gist {
    choices: Vec<Said>,
    usage: Option<Usage>,
}

#[derive(Debug, Default, PartialEq)]
struct Said {
    choice: u32,
    text: String,
    refusal: String,
    reasoning: String,
    /// Id, name, and the arguments if they are an object.
    calls: Vec<(String, String, Option<String>)>,
    finish: String,
}

impl Gist {
    fn of(answer: &Answer<'_>) -> Self {
        let choices = answer.choices.iter().map(|choice| {
            let finish = format!("{:?} {:?}", choice.finish_reason, choice.stop_sequence);
            let mut said = Said { choice: choice.index, finish, ..Said::default() };
            for block in &choice.blocks {
                match block {
                    AnswerBlock::Text { text, .. } => said.text.push_str(text),
                    AnswerBlock::Refusal(text) => said.refusal.push_str(text),
                    AnswerBlock::Reasoning(reasoning) => said.reasoning.push_str(&reasoning.text),
                    AnswerBlock::ToolCall { id, name, arguments } => {
                        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
                        let object = serde_json::from_str::<Map<String, Value>>(arguments).ok();
                        said.calls.push((id.to_string(), name.to_string(), object.map(|object| format!("{object:?}"))));
                    }
                    _ => {}
                }
            }
            said
        });
        Self { choices: choices.collect(), usage: answer.usage }
    }
}

fn fold(dialect: &'static dyn Dialect, stream: &[u8]) -> Gist {
    let mut gist = Gist::default();
    with_fold(dialect, stream, |answer| gist = Gist::of(answer));
    gist
}

/// Folds a stream that is known to be sound.
fn with_fold(dialect: &'static dyn Dialect, stream: &[u8], take: impl FnOnce(&Answer<'_>)) {
    // Frames are lent for a moment only, events live as long as what they borrow from: keep the frames.
    let mut kept = Vec::new();
    let mut sse = Sse::new(Limits::default());
    let mut keep = |frame: &Frame<'_>| {
        kept.push((frame.event.to_owned(), frame.data.clone().map(|data| data.into_owned()), frame.raw.to_vec()));
        Ok(())
    };
    sse.feed(stream, &mut keep).and_then(|()| sse.finish(&mut keep)).expect("no limit is near");
    let frames: Vec<Frame<'_>> =
        kept.iter().map(|(event, data, raw)| Frame { event, data: data.as_deref().map(Into::into), raw }).collect();
    let mut decoder = dialect.decoder(&Exchange::default());
    let mut events = Vec::new();
    for frame in &frames {
        if decoder.ended() {
            break;
        }
        let read = decoder.frame(frame, &mut |event| events.push(event));
        assert!(read.is_ok(), "{} cannot read its own stream ({read:?}): {}", dialect.name(), lossy(stream));
    }
    let end = decoder.finish(&mut |event| events.push(event));
    assert_eq!(end, Ok(End::Complete), "{} does not know its own end: {}", dialect.name(), lossy(stream));
    take(&Answer::fold(events));
}

fn frames(stream: &[u8]) -> Vec<(String, Option<String>)> {
    let mut seen = Vec::new();
    let mut sse = Sse::new(Limits::default());
    let mut keep = |frame: &Frame<'_>| {
        seen.push((frame.event.to_owned(), frame.data.clone().map(|data| data.into_owned())));
        Ok(())
    };
    sse.feed(stream, &mut keep).and_then(|()| sse.finish(&mut keep)).expect("no limit is near");
    seen.retain(|(event, data)| !event.is_empty() || data.is_some());
    seen
}

fn stamp() -> Stamp {
    Stamp { id: "G-01KAQ5S9M0VYJ3T8W2Z6X4C1BD".into(), created: 1_760_000_000, model: "a-model".into() }
}

/// Bare, as asked for by default, and with everything on.
fn options() -> [AnswerOptions; 3] {
    [
        AnswerOptions { include_usage: true, ..AnswerOptions::default() },
        AnswerOptions::default(),
        AnswerOptions { include_usage: true, rich_usage: true, notes: Some(Arc::new(Noted)) },
    ]
}

struct Noted;

impl Notes for Noted {
    fn provider(&self) -> &str {
        "a-provider"
    }

    fn cost(&self, usage: &Usage, out: &mut BytesMut) -> bool {
        out.extend_from_slice(format!(r#"{{"total_nanos":{},"lines":[]}}"#, usage.output).as_bytes());
        true
    }

    fn meta(&self, _: Option<&str>, _: Option<&Usage>, out: &mut BytesMut) -> bool {
        out.extend_from_slice(br#"{"attempts":1}"#);
        true
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
