//! What a record says, to the last nano.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Full;
use portcullis::{
    catalog::{Meter, Price, Rate, Target, Tier},
    dialect::Usage,
    fault::Fault,
    meter::{MemoryLedger, MeterLayer, Record, UsageSource},
    stage::{Call, Outcome},
};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

/// The record of a whole answer in which the provider reported `seen`.
async fn recorded(target: Arc<Target>, seen: Seen) -> Record {
    let ledger = MemoryLedger::default();
    let whole = service_fn(move |request: Request<Call>| {
        let (target, seen) = (target.clone(), seen.clone());
        async move {
            let call = request.into_body();
            let tally = call.tally().begin(call.facts(), &target, 1).await?;
            tally.head(200);
            tally.commit();
            tally.seen(&seen);
            tally.end(Outcome::Complete, None);
            Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
        }
    });
    MeterLayer::new(ledger.clone()).layer(whole).oneshot(call(false)).await.unwrap();
    ledger.records().remove(0)
}

#[tokio::test]
async fn the_total_is_rounded_once() {
    // Three lines of 1.5 nano-USD are 4.5, rounded half up 5: rounding each would make 6.
    let meters = [Meter::Input, Meter::CacheRead, Meter::Output];
    let tier = meters.into_iter().fold(Tier::default(), |tier, meter| tier.rate(meter, Rate::parse("0.0015", meter).unwrap()));
    let used = Usage { input: 1, cache_read: 1, output: 1, ..Usage::default() };
    let record = recorded(priced("one", Some(Price::flat(tier))), seen(Some(used), 4)).await;
    assert_eq!(record.cost_nanos, 5);
}

#[tokio::test]
async fn f069_a_missing_price_is_a_flagged_line() {
    let record = recorded(priced("one", None), seen(Some(usage(10, 0)), 0)).await;
    assert_eq!(record.cost_nanos, 0);
    let lines = serde_json::to_value(&record).unwrap()["pricing_lines"].clone();
    assert_eq!(lines, serde_json::json!([{"meter": "input", "quantity": 10, "unit_price_usd": null, "cost_usd": "0"}]));
}

#[tokio::test]
async fn f073_an_absurd_count_is_no_count() {
    for absurd in [1 << 60, u64::MAX] {
        let record = recorded(target("one", "1", "2"), seen(Some(usage(5, absurd)), 40)).await;
        assert_eq!((record.usage.counts, record.usage.source), (usage(100, 10), UsageSource::Estimated));
    }
}

#[tokio::test]
async fn us_27_no_usage_is_an_estimate_and_not_a_silent_zero() {
    let record = recorded(target("one", "1", "2"), seen(None, 41)).await;
    assert_eq!((record.usage.counts, record.usage.source), (usage(100, 11), UsageSource::Estimated));
    assert_eq!(record.cost_nanos, 122_000);
}

#[tokio::test]
async fn the_record_has_these_members_in_this_order() {
    let mut seen = seen(Some(Usage { cache_read: 800, reasoning: 3, ..usage(200, 100) }), 400);
    (seen.id, seen.model, seen.finish_reason) = (Some("chatcmpl-1".into()), Some("gpt-1-2026".into()), Some("stop".into()));
    let record = recorded(target("one", "3.00", "15.00"), seen).await;
    let json = serde_json::to_string(&record).unwrap();
    let members = "request_id workspace_id key_id app endpoint dialect model_requested model provider provider_model native_response_id \
        stream status_code success outcome fault error_origin finish_reason usage cost_nanos currency pricing_lines latency_ms ttft_ms \
        generation_ms gateway_ms throughput_tps attempts losses metadata created_at";
    let mut from = 0;
    for member in members.split_whitespace() {
        let at = json[from..].find(&format!("\"{member}\":")).unwrap_or_else(|| panic!("{member} is missing or out of order: {json}"));
        from += at;
    }
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_object().unwrap().len(), members.split_whitespace().count());
    assert_eq!(
        json["usage"],
        serde_json::json!({
            "input": 200, "cache_read": 800, "cache_write_5m": 0, "cache_write_1h": 0, "output": 100, "reasoning": 3, "input_audio": 0,
            "output_audio": 0, "images": 0, "seconds": 0, "requests": 0, "source": "reported",
        })
    );
    assert_eq!(
        json["pricing_lines"],
        serde_json::json!([
            {"meter": "input", "quantity": 200, "unit_price_usd": "0.000003", "cost_usd": "0.0006"},
            {"meter": "cache_read", "quantity": 800, "unit_price_usd": null, "cost_usd": "0"},
            {"meter": "output", "quantity": 100, "unit_price_usd": "0.000015", "cost_usd": "0.0015"},
        ])
    );
    let attempt = &json["attempts"][0];
    assert_eq!((&attempt["provider"], &attempt["model"], &attempt["outcome"]), (&"one".into(), &"gpt-1".into(), &"complete".into()));
    assert_eq!((&json["created_at"], &json["app"]), (&"1970-01-01T00:00:00.000Z".into(), &"tests".into()));
    assert_eq!(json["metadata"], serde_json::json!({"owner": "ann", "trace": "t1"}));
    assert_eq!(
        (&json["model"], &json["provider_model"], &json["cost_nanos"]),
        (&"maker/gpt".into(), &"gpt-1-2026".into(), &2_100_000.into())
    );
}

#[tokio::test]
async fn a_record_holds_no_more_of_a_name_than_fits() {
    let mut long = seen(None, 0);
    long.model = Some("é".repeat(1 << 20));
    let record = recorded(target("one", "1", "2"), long).await;
    assert_eq!(record.provider_model, Some("é".repeat(128)));
}
