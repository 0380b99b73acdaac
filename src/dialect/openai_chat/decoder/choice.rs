//! One choice, from its first piece to its finish reason.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Sink, Told, tool_call::ToolCallState, unknown};
use crate::dialect::{
    StreamError,
    conversation::{BlockId, Delta, Event, FinishReason, Opening},
    openai_chat::{
        NAME, reasoning,
        reply::{Choice, Logprobs, Message, Piece, ToolCall},
        request::ReasoningDetail,
    },
    wire::{Number, Raw, Str, StrOr},
};

/// A choice and its open blocks.
pub(super) struct ChoiceState {
    index: u32,
    prose: Option<(Prose, BlockId)>,
    calls: SmallVec<[ToolCallState; 2]>,
    finished: bool,
}

/// What kind of prose is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prose {
    /// Reasoning, and the number of the `reasoning_details` item it grows by.
    Reasoning(Option<u64>),
    Refusal,
    Text,
}

impl ChoiceState {
    pub(super) fn new(index: u32) -> Self {
        Self { index, prose: None, calls: SmallVec::new(), finished: false }
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// Takes the choice's next piece, or all of it.
    pub(super) fn take<'c>(&mut self, choice: Choice<'c>, told: &mut Told, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        let whole = choice.delta.is_none();
        if let Some(message) = choice.delta.or(choice.message.map(|message| *message)) {
            self.message(message, whole, told, sink)?;
        }
        if let Some(Logprobs { content, refusal, .. }) = choice.logprobs {
            self.logprobs(content, false, sink)?;
            self.logprobs(refusal, true, sink)?;
        }
        unknown(choice.unknown, sink);
        match choice.finish_reason {
            Some(reason) if !reason.is_empty() && !self.finished => self.finish(reason.0, choice.stop_reason, told, sink),
            _ => Ok(()),
        }
    }

    /// Takes a message, `whole` or a piece of one.
    fn message<'c>(&mut self, message: Message<'c>, whole: bool, told: &mut Told, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        let details = message.reasoning_details.unwrap_or_default();
        let plain = message.reasoning_content.or(message.reasoning).map(|text| text.0);
        self.reasoning(plain, details, told, sink)?;
        match message.content {
            Some(StrOr::Str(text)) => self.grow(Prose::Text, text.0, told, sink)?,
            Some(StrOr::Or(pieces)) => pieces.into_iter().try_for_each(|piece| self.piece(piece, told, sink))?,
            None => {}
        }
        for annotation in message.annotations.unwrap_or_default().into_iter().filter(|annotation| annotation.get().starts_with('{')) {
            let block = self.prose(Prose::Text, told, sink)?;
            sink(Event::Delta { block, delta: Delta::Citation { dialect: NAME, raw: Cow::Borrowed(annotation.get()) } });
        }
        if let Some(refusal) = message.refusal {
            self.grow(Prose::Refusal, refusal.0, told, sink)?;
        }
        if let Some(function) = message.function_call {
            self.call(ToolCall { function: Some(*function), ..ToolCall::default() }, whole, told, sink)?;
        }
        for call in message.tool_calls.unwrap_or_default() {
            self.call(call, whole, told, sink)?;
        }
        unknown(message.unknown, sink);
        Ok(())
    }

    /// Mistral's content, piece by piece.
    fn piece<'c>(&mut self, piece: Piece<'c>, told: &mut Told, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        for thought in piece.thinking.unwrap_or_default() {
            if let Some(Str(text)) = thought.text {
                self.grow(Prose::Reasoning(None), text, told, sink)?;
            }
        }
        piece.text.map_or(Ok(()), |Str(text)| self.grow(Prose::Text, text, told, sink))
    }

    /// Reasoning comes once as text alone and perhaps again with its proofs: the text is taken once.
    fn reasoning<'c>(
        &mut self,
        plain: Option<Cow<'c, str>>,
        details: Vec<ReasoningDetail<'c>>,
        told: &mut Told,
        sink: Sink<'_, 'c>,
    ) -> Result<(), StreamError> {
        // Our own encoder repeats a block's whole text beside its signature, for those who only keep the details.
        let streamed = matches!(self.prose, Some((Prose::Reasoning(None), _)));
        let text_of = |detail: &ReasoningDetail<'c>| detail.text.as_ref().or(detail.summary.as_ref()).is_some_and(|text| !text.is_empty());
        let told_there = !streamed && details.iter().any(text_of);
        if let Some(plain) = plain.filter(|_| !told_there) {
            self.grow(Prose::Reasoning(None), plain, told, sink)?;
        }
        for detail in details {
            let number = detail.index.and_then(Number::count);
            let issuer = detail.format.map(|format| reasoning::issuer(format.0)).unwrap_or_default();
            if let Some(data) = detail.data {
                self.ensure_unfinished()?;
                self.close_prose(sink);
                let block = told.block();
                sink(Event::Open { block, choice: self.index, opening: Opening::Redacted { data: data.0, issuer } });
                sink(Event::Close { block });
                continue;
            }
            let grows = if streamed { Prose::Reasoning(None) } else { Prose::Reasoning(number) };
            if let Some(Str(text)) = detail.text.or(detail.summary).filter(|_| told_there) {
                self.grow(grows, text, told, sink)?;
            }
            if let Some(Str(signature)) = detail.signature.filter(|signature| !signature.is_empty()) {
                let grows = match self.prose {
                    Some((open @ Prose::Reasoning(_), _)) => open,
                    _ => grows,
                };
                let block = self.prose(grows, told, sink)?;
                sink(Event::Delta { block, delta: Delta::Signature { signature, issuer } });
                // What is signed is whole.
                self.close_prose(sink);
            }
        }
        Ok(())
    }

    /// Adds `text` to the open block of this kind, or to a new one.
    fn grow<'c>(&mut self, kind: Prose, text: Cow<'c, str>, told: &mut Told, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        if text.is_empty() {
            return Ok(());
        }
        let block = self.prose(kind, told, sink)?;
        sink(Event::Delta { block, delta: Delta::Text(text) });
        Ok(())
    }

    /// The open block of this kind; where another is open, it ends.
    fn prose(&mut self, kind: Prose, told: &mut Told, sink: Sink<'_, '_>) -> Result<BlockId, StreamError> {
        self.ensure_unfinished()?;
        match self.prose {
            Some((open, block)) if open == kind => Ok(block),
            _ => {
                self.close_prose(sink);
                let block = told.block();
                let opening = match kind {
                    Prose::Reasoning(_) => Opening::Reasoning,
                    Prose::Refusal => Opening::Refusal,
                    Prose::Text => Opening::Text,
                };
                sink(Event::Open { block, choice: self.index, opening });
                self.prose = Some((kind, block));
                Ok(block)
            }
        }
    }

    fn close_prose(&mut self, sink: Sink<'_, '_>) {
        if let Some((_, block)) = self.prose.take() {
            sink(Event::Close { block });
        }
    }

    fn call<'c>(&mut self, call: ToolCall<'c>, whole: bool, told: &mut Told, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        self.ensure_unfinished()?;
        // Only a stream tells a call in pieces. In a whole message each is one of its own, even if two bear the same id.
        let begun = if whole { None } else { ToolCallState::find(&self.calls, &call) };
        let at = begun.unwrap_or_else(|| {
            self.calls.push(ToolCallState::new(super::number(call.index)));
            self.calls.len() - 1
        });
        if let Some(state) = self.calls.get_mut(at) {
            if state.opens(&call) {
                // Prose and calls do not grow in turns: what was said before a call is whole.
                if let Some((_, block)) = self.prose.take() {
                    sink(Event::Close { block });
                }
            }
            state.take(call, self.index, at, told, sink);
        }
        Ok(())
    }

    fn logprobs<'c>(&mut self, list: Option<Raw<'c>>, refusal: bool, sink: Sink<'_, 'c>) -> Result<(), StreamError> {
        let inside = list.and_then(|list| list.get().strip_prefix('[')?.strip_suffix(']'));
        match inside.map(str::trim_ascii) {
            None => Ok(()),
            Some("") if self.finished => Ok(()),
            Some(elements) => {
                self.ensure_unfinished()?;
                sink(Event::Logprobs { choice: self.index, refusal, elements: Cow::Borrowed(elements) });
                Ok(())
            }
        }
    }

    fn finish<'c>(
        &mut self,
        reason: Cow<'c, str>,
        stop_reason: Option<Raw<'c>>,
        told: &Told,
        sink: Sink<'_, 'c>,
    ) -> Result<(), StreamError> {
        if self.calls.iter().any(ToolCallState::nameless) {
            return Err(StreamError::malformed("a tool call has no name"));
        }
        let called = self.calls.iter().any(|call| call.is_clients(told));
        let answered = self.calls.iter().any(|call| !call.is_clients(told));
        self.close(&mut |event| sink(event));
        let reason = match &*reason {
            // Some say `stop` after calls (and OpenAI does where one was forced), and `tool_calls` is what it means.
            "stop" | "eos" | "end_turn" if called => FinishReason::ToolCalls,
            "stop" | "eos" | "end_turn" => FinishReason::Stop,
            "length" | "max_tokens" | "model_length" => FinishReason::Length,
            "tool_calls" | "function_call" if answered && !called => FinishReason::Stop,
            "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other(reason),
        };
        let stop_sequence = stop_reason.and_then(|raw| serde_json::from_str::<Str<'c>>(raw.get()).ok()).map(|sequence| sequence.0);
        sink(Event::Finish { choice: self.index, reason, stop_sequence });
        self.finished = true;
        Ok(())
    }

    /// Closes what is open.
    pub(super) fn close(&mut self, sink: Sink<'_, '_>) {
        self.close_prose(sink);
        for block in self.calls.iter_mut().filter_map(ToolCallState::close) {
            sink(Event::Close { block });
        }
    }

    fn ensure_unfinished(&self) -> Result<(), StreamError> {
        if self.finished { Err(StreamError::order("content after its choice's finish_reason")) } else { Ok(()) }
    }
}
