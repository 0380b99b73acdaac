//! A Message, streamed or whole, read as events.

mod blocks;

use std::borrow::Cow;

use self::blocks::Blocks;
use super::{
    error, reply,
    usage::{Counts, Spent},
};
use crate::{
    dialect::{
        Decoder, End, Exchange, StreamError,
        conversation::{Event, FinishReason},
        frame::Frame,
        wire::{self, Raw, Str},
    },
    fault::Detail,
};

/// Reads a Message.
///
/// ```text
/// Awaiting --message_start--> Telling --message_delta with a stop_reason--> Finished --message_stop--> Stopped
///     |                          |                                             |
///     +---- error ---------------+---- error: Stopped, but not complete -------+
/// ```
///
/// The reason to stop is told on at `message_stop`: a stream that breaks off before it has not ended well. A whole Message
/// goes the same way at once. What comes after the end is not read.
#[derive(Debug)]
pub struct MessageDecoder {
    state: State,
    /// A streamed Message's id, to tell its start told twice from another's.
    id: String,
    blocks: Blocks,
    counts: Counts,
}

#[derive(Debug)]
enum State {
    Awaiting,
    Telling,
    Finished { reason: FinishReason<'static>, stop_sequence: Option<String> },
    Stopped { complete: bool },
    Failed(StreamError),
}

impl MessageDecoder {
    /// A reader of the answer to a request that was translated with `exchange`.
    pub fn new(exchange: &Exchange) -> Self {
        Self { state: State::Awaiting, id: String::new(), blocks: Blocks::new(exchange), counts: Counts::default() }
    }

    fn event<'d>(&mut self, name: &'d str, data: &'d str, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        if matches!(self.state, State::Stopped { .. }) {
            return Ok(());
        }
        let event: reply::StreamEvent<'d> = match wire::read(data) {
            Ok(event) => event,
            Err(_) if name == "error" => return self.error(data, sink),
            Err(detail) => return Err(StreamError::malformed(format!("event `{name}`{}: {}", detail.path, detail.message))),
        };
        let kind = event.kind.unwrap_or(Str(Cow::Borrowed(name)));
        match &*kind {
            "message_start" => {
                let message = wire::read(event.message.map_or("{}", |message| message.get()));
                self.message_start(message.map_err(|detail| malformed(&detail))?, sink)
            }
            "content_block_start" => {
                self.telling("content_block_start")?;
                let block = event.content_block.ok_or_else(|| StreamError::malformed("content_block_start without a block"))?;
                self.blocks.start(event.index.unwrap_or(0), block.into(), sink)
            }
            "content_block_delta" => {
                self.telling("content_block_delta")?;
                self.blocks.delta(event.index.unwrap_or(0), event.delta.unwrap_or_default(), data, sink)
            }
            "content_block_stop" => {
                self.telling("content_block_stop")?;
                self.blocks.stop(event.index.unwrap_or(0), sink)
            }
            "message_delta" => {
                unknown(event.unknown, sink);
                self.message_delta(event.delta.unwrap_or_default(), event.usage, sink)
            }
            "message_stop" => self.message_stop(sink),
            "ping" => {
                sink(Event::Alive);
                Ok(())
            }
            "error" => self.error(event.error.map_or(data, |error| error.get()), sink),
            _ if event.error.is_some() => self.error(event.error.map_or(data, |error| error.get()), sink),
            "" => Err(StreamError::malformed("an event without a type")),
            _ => {
                sink(Event::Unknown { kind: kind.0, raw: Cow::Borrowed(data) });
                Ok(())
            }
        }
    }

    fn message_start<'d>(&mut self, message: reply::Message<'d>, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        let id = message.id.as_deref().unwrap_or_default();
        match self.state {
            State::Awaiting => {}
            // Said again: nothing new.
            _ if id == self.id => return Ok(()),
            _ => return Err(StreamError::order("a second message_start with another id")),
        }
        self.id = id.to_owned();
        self.begun(message, sink);
        Ok(())
    }

    fn begun<'d>(&mut self, message: reply::Message<'d>, sink: &mut dyn FnMut(Event<'d>)) {
        self.state = State::Telling;
        sink(Event::Start { id: message.id.map(|id| id.0), model: message.model.map(|model| model.0), created: None });
        self.usage(message.usage.and_then(|usage| usage.read().ok()), sink);
        unknown(message.unknown, sink);
    }

    fn message_delta<'d>(
        &mut self,
        delta: reply::Delta<'d>,
        usage: Option<Raw<'d>>,
        sink: &mut dyn FnMut(Event<'d>),
    ) -> Result<(), StreamError> {
        unknown(delta.unknown, sink);
        match (&self.state, delta.stop_reason) {
            (State::Awaiting, _) => return Err(StreamError::order("message_delta before message_start")),
            (State::Telling, Some(stop_reason)) => self.finished(stop_reason, delta.stop_sequence),
            _ => {}
        }
        self.usage(usage.and_then(|usage| wire::read(usage.get()).ok()), sink);
        Ok(())
    }

    fn finished(&mut self, stop_reason: Str<'_>, stop_sequence: Option<Str<'_>>) {
        let reason = match reply::finish_reason(stop_reason) {
            // The only call was the output tool's, and that is the answer's text.
            FinishReason::ToolCalls if self.blocks.only_output() => FinishReason::Stop,
            reason => reason.into_owned(),
        };
        self.state = State::Finished { reason, stop_sequence: stop_sequence.map(|sequence| sequence.0.into_owned()) };
    }

    fn message_stop<'d>(&mut self, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        let State::Finished { reason, stop_sequence } = &mut self.state else {
            return Err(StreamError::order("message_stop before a stop_reason"));
        };
        let reason = std::mem::replace(reason, FinishReason::Stop);
        let stop_sequence = stop_sequence.take().map(Cow::Owned);
        // Some servers forget to stop the last block.
        self.blocks.stop_all(sink);
        sink(Event::Finish { choice: 0, reason, stop_sequence });
        self.state = State::Stopped { complete: true };
        Ok(())
    }

    fn usage<'d>(&mut self, spent: Option<Spent<'d>>, sink: &mut dyn FnMut(Event<'d>)) {
        if let Some((usage, tier)) = spent.map(|spent| self.counts.take(spent)) {
            sink(Event::Usage(usage));
            if let Some(tier) = tier {
                sink(Event::ServiceTier(tier.0));
            }
        }
    }

    fn error<'d>(&mut self, error: &'d str, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        self.state = State::Stopped { complete: false };
        sink(Event::Error(error::upstream_error(error)));
        Ok(())
    }

    /// Blocks come between the start and the stop.
    fn telling(&self, event: &str) -> Result<(), StreamError> {
        match self.state {
            State::Telling => Ok(()),
            State::Awaiting => Err(StreamError::order(format!("{event} before message_start"))),
            _ => Err(StreamError::order(format!("{event} after the stop_reason"))),
        }
    }

    fn whole_message<'d>(&mut self, body: &'d str, sink: &mut dyn FnMut(Event<'d>)) -> Result<(), StreamError> {
        let mut message: reply::Message<'d> = match wire::read(body) {
            Ok(message) => message,
            Err(detail) => return Err(malformed(&detail)),
        };
        if let Some(error) = message.error {
            return self.error(error.get(), sink);
        }
        let content = message.content.take().ok_or_else(|| StreamError::malformed("a message without content"))?;
        let stop_reason = message.stop_reason.take().ok_or_else(|| StreamError::malformed("a message without a stop_reason"))?;
        let (stop_sequence, usage) = (message.stop_sequence.take(), message.usage.take());
        self.begun(message, sink);
        for (index, block) in (0u32..).zip(content) {
            self.blocks.start(index, block, sink)?;
            self.blocks.stop(index, sink)?;
        }
        self.finished(stop_reason, stop_sequence);
        self.usage(usage.and_then(|usage| usage.read().ok()), sink);
        self.message_stop(sink)
    }

    /// Runs `step`, unless an earlier one failed: errors stick.
    fn sticky(&mut self, step: impl FnOnce(&mut Self) -> Result<(), StreamError>) -> Result<(), StreamError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        step(self).inspect_err(|error| self.state = State::Failed(error.clone()))
    }
}

fn malformed(detail: &Detail) -> StreamError {
    StreamError::malformed(format!("message{}: {}", detail.path, detail.message))
}

/// Tells members that only this dialect knows, if they say something.
fn unknown<'d>(members: wire::Unknown<'d>, sink: &mut dyn FnMut(Event<'d>)) {
    for (kind, raw) in members.into_iter().filter(|(_, raw)| raw.get() != "null") {
        sink(Event::Unknown { kind, raw: Cow::Borrowed(raw.get()) });
    }
}

impl Decoder for MessageDecoder {
    fn frame<'f>(&mut self, frame: &Frame<'f>, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError> {
        self.sticky(|this| match &frame.data {
            None => {
                sink(Event::Alive);
                Ok(())
            }
            Some(Cow::Borrowed(data)) => this.event(frame.event, data, sink),
            Some(Cow::Owned(data)) => this.event(frame.event, data, &mut |event| sink(event.into_owned())),
        })
    }

    fn whole<'f>(&mut self, body: &'f str, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError> {
        self.sticky(|this| this.whole_message(body, sink))
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'static>)) -> Result<End, StreamError> {
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Stopped { complete: true } => Ok(End::Complete),
            _ => {
                self.blocks.close(sink);
                Ok(End::Truncated)
            }
        }
    }

    fn ended(&self) -> bool {
        matches!(self.state, State::Stopped { complete: true })
    }
}
