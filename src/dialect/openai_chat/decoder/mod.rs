//! Reads a provider's answer, streamed or whole, into the hub's events.
//!
//! A choice has at most one *prose* block open (reasoning, text or refusal: where one begins the other ends) and any
//! number of tool calls, which this API may grow in turns and never closes; they end with their choice.
//!
//! ```text
//! choice:   fresh --piece--> open --finish_reason--> finished      (then only empty pieces)
//! answer:   frames ... [DONE] or end of bytes: complete if every choice is finished, else truncated
//! ```

mod choice;
mod tool_call;

use std::borrow::Cow;

use smallvec::SmallVec;

use self::choice::ChoiceState;
use super::{
    error,
    reply::{ChatCompletion, Choice},
    usage,
};
use crate::dialect::{
    Decoder, End, Exchange, StreamError,
    conversation::{BlockId, Event},
    frame::Frame,
    wire::{self, Raw, Unknown},
};

/// Takes events of the lifetime `'c`.
type Sink<'s, 'c> = &'s mut dyn FnMut(Event<'c>);

/// A reader of one answer.
pub(super) struct ChatDecoder {
    answer: Told,
    choices: SmallVec<[ChoiceState; 1]>,
    /// `[DONE]` came.
    done: bool,
    /// The provider gave up inside the answer.
    gave_up: bool,
    failed: Option<StreamError>,
}

/// What was told of the answer as a whole.
struct Told {
    exchange: Exchange,
    started: bool,
    /// The provider's id, from which missing ids of calls are made.
    id: String,
    service_tier: bool,
    fingerprint: bool,
    next_block: BlockId,
}

impl Told {
    fn block(&mut self) -> BlockId {
        let block = self.next_block;
        self.next_block = block.saturating_add(1);
        block
    }
}

impl ChatDecoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            answer: Told {
                exchange: exchange.clone(),
                started: false,
                id: String::new(),
                service_tier: false,
                fingerprint: false,
                next_block: 0,
            },
            choices: SmallVec::new(),
            done: false,
            gave_up: false,
            failed: None,
        }
    }

    /// Takes a datum of the stream.
    fn datum<'c>(&mut self, event: &str, text: &'c str, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        if self.done || self.gave_up {
            return Ok(());
        }
        match text.trim_ascii() {
            // Only as a whole datum: an answer may well contain it.
            "[DONE]" => {
                self.done = true;
                Ok(())
            }
            "" => {
                sink(Event::Alive);
                Ok(())
            }
            text if event == "error" => {
                self.give_up(text, sink);
                Ok(())
            }
            text => self.completion(text, sink),
        }
    }

    /// Takes a chunk, or a whole completion.
    fn completion<'c>(&mut self, text: &'c str, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        let wire: ChatCompletion<'c> = wire::read(text).map_err(|detail| {
            let place = if detail.path.is_empty() { "the chunk" } else { &detail.path };
            StreamError::malformed(format!("{place} {}", detail.message))
        })?;
        let failed = wire.object.is_some_and(|object| object.get() == "\"error\"");
        if failed || wire.error.is_some() || (wire.choices.is_none() && error::is_envelope(&wire.unknown)) {
            // What was used until then is told first: nothing follows an error.
            let used = wire.usage.or(wire.x_groq.and_then(|groq| groq.usage));
            tell_usage(used, sink);
            self.give_up(text, sink);
            return Ok(());
        }
        let choices = wire.choices.unwrap_or_default().0;
        // Azure opens with a chunk that has neither id nor choices: the next one is the first that tells anything.
        let tells = !choices.is_empty() || wire.id.as_ref().is_some_and(|id| !id.is_empty());
        if tells && !std::mem::replace(&mut self.answer.started, true) {
            let id = wire.id.map(|id| id.0).filter(|id| !id.is_empty());
            self.answer.id = id.as_deref().unwrap_or_default().to_owned();
            let model = wire.model.map(|model| model.0).filter(|model| !model.is_empty());
            sink(Event::Start { id, model, created: wire.created.and_then(|created| created.get().parse().ok()) });
        }
        if let Some(tier) = wire.service_tier.filter(|_| !std::mem::replace(&mut self.answer.service_tier, true)) {
            sink(Event::ServiceTier(tier.0));
        }
        if let Some(fingerprint) = wire.system_fingerprint.filter(|_| !std::mem::replace(&mut self.answer.fingerprint, true)) {
            sink(Event::Fingerprint(fingerprint.0));
        }
        let mut used = wire.usage.or(wire.x_groq.and_then(|groq| groq.usage));
        let mut failed = None;
        for (position, choice) in choices.into_iter().enumerate() {
            used = used.or(choice.usage);
            if choice.error.is_some() {
                failed = choice.error;
                break;
            }
            self.choice(position, choice, sink)?;
        }
        unknown(wire.unknown, sink);
        tell_usage(used, sink);
        if let Some(error) = failed {
            self.give_up(error.get(), sink);
        }
        Ok(())
    }

    fn choice<'c>(&mut self, position: usize, choice: Choice<'c>, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        let index = number(choice.index).and_then(|index| u32::try_from(index).ok()).unwrap_or(position.try_into().unwrap_or(u32::MAX));
        let at = self.choices.iter().position(|state| state.index() == index).unwrap_or_else(|| {
            self.choices.push(ChoiceState::new(index));
            self.choices.len() - 1
        });
        match self.choices.get_mut(at) {
            Some(state) => state.take(choice, &mut self.answer, sink),
            None => Ok(()),
        }
    }

    /// The provider's failure, in any of the shapes that servers give it.
    fn give_up(&mut self, text: &str, sink: Sink<'_, '_>) {
        self.gave_up = true;
        sink(Event::Error(error::upstream(text, None)));
    }

    fn guarded(&mut self, act: impl FnOnce(&mut Self) -> Result<(), StreamError>) -> Result<(), StreamError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => act(self).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }
}

impl Decoder for ChatDecoder {
    fn frame<'f>(&mut self, frame: &Frame<'f>, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError> {
        self.guarded(|decoder| match &frame.data {
            None => {
                sink(Event::Alive);
                Ok(())
            }
            Some(Cow::Borrowed(text)) => decoder.datum(frame.event, text, sink),
            Some(Cow::Owned(text)) => decoder.datum(frame.event, text, &mut |event| sink(event.into_owned())),
        })
    }

    fn whole<'f>(&mut self, body: &'f str, sink: &mut dyn FnMut(Event<'f>)) -> Result<(), StreamError> {
        self.guarded(|decoder| {
            decoder.completion(body.trim_ascii(), sink)?;
            if decoder.choices.is_empty() && !decoder.gave_up {
                return Err(StreamError::malformed("there are no choices"));
            }
            if !decoder.gave_up && !decoder.choices.iter().all(ChoiceState::finished) {
                return Err(StreamError::malformed("a choice has no finish_reason"));
            }
            decoder.choices.iter_mut().for_each(|choice| choice.close(&mut |event| sink(event)));
            decoder.done = true;
            Ok(())
        })
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'static>)) -> Result<End, StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let complete = !self.gave_up && !self.choices.is_empty() && self.choices.iter().all(ChoiceState::finished);
        self.choices.iter_mut().for_each(|choice| choice.close(&mut |event| sink(event)));
        Ok(if complete { End::Complete } else { End::Truncated })
    }

    fn ended(&self) -> bool {
        self.done || self.gave_up
    }
}

/// A number that is not vital enough to fail for.
fn number(raw: Option<Raw<'_>>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// Tells what was used, if it was counted.
fn tell_usage<'c>(used: Option<Raw<'_>>, sink: Sink<'_, 'c>) {
    if let Some(usage) = used.and_then(|used| usage::read(used.get())) {
        sink(Event::Usage(usage));
    }
}

/// Hands on what this crate does not know.
fn unknown<'c>(members: Unknown<'c>, sink: Sink<'_, 'c>) {
    for (kind, raw) in members {
        // These name what the provider's other members say already.
        let known = matches!(&*kind, "provider" | "native_finish_reason");
        if raw.get() != "null" && !known {
            sink(Event::Unknown { kind, raw: Cow::Borrowed(raw.get()) });
        }
    }
}
