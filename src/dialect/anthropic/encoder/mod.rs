//! Events, written as a streamed Message.

pub mod frames;
mod queue;

use std::sync::Arc;

use bytes::BytesMut;

use self::queue::Queue;
use super::{
    losses,
    reply::{self, Told},
};
use crate::dialect::{
    AnswerOptions, Encoder, Losses, Notes, Place, Stamp, Usage,
    conversation::{Event, FinishReason},
};

/// Writes a streamed Message: `message_start`, blocks one after the other, `message_delta`, `message_stop`.
///
/// Blocks that are open at once wait in a [`Queue`]: on this wire a block is closed before the next begins. What the
/// message says of its end is held until the end, since providers tell their counts behind the reason to stop.
pub struct MessageEncoder {
    stamp: Stamp,
    notes: Option<Arc<dyn Notes>>,
    rich_usage: bool,
    started: bool,
    blocks: Queue,
    stop: Option<Stop>,
    usage: Option<Usage>,
    /// The model that answers, as far as it is to be told again.
    model: Option<String>,
}

/// Why the message stopped.
struct Stop {
    reason: &'static str,
    sequence: Option<String>,
}

impl MessageEncoder {
    /// A writer of the answer that `stamp` and `options` belong to.
    pub fn new(stamp: Stamp, options: AnswerOptions) -> Self {
        let AnswerOptions { rich_usage, notes, .. } = options;
        Self { stamp, notes, rich_usage, started: false, blocks: Queue::default(), stop: None, usage: None, model: None }
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            frames::message_start(&self.stamp, id, model, self.notes.as_deref(), out);
        }
    }

    fn stop(&mut self, reason: &FinishReason<'_>, sequence: Option<&str>, losses: &mut Losses) {
        let told = Told { stop_sequence: sequence.is_some(), ..self.blocks.told() };
        let reason = reply::stop_reason(reason, told).unwrap_or_else(|| {
            losses.report(&losses::ANSWER_FINISH_REASON, Place::of("choices", 0).field("finish_reason"));
            "end_turn"
        });
        self.stop = Some(Stop { reason, sequence: sequence.map(str::to_owned) });
    }
}

impl Encoder for MessageEncoder {
    fn event(&mut self, event: &Event<'_>, out: &mut BytesMut, losses: &mut Losses) {
        match event {
            Event::Start { id, model, .. } => {
                self.model = model.as_deref().filter(|_| self.notes.is_some()).map(str::to_owned);
                self.begin(id.as_deref(), model.as_deref(), out);
            }
            Event::Open { choice: 0, block, opening } => {
                self.begin(None, None, out);
                self.blocks.open(*block, opening, out, losses);
            }
            Event::Open { choice, .. } | Event::Finish { choice: choice @ 1.., .. } => {
                losses.report(&losses::ANSWER_CHOICES, Place::of("choices", *choice as usize));
            }
            Event::Delta { block, delta } => self.blocks.delta(*block, delta, out, losses),
            Event::Close { block } => self.blocks.close(*block, out),
            Event::Finish { reason, stop_sequence, .. } => self.stop(reason, stop_sequence.as_deref(), losses),
            Event::Usage(usage) => self.usage = usage.believed(),
            Event::Logprobs { choice, .. } => {
                losses.report(&losses::ANSWER_LOGPROBS, Place::of("choices", *choice as usize).field("logprobs"));
            }
            Event::ServiceTier(tier) if reply::service_tier(tier).is_none() => {
                losses.report(&losses::ANSWER_SERVICE_TIER, Place::member("service_tier"));
            }
            Event::Fingerprint(_) => losses.report(&losses::ANSWER_FINGERPRINT, Place::member("system_fingerprint")),
            Event::Unknown { kind, .. } => losses.report_at(&losses::ANSWER_MEMBER, format!("/{kind}")),
            // A tier has no place behind `message_start`; the other two are the driver's to write.
            Event::ServiceTier(_) | Event::Alive | Event::Error(_) => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.begin(None, None, out);
        self.blocks.finish(out);
        let stop = self.stop.take().unwrap_or(Stop { reason: "end_turn", sequence: None });
        let (notes, used) = (self.notes.as_deref(), self.usage.as_ref());
        let cost = notes.filter(|_| self.rich_usage);
        frames::message_delta(stop.reason, stop.sequence.as_deref(), used, cost, out, |event| {
            if let Some(notes) = notes {
                event.perhaps("meta", |out| notes.meta(self.model.as_deref(), used, out));
            }
        });
        frames::message_stop(out);
    }
}
