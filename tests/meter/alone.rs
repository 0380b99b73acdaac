//! The meter in front of somebody's own proxy, where nothing below reports.

use http::{Request, Response, header};
use http_body_util::BodyExt;
use portcullis::{
    dialect::{Dialect, named},
    fault::Fault,
    meter::{MemoryLedger, MeterLayer, Record, UsageSource},
    stage::{Call, Operation, Outcome},
};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

#[path = "../support/answers.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod answers;

fn dialect(name: &str) -> &'static dyn Dialect {
    named(name).unwrap()
}

/// The record of a call whose proxy answers `body`, cut into `size` bytes, of which the caller reads `frames`.
async fn proxied(dialect: &'static dyn Dialect, stream: bool, body: &str, size: usize, frames: usize) -> Record {
    let ledger = MemoryLedger::default();
    let price = metered::target("any", "1", "2").price.clone();
    let chunks: Vec<Bytes> = body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
    let proxy = service_fn(move |_: Request<Call>| {
        let steps: Vec<_> = chunks.iter().cloned().map(Step::Bytes).collect();
        let media = if stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        async move { Ok::<_, Fault>(Response::builder().header(header::CONTENT_TYPE, media).body(script(steps)).unwrap()) }
    });
    let meter = MeterLayer::new(ledger.clone()).observe(move |_, seen| {
        assert!(seen.model.as_deref().is_none_or(|model| model == "fake-1"));
        price.clone()
    });
    let mut answer = meter.layer(proxy).oneshot(metered::call_in(Operation::Chat, dialect, stream)).await.unwrap().into_body();
    let mut read = Vec::new();
    for _ in 0..frames {
        let Some(frame) = answer.frame().await else { break };
        read.extend_from_slice(frame.unwrap().data_ref().unwrap());
        if read.ends_with(b"data: [DONE]\n\n") {
            assert_eq!(ledger.records().len(), 1, "the record is there before the end is");
        }
    }
    assert!(body.as_bytes().starts_with(&read), "the bytes pass untouched");
    drop(answer);
    assert_eq!(ledger.records().len(), 1);
    ledger.records().remove(0)
}

#[tokio::test]
async fn a_whole_answer_is_read() {
    let record = proxied(dialect("openai-chat"), false, &answers::openai_answer("hello"), 10, usize::MAX).await;
    assert_eq!((record.outcome, record.usage.counts, record.usage.source), (Outcome::Complete, usage(3, 2), UsageSource::Reported));
    assert_eq!((record.cost_nanos, record.provider_model.as_deref()), (7_000, Some("fake-1")));
    assert_eq!((record.native_response_id.as_deref(), record.attempts.len()), (Some("chatcmpl-fake"), 0));
}

#[tokio::test]
async fn a_stream_is_read_however_it_is_cut() {
    let body = answers::openai_events(&["one ", "two ", "three"]).concat();
    for size in [1, 7, 100, 10_000] {
        let record = proxied(dialect("openai-chat"), true, &body, size, usize::MAX).await;
        assert_eq!((record.outcome, record.usage.counts, record.usage.source), (Outcome::Complete, usage(3, 2), UsageSource::Reported));
        assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    }
}

#[tokio::test]
async fn a_stream_whose_caller_did_not_ask_for_usage_is_estimated_and_flagged() {
    let mut events = answers::openai_events(&["one two three"]);
    events.remove(events.len() - 2);
    let record = proxied(dialect("openai-chat"), true, &events.concat(), 50, usize::MAX).await;
    assert_eq!((record.outcome, record.usage.counts, record.usage.source), (Outcome::Complete, usage(100, 4), UsageSource::Estimated));
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_is_left_is_recorded_as_such() {
    let events = answers::openai_events(&["one two three"]);
    let cut = events[..2].concat();
    let record = proxied(dialect("openai-chat"), true, &cut, 10_000, usize::MAX).await;
    assert_eq!((record.outcome, record.usage.counts), (Outcome::Truncated, usage(100, 4)));
    let record = proxied(dialect("openai-chat"), true, &events.concat(), cut.len(), 1).await;
    assert_eq!((record.outcome, record.usage.counts), (Outcome::Cancelled, usage(100, 4)));
}

#[tokio::test]
async fn an_answer_that_is_not_the_dialect_passes_and_is_estimated() {
    for stream in [false, true] {
        let record = proxied(dialect("openai-chat"), stream, "<html>what?</html>\n\n\n\n", 5, usize::MAX).await;
        assert_eq!(record.usage.source, UsageSource::Estimated);
        assert!(record.usage.counts.output > 0);
    }
}

#[tokio::test]
async fn a_refusal_of_the_proxy_s_provider_costs_nothing() {
    let ledger = MemoryLedger::default();
    let proxy =
        service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::builder().status(429).body(script([Step::Data("{}")])).unwrap()) });
    let meter = MeterLayer::new(ledger.clone()).observe(|_, _| None);
    meter.layer(proxy).oneshot(call(false)).await.unwrap().into_body().collect().await.unwrap();
    let record = ledger.records().remove(0);
    assert_eq!((record.outcome, record.success, record.cost_nanos), (Outcome::Failed, false, 0));
    assert_eq!(record.usage.source, UsageSource::Reported);
}

#[tokio::test]
async fn f055_a_caller_who_leaves_before_the_head_is_estimated() {
    let ledger = MemoryLedger::default();
    let slow = service_fn(|_: Request<Call>| std::future::pending::<Result<Response<Script>, Fault>>());
    let mut future = Box::pin(MeterLayer::new(ledger.clone()).observe(|_, _| None).layer(slow).oneshot(call(false)));
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    drop(future);
    let record = ledger.records().remove(0);
    assert_eq!((record.outcome, record.usage.counts, record.usage.source), (Outcome::Cancelled, usage(100, 0), UsageSource::Estimated));
}

#[tokio::test]
async fn f058_a_price_list_that_panics_costs_the_price_and_not_the_record() {
    let ledger = MemoryLedger::default();
    let proxy = service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::new(script([]))) });
    let meter = MeterLayer::new(ledger.clone()).observe(|_, _| panic!("no price"));
    meter.layer(proxy).oneshot(call(false)).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(ledger.records().len(), 1);
}
