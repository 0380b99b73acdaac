//! What is written before an attempt is dispatched, and what becomes of it if the process dies.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::Unsettled;
use crate::{
    catalog::{Cost, CostLine, Meter, Picodollars, Rate},
    dialect::{Losses, Usage, named},
    meter::{AttemptRecord, Intended, PricingLine, Record, RecordedUsage, UsageSource, clipped},
    stage::{Operation, Outcome},
    store::records::millis,
};

/// An intent: as much as a record needs.
#[derive(Debug, Deserialize, Serialize)]
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> IntentEntry<'a> {
    pub(super) fn new(intended: &Intended<'a>) -> Self {
        let Intended { intent, principal, estimate } = *intended;
        let (call, target) = (&intent.call, &intent.target);
        let expected = Cost::of(&estimate, target.price.as_deref()).lines;
        let metadata = principal.metadata().iter().chain(&call.preferences.metadata);
        Self {
            id: intent.id.as_str().into(),
            workspace: principal.workspace().into(),
            key: principal.key().map(|key| key.as_str().into()),
            app: call.app.as_deref().map(|app| clipped(app).into()),
            endpoint: call.operation.name().into(),
            dialect: call.dialect.name().into(),
            model_requested: clipped(&call.model).into(),
            model: target.id.as_str().into(),
            provider: target.provider.name.as_str().into(),
            provider_model: (&*target.model).into(),
            stream: call.stream,
            created_ms: millis(call.created),
            expected: expected.iter().map(|line| (line.meter.name().into(), line.quantity, line.rate.map(|rate| rate.0))).collect(),
            metadata: metadata.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
        }
    }

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
