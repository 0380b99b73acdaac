//! What is written into answers beside the dialect's own members.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;

use crate::{
    catalog::Target,
    dialect::{Notes, Usage, json},
    stage::{AttemptTally, CallFacts, throughput, write_millis},
};

/// The facts of one attempt's answer.
pub(super) struct AnswerNotes {
    pub(super) call: Arc<CallFacts>,
    pub(super) target: Arc<Target>,
    pub(super) tally: AttemptTally,
    pub(super) attempt: u32,
    /// When the request was sent.
    pub(super) sent: Instant,
    /// When the caller could first be shown something.
    pub(super) committed: OnceLock<Instant>,
}

impl Notes for AnswerNotes {
    fn provider(&self) -> &str {
        self.target.provider.name.as_str()
    }

    fn cost(&self, usage: &Usage, out: &mut BytesMut) -> bool {
        self.tally.write_cost(usage, out);
        true
    }

    fn meta(&self, model: Option<&str>, usage: Option<&Usage>, out: &mut BytesMut) -> bool {
        if !self.call.meta {
            return false;
        }
        let now = Instant::now();
        let committed = *self.committed.get().unwrap_or(&now);
        // A whole answer is there all at once: how long it was in the making, only its provider knows.
        let generation = if self.call.stream { now.saturating_duration_since(committed) } else { Duration::ZERO };
        let mut meta = json::Object::begin(out);
        meta.str("request_id", self.call.id.as_str())
            .str("endpoint", self.call.operation.name())
            .str("provider", self.provider())
            .str("model", self.target.id.as_str())
            .str("provider_model", model.unwrap_or(&self.target.model))
            .number("attempts", u64::from(self.attempt));
        write_millis(meta.key("ttft_ms"), committed.saturating_duration_since(self.call.started));
        write_millis(meta.key("generation_ms"), generation);
        write_millis(meta.key("latency_ms"), now.saturating_duration_since(self.call.started));
        write_millis(meta.key("gateway_ms"), self.sent.saturating_duration_since(self.call.started));
        let output = usage.map_or(0, |usage| usage.output);
        match throughput(output, generation) {
            Some(rate) => meta.raw("throughput_tps", &rate.to_string()),
            None => meta.raw("throughput_tps", "null"),
        };
        meta.end();
        true
    }
}
