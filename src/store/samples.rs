//! Records for tests.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use crate::{
    catalog::{CostLine, Meter, Picodollars, Rate},
    dialect::{Losses, Usage, loss::table},
    meter::{AttemptRecord, PricingLine, Record, RecordedUsage, UsageSource},
    stage::{GenerationId, Outcome},
};

/// A refused call, whose app has the name `app`.
pub(super) fn record(app: String) -> Record {
    Record {
        request_id: GenerationId::generate(SystemTime::now()),
        workspace_id: "team".into(),
        key_id: None,
        app: Some(app),
        endpoint: "chat",
        dialect: "openai-chat",
        model_requested: "gpt".into(),
        model: None,
        provider: None,
        provider_model: None,
        native_response_id: None,
        stream: false,
        status_code: None,
        success: false,
        outcome: Outcome::Failed,
        fault: Some("overloaded"),
        error_origin: Some("gateway"),
        finish_reason: None,
        usage: RecordedUsage::default(),
        cost_nanos: 0,
        currency: "USD",
        pricing_lines: Vec::new(),
        latency_ms: 0,
        ttft_ms: None,
        generation_ms: None,
        gateway_ms: 0,
        throughput_tps: None,
        attempts: Vec::new(),
        losses: Losses::default(),
        metadata: BTreeMap::new(),
        created_at: SystemTime::UNIX_EPOCH,
        calls: 1,
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("(?s).{0,12}")
}

fn a_usage() -> impl Strategy<Value = RecordedUsage> {
    (any::<[u64; 11]>(), 0usize..3).prop_map(|(counts, source)| {
        // Their sums are within a number, as those of real counters are.
        let [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, images, seconds, requests] =
            counts.map(|count| count >> 4);
        RecordedUsage {
            counts: Usage {
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
            },
            source: [UsageSource::Reported, UsageSource::Partial, UsageSource::Estimated][source],
        }
    })
}

fn an_attempt() -> impl Strategy<Value = AttemptRecord> {
    ("(?s).{0,12}", "(?s).{0,12}", any::<Option<u16>>(), any::<bool>(), a_usage(), any::<(u64, u64)>()).prop_map(
        |(provider, model, status, failed, usage, (cost_nanos, latency_ms))| AttemptRecord {
            provider: provider.as_str().into(),
            model: model.into(),
            status,
            fault: failed.then_some("connect"),
            usage,
            cost_nanos,
            latency_ms,
            outcome: if failed { Outcome::Failed } else { Outcome::Complete },
        },
    )
}

fn a_line() -> impl Strategy<Value = PricingLine> {
    (0..Meter::ALL.len(), any::<u64>(), any::<Option<u64>>(), any::<u128>()).prop_map(|(meter, quantity, rate, amount)| {
        PricingLine(CostLine { meter: Meter::ALL[meter], quantity, rate: rate.map(Rate), amount: Picodollars(amount) })
    })
}

prop_compose! {
    pub(super) fn a_record()(
        [workspace, requested, path, name, value] in proptest::array::uniform5("(?s).{0,12}"),
        [key, app, model, provider, version, native, finish] in proptest::array::uniform7(text()),
        (stream, success, status_code, cost_nanos, calls) in any::<(bool, bool, Option<u16>, u64, u64)>(),
        (latency_ms, gateway_ms, ttft_ms, generation_ms) in any::<(u64, u64, Option<u64>, Option<u64>)>(),
        throughput_tps in any::<Option<f64>>(),
        usage in a_usage(),
        pricing_lines in proptest::collection::vec(a_line(), 0..3),
        attempts in proptest::collection::vec(an_attempt(), 0..3),
        some in any::<bool>(),
        created in 0u64..400_000_000_000_000,
    ) -> Record {
        let mut losses = Losses::default();
        table().take(usize::from(some) * 3).for_each(|loss| losses.report_at(loss, path.clone()));
        Record {
            workspace_id: workspace.into(),
            key_id: key.as_deref().map(Into::into),
            app,
            model_requested: requested,
            model: model.as_deref().map(Into::into),
            provider: provider.as_deref().map(Into::into),
            provider_model: version,
            native_response_id: native,
            stream,
            status_code,
            success,
            outcome: Outcome::Truncated,
            fault: some.then_some("truncated"),
            error_origin: some.then_some("provider"),
            finish_reason: finish,
            usage,
            cost_nanos,
            pricing_lines,
            latency_ms,
            ttft_ms,
            generation_ms,
            gateway_ms,
            throughput_tps,
            attempts,
            losses,
            metadata: if some { BTreeMap::from([(name, value), ("a".into(), "b".into())]) } else { BTreeMap::new() },
            created_at: SystemTime::UNIX_EPOCH + Duration::from_millis(created),
            calls: if some { calls } else { 1 },
            ..record(String::new())
        }
    }
}
