//! From what was noted while a call ran to its record.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{AttemptRecord, PricingLine, Record, RecordedUsage, UsageSource, estimate};
use crate::{
    catalog::{Cost, Picodollars, Price},
    dialect::{Losses, Seen, Usage},
    fault::{Fault, FaultKind},
    stage::{AttemptEntry, CallFacts, Outcome, Principal, throughput},
};

/// Everything that a record is made of.
pub(super) struct Books<'a> {
    pub(super) call: &'a CallFacts,
    pub(super) principal: &'a Principal,
    pub(super) prompt_tokens: u64,
    /// The status of the answer's head, if one was given.
    pub(super) status: Option<u16>,
    pub(super) attempts: Vec<AttemptEntry>,
    pub(super) losses: Losses,
    /// What the meter itself saw, where no layer below reports to the tally.
    pub(super) observed: Option<Box<Observed>>,
    pub(super) ended: Instant,
    pub(super) cause: Cause<'a>,
}

/// What ended a call.
#[derive(Clone, Copy)]
pub(super) enum Cause<'a> {
    /// The answer is told.
    Told,
    /// The caller left, or a shutdown ended it.
    Left,
    /// A watchdog ended the answer, whether anybody polls it or not.
    Closed,
    /// The caller left, and the rest of the answer was read without it.
    Drained,
    /// An error.
    Fault(&'a Fault),
}

/// An answer that the meter read itself.
pub(super) struct Observed {
    pub(super) seen: Seen,
    /// How it ended, where its bytes tell.
    pub(super) outcome: Option<Outcome>,
    pub(super) price: Option<Arc<Price>>,
}

impl Books<'_> {
    /// The record.
    pub(super) fn fold(&mut self) -> Record {
        let Self { call, principal, ended, .. } = *self;
        let outcome = self.outcome();
        let (fault, error_origin) = self.blame(outcome);
        let mut bill = Bill::default();
        let attempts: Vec<_> = self.attempts.iter().map(|entry| self.attempt(entry, outcome, &mut bill)).collect();
        if let Some(observed) = &self.observed {
            bill.add(self.usage(&observed.seen, outcome, self.status, true), observed.price.as_deref());
        }
        let waited: Duration = self.attempts.iter().map(|entry| took(entry, ended)).sum();
        let winner = self.attempts.iter().rposition(|entry| entry.committed.is_some()).or(self.attempts.len().checked_sub(1));
        // Taken from where they lie: all that was seen is much to move.
        let words = |seen: &mut Seen| (seen.id.take(), seen.model.take(), seen.finish_reason.take());
        let (id, model, finish_reason) = match (winner.and_then(|at| self.attempts.get_mut(at)), &mut self.observed) {
            (Some(entry), _) => words(&mut entry.seen),
            (None, Some(observed)) => words(&mut observed.seen),
            (None, None) => (None, None, None),
        };
        let winner = winner.and_then(|at| self.attempts.get(at));
        let committed = winner.and_then(|entry| entry.committed);
        let finished = winner.and_then(|entry| entry.ended).unwrap_or(ended);
        let generation = committed.map(|committed| finished.saturating_duration_since(committed));
        let latency = ended.saturating_duration_since(call.started);
        let mut metadata = principal.metadata().clone();
        if !call.preferences.metadata.is_empty() {
            metadata.extend(call.preferences.metadata.clone());
        }
        Record {
            request_id: call.id.clone(),
            workspace_id: principal.shared_workspace().clone(),
            key_id: principal.key().cloned(),
            app: call.app.as_deref().map(clip),
            endpoint: call.operation.name(),
            dialect: call.dialect.name(),
            model_requested: clip(&call.model),
            model: winner.map(|entry| entry.target.id.clone()),
            provider: winner.map(|entry| entry.target.provider.name.clone()),
            provider_model: model.map(clip_owned).or_else(|| winner.map(|entry| entry.target.model.to_string())),
            native_response_id: id.map(clip_owned),
            stream: call.stream,
            status_code: match self.cause {
                Cause::Fault(fault) => self.status.or(Some(call.dialect.fault_status(fault).as_u16())),
                _ => self.status,
            },
            success: outcome == Outcome::Complete && self.status.is_none_or(|status| status < 400),
            outcome,
            fault,
            error_origin,
            finish_reason: finish_reason.map(clip_owned),
            usage: bill.usage,
            cost_nanos: bill.total.nanos(),
            currency: "USD",
            pricing_lines: bill.lines,
            latency_ms: millis(latency),
            ttft_ms: committed.map(|committed| millis(committed.saturating_duration_since(call.started))),
            generation_ms: generation.map(millis),
            gateway_ms: millis(latency.saturating_sub(waited)),
            throughput_tps: generation.and_then(|generation| throughput(bill.usage.counts.output, generation)),
            attempts,
            losses: once(mem::take(&mut self.losses)),
            metadata,
            created_at: call.created,
            calls: 1,
        }
    }

    fn outcome(&self) -> Outcome {
        // Once there is a head, the last attempt is the one that answers, and what it says of its end is the truth.
        let told = match &self.observed {
            Some(observed) => observed.outcome,
            None => self.attempts.last().and_then(|entry| entry.outcome),
        };
        let told = told.filter(|_| self.status.is_some() || matches!(self.cause, Cause::Closed));
        match (self.cause, told) {
            (Cause::Drained, _) => Outcome::Cancelled,
            (Cause::Fault(_), Some(Outcome::Complete)) => Outcome::Failed,
            (_, Some(told)) => told,
            (Cause::Told, None) if self.status.is_some_and(|status| status >= 400) => Outcome::Failed,
            // A stream that ends without its dialect's end broke off, however clean the connection's end was.
            (Cause::Told, None) if !self.attempts.is_empty() && self.call.stream => Outcome::Truncated,
            (Cause::Told, None) => Outcome::Complete,
            (Cause::Left | Cause::Closed, None) => Outcome::Cancelled,
            (Cause::Fault(fault), None) => match fault.kind() {
                FaultKind::Cancelled => Outcome::Cancelled,
                FaultKind::Truncated => Outcome::Truncated,
                _ => Outcome::Failed,
            },
        }
    }

    /// What went wrong, and whose doing it was.
    fn blame(&self, outcome: Outcome) -> (Option<&'static str>, Option<&'static str>) {
        let attempt = || self.attempts.last().and_then(|entry| entry.fault.as_ref()).map(|fault| fault.fault);
        match (self.cause, outcome) {
            (Cause::Fault(fault), _) => (Some(fault.code()), Some(fault.verdict().origin)),
            (_, Outcome::Complete) => (None, None),
            // An attempt that has a fault was cancelled by us: nobody took its answer, or a shutdown came.
            (_, Outcome::Cancelled) => match attempt() {
                Some("cancelled") => (Some("cancelled"), Some("gateway")),
                fault => (fault.or(Some("cancelled")), Some("user")),
            },
            (_, Outcome::Truncated) => (Some(attempt().unwrap_or("truncated")), Some("provider")),
            (_, Outcome::Failed) => (Some(attempt().unwrap_or("upstream_status")), Some("provider")),
        }
    }

    fn attempt(&self, entry: &AttemptEntry, outcome: Outcome, bill: &mut Bill) -> AttemptRecord {
        let outcome = entry.outcome.unwrap_or(outcome);
        let fault = entry.fault.as_ref().map(|fault| fault.fault);
        let usage = self.usage(&entry.seen, outcome, entry.status, entry.sent);
        let cost = bill.add(usage, entry.target.price.as_deref());
        AttemptRecord {
            provider: entry.target.provider.name.clone(),
            model: entry.target.model.clone(),
            status: entry.status,
            fault,
            usage,
            cost_nanos: cost.nanos(),
            latency_ms: millis(took(entry, self.ended)),
            outcome,
        }
    }

    /// What an attempt used, and how that is known.
    fn usage(&self, seen: &Seen, outcome: Outcome, status: Option<u16>, sent: bool) -> RecordedUsage {
        let reported = seen.usage.and_then(Usage::believed);
        // Whatever is no success, or an error before any content, used nothing unless the provider says so.
        let refused = status.is_some_and(|status| !(200..300).contains(&status)) || (seen.error.is_some() && !seen.content);
        match reported {
            Some(counts) if outcome == Outcome::Complete || seen.finished => RecordedUsage { counts, source: UsageSource::Reported },
            Some(counts) => {
                let counts = Usage { output: counts.output.max(estimate::output_tokens(seen)), ..counts };
                RecordedUsage { counts, source: UsageSource::Partial }
            }
            None if refused || !sent => RecordedUsage::default(),
            None => RecordedUsage { counts: estimate::usage(self.call, self.prompt_tokens, seen), source: UsageSource::Estimated },
        }
    }
}

/// The running sum of the attempts' entries.
#[derive(Default)]
struct Bill {
    usage: RecordedUsage,
    lines: Vec<PricingLine>,
    total: Picodollars,
}

impl Bill {
    fn add(&mut self, usage: RecordedUsage, price: Option<&Price>) -> Picodollars {
        self.usage = self.usage.plus(usage);
        let mut cost = Picodollars::default();
        for line in Cost::lines_of(&usage.counts, price) {
            cost = cost + line.amount;
            match self.lines.iter_mut().find(|PricingLine(known)| (known.meter, known.rate) == (line.meter, line.rate)) {
                Some(PricingLine(known)) => {
                    known.quantity = known.quantity.saturating_add(line.quantity);
                    known.amount = known.amount + line.amount;
                }
                None => self.lines.push(PricingLine(line)),
            }
        }
        self.total = self.total + cost;
        cost
    }
}

/// The text, or its start: no caller and no provider decides how large a record is.
fn clip(text: &str) -> String {
    super::clipped(text).to_owned()
}

fn clip_owned(mut text: String) -> String {
    text.truncate(super::clipped(&text).len());
    text
}

/// Each loss once: a stream reports those it has so far again and again.
fn once(losses: Losses) -> Losses {
    let mut unique = Losses::default();
    losses.iter().for_each(|lost| unique.report_at(lost.loss, lost.path.clone()));
    unique
}

fn took(entry: &AttemptEntry, now: Instant) -> Duration {
    entry.ended.unwrap_or(now).saturating_duration_since(entry.started)
}

fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(duration.subsec_millis().into())
}
