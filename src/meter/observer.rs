//! Reads what an answer used from its bytes, where no layer below reports it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};

use super::fold::Observed;
use crate::{
    catalog::Price,
    dialect::{
        AnswerOptions, Pipe, Seen, Stamp, StreamError,
        frame::sse::{Limits, Sse},
        operations,
    },
    stage::{CallFacts, Operation, Outcome},
};

/// What a call costs, by what is asked and what was seen of the answer.
pub(super) type PriceList = dyn Fn(&CallFacts, &Seen) -> Option<Arc<Price>> + Send + Sync;

/// Follows one answer in the caller's dialect. It changes nothing, and what it cannot read it leaves alone.
pub(super) struct Observer {
    prices: Arc<PriceList>,
    reading: Reading,
    seen: Seen,
    /// Bytes of the body so far.
    bytes: u64,
    outcome: Option<Outcome>,
}

enum Reading {
    /// No answer yet, one that cannot be read, or one that is read.
    Nothing,
    Stream {
        frames: Sse,
        pipe: Box<dyn Pipe>,
        /// What the pipe would tell the caller; nobody wants it.
        out: BytesMut,
    },
    Whole {
        body: BytesMut,
        pipe: Box<dyn Pipe>,
    },
}

/// Larger whole answers are not read.
const MOST_WHOLE: usize = 8 << 20;

impl Observer {
    pub(super) fn new(prices: Arc<PriceList>) -> Self {
        Self { prices, reading: Reading::Nothing, seen: Seen::default(), bytes: 0, outcome: None }
    }

    /// Takes the answer's head.
    pub(super) fn head(&mut self, call: &CallFacts, status: StatusCode, headers: &HeaderMap) {
        let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        if !status.is_success() || encoded {
            return;
        }
        let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |media| media.as_bytes());
        let streamed = media.get(..17).is_some_and(|media| media.eq_ignore_ascii_case(b"text/event-stream"));
        self.reading = match pipe(call) {
            Some(pipe) if streamed => Reading::Stream { frames: Sse::new(Limits::default()), pipe, out: BytesMut::new() },
            Some(pipe) => Reading::Whole { body: BytesMut::new(), pipe },
            None => Reading::Nothing,
        };
    }

    /// Takes the next bytes; says whether the dialect's own end was among them.
    pub(super) fn chunk(&mut self, data: &Bytes) -> bool {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        let seen = &mut self.seen;
        match &mut self.reading {
            Reading::Nothing => {}
            Reading::Stream { frames, pipe, out } => {
                let fed = quietly(|| frames.feed(data, &mut |frame| if seen.ended { Ok(()) } else { pipe.frame(frame, out, seen) }));
                out.clear();
                if fed.is_none() || seen.error.is_some() {
                    self.end();
                } else if self.seen.ended {
                    self.end();
                    return true;
                }
            }
            Reading::Whole { body, .. } if body.len() + data.len() <= MOST_WHOLE => body.extend_from_slice(data),
            Reading::Whole { .. } => self.reading = Reading::Nothing,
        }
        false
    }

    /// No more bytes come.
    pub(super) fn end(&mut self) {
        let seen = &mut self.seen;
        let outcome = match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::Nothing => return,
            Reading::Stream { mut frames, mut pipe, mut out } => {
                let mut read = |frames: &mut Sse, pipe: &mut Box<dyn Pipe>| {
                    frames.finish(&mut |frame| if seen.ended { Ok(()) } else { pipe.frame(frame, &mut out, seen) })?;
                    pipe.finish(&mut out, seen)
                };
                quietly(|| read(&mut frames, &mut pipe)).map(Outcome::from)
            }
            Reading::Whole { body, mut pipe } => quietly(|| pipe.whole(&body.freeze(), seen)).map(|_| Outcome::Complete),
        };
        self.outcome = if self.seen.error.is_some() { Some(Outcome::Failed) } else { outcome };
    }

    /// What is known now that the call is over.
    pub(super) fn observed(mut self, call: &CallFacts) -> Observed {
        // An answer that could not be read is taken to be text.
        if self.seen.usage.is_none() && self.seen.output_bytes == 0 {
            self.seen.output_bytes = self.bytes;
        }
        let price = catch_unwind(AssertUnwindSafe(|| (self.prices)(call, &self.seen))).unwrap_or_else(|_| {
            tracing::error!(generation = %call.id, "the price list panicked");
            None
        });
        Observed { seen: self.seen, outcome: self.outcome, price }
    }
}

/// A reader of answers to `call`.
fn pipe(call: &CallFacts) -> Option<Box<dyn Pipe>> {
    let stamp = Stamp { id: call.id.shared(), model: call.model.as_str().into(), ..Stamp::default() };
    let options = AnswerOptions { include_usage: true, ..AnswerOptions::default() };
    let other = |operation| operations::relay(operation, call.dialect, stamp.clone(), options.clone());
    catch_unwind(AssertUnwindSafe(|| match call.operation {
        Operation::Chat => call.dialect.relay(stamp.clone(), options.clone()),
        Operation::Embeddings => other(operations::Operation::Embeddings),
        Operation::Images => other(operations::Operation::Images),
        Operation::Moderations => other(operations::Operation::Moderations),
    }))
    .ok()
}

/// What `read` gives; an answer that is not the dialect is none of the meter's business, and a panic hurts nobody.
fn quietly<T>(read: impl FnOnce() -> Result<T, StreamError>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok().and_then(Result::ok)
}
