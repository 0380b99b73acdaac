//! What is written before an attempt is dispatched, and what becomes of it if the process dies.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::{BufMut, BytesMut};
use serde::Deserialize;

use super::Unsettled;
use crate::{
    catalog::{Cost, CostLine, Meter, Picodollars, Rate},
    dialect::{
        Losses, Usage,
        json::{number, string},
        named,
    },
    meter::{
        AttemptRecord, Intended, PricingLine, Record, RecordedUsage, UsageSource, clipped,
        json::{count, list, name, optional, pairs, truth},
    },
    stage::{KeyId, Operation, Outcome},
    store::records::millis,
};

/// Appends an intent as JSON, to be read as an [`IntentEntry`].
pub(super) fn write(intended: &Intended<'_>, out: &mut BytesMut) {
    let Intended { intent, principal, estimate } = *intended;
    let (call, target) = (&intent.call, &intent.target);
    out.put_slice(b"{\"id\":");
    name(out, intent.id.as_str());
    out.put_slice(b",\"workspace\":");
    string(out, principal.workspace());
    out.put_slice(b",\"key\":");
    optional(out, principal.key().map(KeyId::as_str));
    out.put_slice(b",\"app\":");
    optional(out, call.app.as_deref().map(clipped));
    out.put_slice(b",\"endpoint\":");
    name(out, call.operation.name());
    out.put_slice(b",\"dialect\":");
    string(out, call.dialect.name());
    out.put_slice(b",\"model_requested\":");
    string(out, clipped(&call.model));
    out.put_slice(b",\"model\":");
    string(out, target.id.as_str());
    out.put_slice(b",\"provider\":");
    string(out, target.provider.name.as_str());
    out.put_slice(b",\"provider_model\":");
    string(out, &target.model);
    out.put_slice(b",\"stream\":");
    truth(out, call.stream);
    out.put_slice(b",\"created_ms\":");
    number(out, millis(call.created));
    out.put_slice(b",\"expected\":");
    list(out, &Cost::of(&estimate, target.price.as_deref()).lines, |line, out| {
        out.put_u8(b'[');
        name(out, line.meter.name());
        out.put_u8(b',');
        number(out, line.quantity);
        out.put_u8(b',');
        count(out, line.rate.map(|rate| rate.0));
        out.put_u8(b']');
    });
    let (owners, callers) = (principal.metadata(), &call.preferences.metadata);
    if !owners.is_empty() || !callers.is_empty() {
        out.put_slice(b",\"metadata\":");
        pairs(out, owners.iter().filter(|(member, _)| !callers.contains_key(*member)).chain(callers));
    }
    out.put_u8(b'}');
}

/// An intent: as much as a record needs.
#[derive(Debug, Deserialize)]
pub(super) struct IntentEntry<'a> {
    pub(super) id: Cow<'a, str>,
    workspace: Cow<'a, str>,
    key: Option<Cow<'a, str>>,
    app: Option<Cow<'a, str>>,
    endpoint: Cow<'a, str>,
    dialect: Cow<'a, str>,
    model_requested: Cow<'a, str>,
    model: Cow<'a, str>,
    provider: Cow<'a, str>,
    provider_model: Cow<'a, str>,
    stream: bool,
    created_ms: u64,
    /// What it will use at least, at the price pinned for it: meter, quantity, rate in picodollars.
    expected: Vec<(Cow<'a, str>, u64, Option<u64>)>,
    #[serde(default)]
    metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl IntentEntry<'_> {
    /// What the attempt is taken to have used, and its bill.
    fn expected(&self, policy: Unsettled) -> (Usage, Vec<CostLine>) {
        let mut usage = Usage::default();
        let mut lines = Vec::new();
        let charged = matches!(policy, Unsettled::Charged);
        for (name, quantity, rate) in self.expected.iter().filter(|_| charged) {
            let Ok(meter) = name.parse::<Meter>() else { continue };
            let (quantity, rate) = (*quantity, rate.map(Rate));
            let amount = Picodollars(rate.map_or(0, |rate| u128::from(rate.0) * u128::from(quantity)));
            *counter(&mut usage, meter) = quantity;
            lines.push(CostLine { meter, quantity, rate, amount });
        }
        (usage, lines)
    }
}

/// The record of a call whose process died: `intents` are its attempts, and none was settled.
pub(super) fn died(intents: &[IntentEntry<'_>], policy: Unsettled) -> Option<Record> {
    let last = intents.last()?;
    let mut usage = RecordedUsage::default();
    let mut lines: Vec<CostLine> = Vec::new();
    let mut attempts = Vec::new();
    for intent in intents {
        let (counts, bill) = intent.expected(policy);
        let used = RecordedUsage { counts, source: UsageSource::Estimated };
        let amount: Picodollars = bill.iter().map(|line| line.amount).sum();
        usage = usage.plus(used);
        lines.extend(bill);
        attempts.push(AttemptRecord {
            provider: intent.provider.as_ref().into(),
            model: intent.provider_model.clone().into_owned(),
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
        workspace_id: last.workspace.clone().into_owned(),
        key_id: last.key.as_deref().map(Into::into),
        app: last.app.clone().map(Cow::into_owned),
        endpoint: operation(&last.endpoint),
        dialect: named(&last.dialect).map_or("unknown", |dialect| dialect.name()),
        model_requested: last.model_requested.clone().into_owned(),
        model: Some(last.model.as_ref().into()),
        provider: Some(last.provider.as_ref().into()),
        provider_model: Some(last.provider_model.clone().into_owned()),
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
        metadata: last.metadata.iter().map(|(name, value)| (name.clone().into_owned(), value.clone().into_owned())).collect(),
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
