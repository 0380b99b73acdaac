//! A record but for its row's columns: how it is packed, and its public form again.
//!
//! Both halves name the members in the same order, the public form's. What is written stays readable: another order, or
//! another meaning of a number, is another [`FORMAT`](super::rows).

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::{
    RecordRow,
    packed::{Reader, count, list, optional, text, truth},
};
use crate::{
    catalog::{CostLine, Meter, Picodollars, Rate},
    dialect::{Lost, Usage},
    meter::{AttemptRecord, PricingLine, Record, RecordedUsage, UsageSource, is_one, rfc3339},
    stage::Outcome,
};

/// Appends what [`PublicForm::read`] reads.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    // All members are named, so that a new one is not forgotten here. These are columns, or say the same in each record.
    let Record { request_id: _, workspace_id: _, key_id: _, model: _, provider: _, success: _, cost_nanos: _, .. } = record;
    let Record { currency: _, created_at: _, calls: _, .. } = record;
    let Record { app, endpoint, dialect, model_requested, provider_model, native_response_id, stream, status_code, .. } = record;
    let Record { outcome, fault, error_origin, finish_reason, usage, pricing_lines, latency_ms, ttft_ms, .. } = record;
    let Record { generation_ms, gateway_ms, throughput_tps, attempts, losses, metadata, .. } = record;
    optional(out, app.as_deref(), text);
    text(out, endpoint);
    text(out, dialect);
    text(out, model_requested);
    optional(out, provider_model.as_deref(), text);
    optional(out, native_response_id.as_deref(), text);
    truth(out, *stream);
    optional(out, status_code.map(u64::from), count);
    out.push(*outcome as u8);
    optional(out, *fault, text);
    optional(out, *error_origin, text);
    optional(out, finish_reason.as_deref(), text);
    write_usage(out, usage);
    list(out, pricing_lines, write_line);
    count(out, *latency_ms);
    optional(out, *ttft_ms, count);
    optional(out, *generation_ms, count);
    count(out, *gateway_ms);
    optional(out, *throughput_tps, |out, rate| out.extend_from_slice(&rate.to_le_bytes()));
    list(out, attempts, write_attempt);
    list(out, losses.iter(), write_lost);
    list(out, metadata, |out, (name, value)| {
        text(out, name);
        text(out, value);
    });
}

fn write_usage(out: &mut Vec<u8>, usage: &RecordedUsage) {
    let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, .. } = usage.counts;
    let Usage { input_audio, output_audio, images, seconds, requests, .. } = usage.counts;
    let counters =
        [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, images, seconds, requests];
    // Most are zero: each that is not follows its number, and the list ends with a zero.
    for (number, counter) in (1..).zip(counters) {
        if counter > 0 {
            out.push(number);
            count(out, counter);
        }
    }
    out.push(0);
    out.push(usage.source as u8);
}

fn write_line(out: &mut Vec<u8>, PricingLine(line): &PricingLine) {
    let CostLine { meter, quantity, rate, amount } = *line;
    out.push(meter as u8);
    count(out, quantity);
    optional(out, rate.map(|rate| rate.0), count);
    write_money(out, amount);
}

fn write_money(out: &mut Vec<u8>, Picodollars(amount): Picodollars) {
    count(out, amount as u64);
    count(out, (amount >> u64::BITS) as u64);
}

fn write_attempt(out: &mut Vec<u8>, attempt: &AttemptRecord) {
    let AttemptRecord { provider, model, status, fault, usage, cost_nanos, latency_ms, outcome } = attempt;
    text(out, provider.as_str());
    text(out, model);
    optional(out, status.map(u64::from), count);
    optional(out, *fault, text);
    write_usage(out, usage);
    count(out, *cost_nanos);
    count(out, *latency_ms);
    out.push(*outcome as u8);
}

fn write_lost(out: &mut Vec<u8>, lost: &Lost) {
    text(out, &lost.path);
    text(out, &lost.loss.fate.to_string());
    text(out, lost.loss.id);
}

/// What `Serialize` of a [`Record`] writes, member by member, from a row.
#[derive(Serialize)]
pub(super) struct PublicForm<'a> {
    request_id: &'a str,
    workspace_id: &'a str,
    key_id: Option<&'a str>,
    app: Option<&'a str>,
    endpoint: &'a str,
    dialect: &'a str,
    model_requested: &'a str,
    model: Option<&'a str>,
    provider: Option<&'a str>,
    provider_model: Option<&'a str>,
    native_response_id: Option<&'a str>,
    stream: bool,
    status_code: Option<u64>,
    success: bool,
    outcome: &'static str,
    fault: Option<&'a str>,
    error_origin: Option<&'a str>,
    finish_reason: Option<&'a str>,
    usage: RecordedUsage,
    cost_nanos: u64,
    currency: &'static str,
    pricing_lines: Vec<PricingLine>,
    latency_ms: u64,
    ttft_ms: Option<u64>,
    generation_ms: Option<u64>,
    gateway_ms: u64,
    throughput_tps: Option<f64>,
    attempts: Vec<Attempt<'a>>,
    losses: Vec<Loss<'a>>,
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(serialize_with = "rfc3339")]
    created_at: SystemTime,
    #[serde(skip_serializing_if = "is_one")]
    calls: u64,
}

#[derive(Serialize)]
struct Attempt<'a> {
    provider: &'a str,
    model: &'a str,
    status: Option<u64>,
    fault: Option<&'a str>,
    usage: RecordedUsage,
    cost_nanos: u64,
    latency_ms: u64,
    outcome: &'static str,
}

#[derive(Serialize)]
struct Loss<'a> {
    path: &'a str,
    fate: &'a str,
    id: &'a str,
}

impl<'a> PublicForm<'a> {
    /// The form of `row`, of which `rest` is what [`write`] wrote. Members are read in the order in which they stand here.
    pub(super) fn read(row: &RecordRow<'a>, rest: Reader<'a>) -> Option<Self> {
        let &RecordRow { id, workspace, key, model, provider, created_ms, cost_nanos, calls, success, .. } = row;
        let mut rest = rest;
        Some(Self {
            request_id: id,
            workspace_id: workspace,
            key_id: key,
            app: rest.optional(Reader::text)?,
            endpoint: rest.text()?,
            dialect: rest.text()?,
            model_requested: rest.text()?,
            model,
            provider,
            provider_model: rest.optional(Reader::text)?,
            native_response_id: rest.optional(Reader::text)?,
            stream: rest.truth()?,
            status_code: rest.optional(Reader::count)?,
            success,
            outcome: rest.outcome()?,
            fault: rest.optional(Reader::text)?,
            error_origin: rest.optional(Reader::text)?,
            finish_reason: rest.optional(Reader::text)?,
            usage: rest.usage()?,
            cost_nanos,
            currency: "USD",
            pricing_lines: rest.list(Reader::line)?,
            latency_ms: rest.count()?,
            ttft_ms: rest.optional(Reader::count)?,
            generation_ms: rest.optional(Reader::count)?,
            gateway_ms: rest.count()?,
            throughput_tps: rest.optional(Reader::rate)?,
            attempts: rest.list(Reader::attempt)?,
            losses: rest.list(Reader::loss)?,
            metadata: rest.list(|rest| Some((rest.text()?, rest.text()?)))?.into_iter().collect(),
            created_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(created_ms))?,
            calls,
        })
    }
}

impl<'a> Reader<'a> {
    fn attempt(&mut self) -> Option<Attempt<'a>> {
        Some(Attempt {
            provider: self.text()?,
            model: self.text()?,
            status: self.optional(Self::count)?,
            fault: self.optional(Self::text)?,
            usage: self.usage()?,
            cost_nanos: self.count()?,
            latency_ms: self.count()?,
            outcome: self.outcome()?,
        })
    }

    fn loss(&mut self) -> Option<Loss<'a>> {
        Some(Loss { path: self.text()?, fate: self.text()?, id: self.text()? })
    }

    fn outcome(&mut self) -> Option<&'static str> {
        let outcome = [Outcome::Complete, Outcome::Truncated, Outcome::Failed, Outcome::Cancelled];
        outcome.get(usize::from(self.byte()?)).map(|outcome| outcome.name())
    }

    fn usage(&mut self) -> Option<RecordedUsage> {
        let mut counters = [0; 11];
        while let Some(number) = usize::from(self.byte()?).checked_sub(1) {
            *counters.get_mut(number)? = self.count()?;
        }
        let sources = [UsageSource::Reported, UsageSource::Partial, UsageSource::Estimated];
        let source = *sources.get(usize::from(self.byte()?))?;
        let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, images, seconds, requests] =
            counters;
        let counts = Usage {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
            input_audio,
            output_audio,
            images,
            seconds,
            requests,
        };
        Some(RecordedUsage { counts, source })
    }

    fn line(&mut self) -> Option<PricingLine> {
        let (meter, quantity, rate) = (self.meter()?, self.count()?, self.optional(Self::count)?.map(Rate));
        let amount = Picodollars(u128::from(self.count()?) | u128::from(self.count()?) << u64::BITS);
        Some(PricingLine(CostLine { meter, quantity, rate, amount }))
    }

    pub(super) fn meter(&mut self) -> Option<Meter> {
        Meter::ALL.get(usize::from(self.byte()?)).copied()
    }

    fn rate(&mut self) -> Option<f64> {
        self.bytes(8)?.try_into().ok().map(f64::from_le_bytes)
    }
}
