//! A decoder takes any bytes, says the same however they are cut, keeps events in order, and sticks to an error.

use portcullis::dialect::{
    Dialect, End, Exchange, StreamError,
    conversation::{BlockId, Delta, Event, Opening},
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
};

use super::{Outcome, chunks, cuts_of};

/// Takes a streamed answer or a whole one: whichever it is.
pub fn law(dialect: &'static dyn Dialect, answer: &[u8]) -> Outcome {
    let cuts = cuts_of(answer);
    let (events, end) = stream(dialect, answer, &[]);
    assert_eq!((&events, &end), (&stream(dialect, answer, &cuts).0, &end), "cuts {cuts:?} change the events");
    let whole = std::str::from_utf8(answer).is_ok_and(|text| whole(dialect, text));
    if whole || end == Ok(End::Complete) { Outcome::Accepted } else { Outcome::Refused }
}

/// The events of a stream, as text, and its end.
fn stream(dialect: &'static dyn Dialect, stream: &[u8], cuts: &[usize]) -> (Vec<String>, Result<End, StreamError>) {
    let mut sse = Sse::new(Limits::default());
    let mut decoder = dialect.decoder(&Exchange::default());
    let mut order = Order::default();
    let mut events = Vec::new();
    let mut frame = |frame: &Frame<'_>| {
        if order.failed || decoder.ended() {
            return Ok(());
        }
        let result = decoder.frame(frame, &mut |event| {
            order.take(&event);
            // How often it is alive is for nobody to count.
            if event != Event::Alive {
                events.push(format!("{event:?}"));
            }
        });
        if let Err(error) = &result {
            assert_eq!(decoder.frame(frame, &mut |event| panic!("{event:?} after {error}")).as_ref(), Err(error));
            assert_eq!(decoder.finish(&mut |event| panic!("{event:?} after {error}")).as_ref(), Err(error));
        }
        result
    };
    let fed = chunks(stream, cuts).into_iter().try_for_each(|chunk| sse.feed(chunk, &mut frame)).and_then(|()| sse.finish(&mut frame));
    if let Err(error) = fed {
        return (events, Err(error));
    }
    if order.failed {
        return (events, Ok(End::Truncated));
    }
    let end = decoder.finish(&mut |event| {
        order.take(&event);
        events.push(format!("{event:?}"));
    });
    if end == Ok(End::Complete) {
        order.end();
    }
    (events, end)
}

fn whole(dialect: &'static dyn Dialect, body: &str) -> bool {
    let mut order = Order::default();
    let taken = dialect.decoder(&Exchange::default()).whole(body, &mut |event| order.take(&event)).is_ok();
    if taken && !order.failed {
        order.end();
    }
    taken && !order.failed
}

/// The order of an answer's events, as [`Event`] tells it.
#[derive(Default)]
pub struct Order {
    started: bool,
    failed: bool,
    opened: Vec<BlockId>,
    open: Vec<(BlockId, u32, &'static str)>,
    begun: Vec<u32>,
    finished: Vec<u32>,
}

impl Order {
    pub fn take(&mut self, event: &Event<'_>) {
        assert!(!self.failed, "{event:?} after an error");
        match event {
            Event::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "starts twice"),
            Event::Open { block, choice, opening } => {
                assert!(self.started, "a block before the start");
                assert!(!self.opened.contains(block), "block {block} opens twice");
                assert!(!self.finished.contains(choice), "block {block} opens after choice {choice} finished");
                self.opened.push(*block);
                self.open.push((*block, *choice, kind(opening)));
                self.begin(*choice);
            }
            Event::Delta { block, delta } => {
                let open = self.open.iter().find(|(open, ..)| open == block);
                let (.., kind) = open.unwrap_or_else(|| panic!("a delta for block {block}, which is not open"));
                let fits: &[&str] = match delta {
                    Delta::Text(_) => &["text", "refusal", "reasoning"],
                    Delta::Arguments(_) => &["tool call", "unknown"],
                    Delta::Signature { .. } => &["reasoning"],
                    Delta::Citation { .. } => &["text"],
                    _ => return,
                };
                assert!(fits.contains(kind), "{delta:?} for a block of {kind}");
            }
            Event::Close { block } => {
                let at = self.open.iter().position(|(open, ..)| open == block);
                self.open.remove(at.unwrap_or_else(|| panic!("block {block} closes, which is not open")));
            }
            Event::Logprobs { choice, .. } => self.begin(*choice),
            Event::Finish { choice, .. } => {
                assert!(self.started, "a finish before the start");
                assert!(!self.finished.contains(choice), "choice {choice} finishes twice");
                assert!(self.open.iter().all(|(_, of, _)| of != choice), "choice {choice} finishes with a block open");
                self.begin(*choice);
                self.finished.push(*choice);
            }
            Event::Error(_) => self.failed = true,
            _ => {}
        }
    }

    /// A complete answer leaves nothing open.
    pub fn end(&self) {
        assert!(self.started, "complete without a start");
        assert!(self.open.is_empty(), "complete with open blocks");
        assert!(self.begun.iter().all(|choice| self.finished.contains(choice)), "complete with an open choice");
    }

    fn begin(&mut self, choice: u32) {
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
        }
    }
}

fn kind(opening: &Opening<'_>) -> &'static str {
    match opening {
        Opening::Text => "text",
        Opening::Refusal => "refusal",
        Opening::Reasoning => "reasoning",
        Opening::Redacted { .. } => "redacted",
        Opening::ToolCall { .. } => "tool call",
        _ => "unknown",
    }
}
