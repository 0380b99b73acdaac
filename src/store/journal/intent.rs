//! What is written before an attempt is dispatched, and what becomes of it if the process dies.

use std::time::{Duration, SystemTime};

use super::Unsettled;
use crate::{
    catalog::{Cost, CostLine, Meter, Picodollars, Rate},
    dialect::{Losses, Usage, named},
    meter::{AttemptRecord, Intended, PricingLine, Record, RecordedUsage, UsageSource, clipped},
    stage::{KeyId, Operation, Outcome},
    store::{
        packed::{Reader, count, list, optional, text, truth},
        records::millis,
    },
};

/// Appends an intent, to be read as an [`IntentEntry`].
pub(super) fn write(intended: &Intended<'_>, out: &mut Vec<u8>) {
    let Intended { intent, principal, estimate } = *intended;
    let (call, target) = (intent.call, intent.target);
    text(out, call.id.as_str());
    text(out, principal.workspace());
    optional(out, principal.key().map(KeyId::as_str), text);
    optional(out, call.app.as_deref().map(clipped), text);
    text(out, call.operation.name());
    text(out, call.dialect.name());
    text(out, clipped(&call.model));
    text(out, target.id.as_str());
    text(out, target.provider.name.as_str());
    text(out, &target.model);
    truth(out, call.stream);
    count(out, millis(call.created));
    list(out, Cost::lines_of(&estimate, target.price.as_deref()), |out, line| {
        out.push(line.meter as u8);
        count(out, line.quantity);
        optional(out, line.rate.map(|rate| rate.0), count);
    });
    // Where both attached something under one name, the later counts: the caller's.
    for metadata in [principal.metadata(), &call.preferences.metadata] {
        list(out, metadata, |out, (name, value)| {
            text(out, name);
            text(out, value);
        });
    }
}

/// An intent: as much as a record needs.
#[derive(Debug)]
pub(super) struct IntentEntry<'a> {
    pub(super) id: &'a str,
    workspace: &'a str,
    key: Option<&'a str>,
    app: Option<&'a str>,
    endpoint: &'a str,
    dialect: &'a str,
    model_requested: &'a str,
    model: &'a str,
    provider: &'a str,
    provider_model: &'a str,
    stream: bool,
    created_ms: u64,
    /// What it will use at least, at the price pinned for it: meter, quantity, rate in picodollars.
    expected: Vec<(Meter, u64, Option<u64>)>,
    metadata: [Vec<(&'a str, &'a str)>; 2],
}

impl<'a> IntentEntry<'a> {
    /// Reads what [`write`] wrote; `None` if it is something else.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let pairs = |rest: &mut Reader<'a>| rest.list(|rest| Some((rest.text()?, rest.text()?)));
        Some(Self {
            id: rest.text()?,
            workspace: rest.text()?,
            key: rest.optional(Reader::text)?,
            app: rest.optional(Reader::text)?,
            endpoint: rest.text()?,
            dialect: rest.text()?,
            model_requested: rest.text()?,
            model: rest.text()?,
            provider: rest.text()?,
            provider_model: rest.text()?,
            stream: rest.truth()?,
            created_ms: rest.count()?,
            expected: rest.list(|rest| Some((rest.meter()?, rest.count()?, rest.optional(Reader::count)?)))?,
            metadata: [pairs(&mut rest)?, pairs(&mut rest)?],
        })
    }

    /// What the attempt is taken to have used, and its bill.
    fn expected(&self, policy: Unsettled) -> (Usage, Vec<CostLine>) {
        let mut usage = Usage::default();
        let mut lines = Vec::new();
        let charged = matches!(policy, Unsettled::Charged);
        for &(meter, quantity, rate) in self.expected.iter().filter(|_| charged) {
            let rate = rate.map(Rate);
            let amount = Picodollars(rate.map_or(0, |rate| u128::from(rate.0) * u128::from(quantity)));
            *counter(&mut usage, meter) = quantity;
            lines.push(CostLine { meter, quantity, rate, amount });
        }
        (usage, lines)
    }
}

/// The record of a call whose process died: `intents` are its attempts, and none was settled.
pub(super) fn died(intents: &[Vec<u8>], policy: Unsettled) -> Option<Record> {
    let intents: Vec<_> = intents.iter().filter_map(|bytes| IntentEntry::read(bytes)).collect();
    let last = intents.last()?;
    let mut usage = RecordedUsage::default();
    let mut lines: Vec<CostLine> = Vec::new();
    let mut attempts = Vec::new();
    for intent in &intents {
        let (counts, bill) = intent.expected(policy);
        let used = RecordedUsage { counts, source: UsageSource::Estimated };
        let amount: Picodollars = bill.iter().map(|line| line.amount).sum();
        usage = usage.plus(used);
        lines.extend(bill);
        attempts.push(AttemptRecord {
            provider: intent.provider.into(),
            model: intent.provider_model.into(),
            status: None,
            fault: Some(PROCESS_DIED),
            usage: used,
            cost_nanos: amount.nanos(),
            latency_ms: 0,
            outcome: Outcome::Cancelled,
        });
    }
    Some(Record {
        request_id: last.id.parse().ok()?,
        workspace_id: last.workspace.into(),
        key_id: last.key.map(Into::into),
        app: last.app.map(str::to_owned),
        endpoint: operation(last.endpoint),
        dialect: named(last.dialect).map_or("unknown", |dialect| dialect.name()),
        model_requested: last.model_requested.to_owned(),
        model: Some(last.model.into()),
        provider: Some(last.provider.into()),
        provider_model: Some(last.provider_model.to_owned()),
        native_response_id: None,
        stream: last.stream,
        status_code: None,
        success: false,
        outcome: Outcome::Cancelled,
        fault: Some(PROCESS_DIED),
        error_origin: Some("gateway"),
        finish_reason: None,
        usage,
        cost_nanos: lines.iter().map(|line| line.amount).sum::<Picodollars>().nanos(),
        currency: "USD",
        pricing_lines: lines.into_iter().map(PricingLine).collect(),
        latency_ms: 0,
        ttft_ms: None,
        generation_ms: None,
        gateway_ms: 0,
        throughput_tps: None,
        attempts,
        losses: Losses::default(),
        metadata: last.metadata.iter().flatten().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        created_at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(last.created_ms)).unwrap_or(SystemTime::UNIX_EPOCH),
        calls: 1,
    })
}

/// The fault of a call whose process ended before it did.
const PROCESS_DIED: &str = "process_died";

fn operation(name: &str) -> &'static str {
    let all = [Operation::Chat, Operation::Embeddings, Operation::Images, Operation::Moderations];
    all.into_iter().map(Operation::name).find(|known| *known == name).unwrap_or("unknown")
}

fn counter(usage: &mut Usage, meter: Meter) -> &mut u64 {
    match meter {
        Meter::Input => &mut usage.input,
        Meter::CacheRead => &mut usage.cache_read,
        Meter::CacheWrite5m => &mut usage.cache_write_5m,
        Meter::CacheWrite1h => &mut usage.cache_write_1h,
        Meter::Output => &mut usage.output,
        Meter::InputAudio => &mut usage.input_audio,
        Meter::OutputAudio => &mut usage.output_audio,
        Meter::Images => &mut usage.images,
        Meter::Seconds => &mut usage.seconds,
        Meter::Requests => &mut usage.requests,
    }
}
