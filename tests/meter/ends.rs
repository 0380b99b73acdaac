//! Every way a call can end.

use std::{future::poll_fn, time::Duration};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use portcullis::{
    fault::{Failure, Fault, FaultKind, Timeout},
    meter::{MemoryLedger, MeterLayer, Record, UsageSource},
    stage::{Call, Outcome},
};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;

/// The only record.
fn one(ledger: &MemoryLedger) -> Record {
    let mut records = ledger.records();
    assert_eq!(records.len(), 1, "exactly one record");
    records.remove(0)
}

/// An answer in three frames, the last of which carries the dialect's end.
async fn streamed(request: Request<Call>) -> Result<Response<Script>, Fault> {
    let call = request.into_body();
    let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
    tally.head(200);
    tally.commit();
    let mut all = Box::new(seen(Some(usage(90, 25)), 100));
    (all.finished, all.ended) = (true, true);
    Ok(Response::new(script([
        Step::Report(tally.clone(), Box::new(seen(None, 40)), None, "a"),
        Step::Pending,
        Step::Report(tally.clone(), Box::new(seen(Some(usage(90, 1)), 80)), None, "b"),
        Step::Pending,
        Step::Report(tally, all, Some(Outcome::Complete), "c"),
        Step::Pending,
    ])))
}

#[tokio::test]
async fn the_record_is_there_before_the_last_frame_is() {
    let ledger = MemoryLedger::default();
    let mut body = MeterLayer::new(ledger.clone()).layer(service_fn(streamed)).oneshot(call(true)).await.unwrap().into_body();
    for expected in [0, 0, 1] {
        body.frame().await.unwrap().unwrap();
        assert_eq!(ledger.records().len(), expected);
    }
    assert!(body.frame().await.is_none());
    let record = one(&ledger);
    assert_eq!((record.outcome, record.success, record.status_code), (Outcome::Complete, true, Some(200)));
    assert_eq!((record.usage.counts, record.usage.source), (usage(90, 25), UsageSource::Reported));
    assert_eq!(ledger.intents(), 1);
}

#[tokio::test]
async fn a_whole_answer_is_recorded_before_its_head_is_given() {
    let ledger = MemoryLedger::default();
    let whole = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        tally.head(200);
        tally.commit();
        tally.seen(&seen(Some(usage(3, 4)), 16));
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    let answer = MeterLayer::new(ledger.clone()).layer(whole).oneshot(call(false)).await.unwrap();
    assert_eq!(one(&ledger).usage.counts, usage(3, 4));
    drop(answer);
    assert!(one(&ledger).success);
}

#[tokio::test]
async fn f056_reader_leaves_after_any_frame() {
    // After the first frame nothing was reported, after the second a part, after the third all.
    let expected = [
        (Outcome::Cancelled, UsageSource::Estimated, usage(100, 0)),
        (Outcome::Cancelled, UsageSource::Estimated, usage(100, 10)),
        (Outcome::Cancelled, UsageSource::Partial, usage(90, 20)),
        (Outcome::Complete, UsageSource::Reported, usage(90, 25)),
    ];
    for (frames, expected) in expected.into_iter().enumerate() {
        let ledger = MemoryLedger::default();
        let mut body = MeterLayer::new(ledger.clone()).layer(service_fn(streamed)).oneshot(call(true)).await.unwrap().into_body();
        for _ in 0..frames {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        let record = one(&ledger);
        assert_eq!((record.outcome, record.usage.source, record.usage.counts), expected, "after {frames} frames");
    }
}

#[tokio::test]
async fn f057_future_dropped_at_every_await() {
    let slow = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        tokio::task::yield_now().await;
        let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        tokio::task::yield_now().await;
        tally.head(200);
        tokio::task::yield_now().await;
        Ok::<_, Fault>(Response::new(Empty::<Bytes>::new()))
    });
    for polls in 0..4 {
        let ledger = MemoryLedger::default();
        let mut future = Box::pin(MeterLayer::new(ledger.clone()).layer(slow).oneshot(call(true)));
        for _ in 0..polls {
            poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
        }
        drop(future);
        // `oneshot` calls the service at its first poll.
        assert_eq!(ledger.records().len(), usize::from(polls > 0), "after {polls} polls");
        if let Some(record) = ledger.records().pop() {
            let attempts = usize::from(polls > 1);
            assert_eq!((record.outcome, record.status_code, record.attempts.len()), (Outcome::Cancelled, None, attempts));
            let estimate = if polls > 1 { UsageSource::Estimated } else { UsageSource::Reported };
            assert_eq!((record.usage.source, record.usage.counts), (estimate, usage(if polls > 1 { 100 } else { 0 }, 0)));
        }
    }
}

#[tokio::test]
async fn a_refusal_without_an_attempt_is_a_failed_record() {
    let ledger = MemoryLedger::default();
    let refuse =
        service_fn(|_: Request<Call>| async { Err::<Response<Script>, _>(Fault::new(FaultKind::UnknownModel { model: "gpt".into() })) });
    let error = MeterLayer::new(ledger.clone()).layer(refuse).oneshot(call(false)).await.unwrap_err();
    assert_eq!(error.code(), "model_not_found");
    let record = one(&ledger);
    assert_eq!((record.outcome, record.status_code, record.success), (Outcome::Failed, Some(404), false));
    assert_eq!((record.fault, record.error_origin), (Some("model_not_found"), Some("user")));
    assert_eq!(record.usage, portcullis::meter::RecordedUsage::default());
}

#[tokio::test]
async fn a_ledger_that_cannot_write_keeps_the_attempt_from_being_sent() {
    struct Full(MemoryLedger);
    impl portcullis::meter::Ledger for Full {
        fn intend(&self, _: &portcullis::meter::Intended<'_>) -> Result<(), Fault> {
            Err(FaultKind::LedgerUnavailable.into())
        }
        fn settle(&self, record: Record) {
            self.0.settle(record);
        }
    }
    let ledger = MemoryLedger::default();
    let error = MeterLayer::new(Full(ledger.clone())).layer(service_fn(streamed)).oneshot(call(true)).await.unwrap_err();
    assert_eq!(error.verdict().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((one(&ledger).fault, one(&ledger).attempts.len()), (Some("ledger_unavailable"), 0));
}

#[tokio::test]
async fn an_error_after_the_head_keeps_the_head_s_status() {
    let ledger = MemoryLedger::default();
    let breaks = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        tally.head(200);
        let fault = Fault::new(FaultKind::Timeout(Timeout::Idle));
        tally.seen(&seen(None, 8));
        tally.end(Outcome::Truncated, Some(&fault));
        Ok::<_, Fault>(Response::new(script([Step::Fail(fault)])))
    });
    let response = MeterLayer::new(ledger.clone()).layer(breaks).oneshot(call(true)).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    let record = one(&ledger);
    assert_eq!((record.outcome, record.status_code, record.success), (Outcome::Truncated, Some(200), false));
    assert_eq!(record.attempts[0].fault, Some("idle_timeout"));
    assert_eq!(record.usage.counts, usage(100, 2));
}

#[tokio::test]
async fn an_unfinished_stream_that_ends_cleanly_is_truncated() {
    let ledger = MemoryLedger::default();
    let cut = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        Ok::<_, Fault>(Response::new(script([Step::Report(tally, Box::new(seen(None, 4)), None, "half")])))
    });
    let response = MeterLayer::new(ledger.clone()).layer(cut).oneshot(call(true)).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!((one(&ledger).outcome, one(&ledger).fault), (Outcome::Truncated, Some("truncated")));
}

#[tokio::test]
async fn a_body_that_knows_its_end_is_not_asked_again() {
    let ledger = MemoryLedger::default();
    let known = service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::new(Script { ends: true, ..script([Step::Data("a")]) })) });
    let mut body = MeterLayer::new(ledger.clone()).layer(known).oneshot(call(false)).await.unwrap().into_body();
    assert!(ledger.records().is_empty());
    body.frame().await.unwrap().unwrap();
    assert_eq!(one(&ledger).outcome, Outcome::Complete);
    drop(body);
    one(&ledger);
}

#[tokio::test]
async fn an_empty_body_is_over_at_once() {
    let ledger = MemoryLedger::default();
    let empty = service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::new(Empty::<Bytes>::new())) });
    let _body = MeterLayer::new(ledger.clone()).layer(empty).oneshot(call(false)).await.unwrap();
    assert!(one(&ledger).success);
}

#[tokio::test]
async fn f058_panics_are_failed_records() {
    type Answer = Result<Response<Script>, Fault>;
    let layer = |ledger: &MemoryLedger| MeterLayer::new(ledger.clone());

    let ledger = MemoryLedger::default();
    let at_once = service_fn(|_: Request<Call>| -> std::future::Ready<Answer> { panic!("the call panicked") });
    assert_eq!(layer(&ledger).layer(at_once).oneshot(call(false)).await.unwrap_err().code(), "internal");
    assert_eq!((one(&ledger).outcome, one(&ledger).status_code), (Outcome::Failed, Some(500)));

    let ledger = MemoryLedger::default();
    let later = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let _tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        tokio::task::yield_now().await;
        panic!("the future panicked");
        #[expect(unreachable_code, reason = "names the type")]
        Answer::Err(FaultKind::Internal.into())
    });
    assert_eq!(layer(&ledger).layer(later).oneshot(call(false)).await.unwrap_err().code(), "internal");
    assert_eq!((one(&ledger).fault, one(&ledger).error_origin), (Some("internal"), Some("gateway")));
    assert_eq!(one(&ledger).usage.source, UsageSource::Estimated);

    let ledger = MemoryLedger::default();
    let body =
        service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::new(script([Step::Data("a"), Step::Panic, Step::Data("b")]))) });
    let mut body = layer(&ledger).layer(body).oneshot(call(true)).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap_err().code(), "internal");
    assert!(body.frame().await.is_none(), "a body that panicked is not polled again");
    assert_eq!((one(&ledger).outcome, one(&ledger).fault), (Outcome::Failed, Some("internal")));
}

#[tokio::test]
async fn f058_a_ledger_that_panics_hurts_nobody() {
    let mut meter = MeterLayer::new(|_: Record| panic!("the ledger panicked")).layer(service_fn(streamed));
    for _ in 0..2 {
        let response = meter.ready().await.unwrap().call(call(true)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "abc");
    }
}

#[tokio::test]
async fn us_30_both_attempts_are_paid_each_at_its_own_price() {
    let ledger = MemoryLedger::default();
    let twice = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let first = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        first.head(200);
        first.seen(&seen(Some(usage(1_000, 10)), 0));
        first.end(Outcome::Failed, Some(&Fault::new(FaultKind::Upstream(Failure::Connection))));
        let second = call.tally().begin(call.facts(), &target("two", "3", "4"), 2).await?;
        second.head(200);
        second.commit();
        second.seen(&seen(Some(usage(1_000, 100)), 400));
        second.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
    });
    MeterLayer::new(ledger.clone()).layer(twice).oneshot(call(false)).await.unwrap();
    let record = one(&ledger);
    // 1,000 x 1 + 10 x 2 and 1,000 x 3 + 100 x 4 micro-USD.
    assert_eq!(record.attempts.iter().map(|attempt| attempt.cost_nanos).collect::<Vec<_>>(), [1_020_000, 3_400_000]);
    assert_eq!((record.cost_nanos, record.pricing_lines.len()), (4_420_000, 4));
    assert_eq!((record.usage.counts, record.usage.source), (usage(2_000, 110), UsageSource::Partial));
    assert_eq!(record.provider.as_ref().map(|provider| provider.as_str()), Some("two"));
    assert_eq!(record.attempts[0].fault, Some("connection"));
    assert!(record.success);
}

#[tokio::test]
async fn what_a_provider_refused_costs_nothing() {
    for (status, fault) in [(Some(429), FaultKind::RateLimited), (None, FaultKind::Upstream(Failure::Connect))] {
        let ledger = MemoryLedger::default();
        let refused = service_fn(move |request: Request<Call>| {
            let fault = Fault::new(fault.clone());
            async move {
                let call = request.into_body();
                let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
                if let Some(status) = status {
                    tally.head(status);
                }
                tally.end(Outcome::Failed, Some(&fault));
                Err::<Response<Script>, _>(fault)
            }
        });
        MeterLayer::new(ledger.clone()).layer(refused).oneshot(call(false)).await.unwrap_err();
        assert_eq!((one(&ledger).cost_nanos, one(&ledger).usage.source), (0, UsageSource::Reported));
    }
}

#[tokio::test(start_paused = true)]
async fn us_28_the_rest_is_read_when_the_caller_leaves() {
    for (bytes, expected) in [(10, UsageSource::Reported), (0, UsageSource::Partial)] {
        let (sent, mut records) = tokio::sync::mpsc::unbounded_channel();
        let meter = MeterLayer::new(move |record: Record| sent.send(record).unwrap()).drain(bytes, Duration::from_secs(5));
        let mut body = meter.layer(service_fn(streamed)).oneshot(call(true)).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        let record = records.recv().await.unwrap();
        assert_eq!((record.outcome, record.usage.source), (Outcome::Cancelled, expected), "{bytes} bytes");
        drop(meter);
        assert!(records.recv().await.is_none(), "exactly one record");
    }
}

#[tokio::test(start_paused = true)]
async fn draining_ends_in_time() {
    let (sent, mut records) = tokio::sync::mpsc::unbounded_channel();
    let meter = MeterLayer::new(move |record: Record| sent.send(record).unwrap()).drain(u64::MAX, Duration::from_secs(5));
    let stuck = service_fn(|_: Request<Call>| async { Ok::<_, Fault>(Response::new(script([Step::Stall]))) });
    drop(meter.layer(stuck).oneshot(call(true)).await.unwrap());
    let before = tokio::time::Instant::now();
    assert_eq!(records.recv().await.unwrap().outcome, Outcome::Cancelled);
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_watchdog_settles_an_answer_that_nobody_polls() {
    let ledger = MemoryLedger::default();
    let (sent, mut tallies) = tokio::sync::mpsc::unbounded_channel();
    let stuck = service_fn(move |request: Request<Call>| {
        let sent = sent.clone();
        async move {
            let call = request.into_body();
            let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
            tally.head(200);
            sent.send((call.tally().clone(), tally)).unwrap();
            Ok::<_, Fault>(Response::new(script([Step::Stall])))
        }
    });
    let response = MeterLayer::new(ledger.clone()).layer(stuck).oneshot(call(true)).await.unwrap();
    let (tally, attempt) = tallies.recv().await.unwrap();
    attempt.end(Outcome::Truncated, Some(&Fault::new(FaultKind::Timeout(Timeout::WriteStall))));
    tally.close();
    assert_eq!((one(&ledger).outcome, one(&ledger).fault), (Outcome::Truncated, Some("write_stall")));
    drop(response);
    one(&ledger);
}
