//! The walk along a plan, on services that fail to order.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use portcullis::{
    catalog::{Catalog, ModelEntry, Preset, Target, TargetEntry, Timeouts},
    fault::{Detail, Failure, Fault, FaultKind, Timeout},
    retry::{Retry, RetryLayer, RetryPolicy},
    stage::{Attempt, Breaker, Health, Payload, Plan, Routed, Upload},
};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};
use tower_test::mock;

use crate::support::*;

/// What a provider does with an attempt.
enum Does {
    Answers,
    Fails(Fault),
    Hangs,
    Panics,
}

/// Who was asked, and at which second of the test.
type Log = Arc<Mutex<Vec<(String, u64)>>>;
type Inner = BoxCloneService<Request<Attempt>, Response<Feed>, BoxError>;

/// A service that does what `script` says, then answers.
fn provider_doing(script: impl IntoIterator<Item = Does>) -> (Inner, Log) {
    let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
    let log = Log::default();
    let (start, asked) = (Instant::now(), log.clone());
    let inner = service_fn(move |request: Request<Attempt>| {
        let attempt = request.body();
        asked.lock().unwrap().push((format!("{}#{}", attempt.target.provider.name, attempt.number), start.elapsed().as_secs()));
        let next = script.lock().unwrap().pop_front().unwrap_or(Does::Answers);
        async move {
            match next {
                Does::Answers => Ok(Response::new(feed([]))),
                Does::Fails(fault) => Err(BoxError::from(fault)),
                Does::Hangs => std::future::pending().await,
                Does::Panics => panic!("the provider panicked"),
            }
        }
    });
    (BoxCloneService::new(inner), log)
}

fn names(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
}

fn fails(kind: FaultKind) -> Does {
    Does::Fails(kind.into())
}

fn limited(seconds: u64) -> Does {
    Does::Fails(Fault::new(FaultKind::RateLimited).with_retry_after(secs(seconds)))
}

const DOWN: FaultKind = FaultKind::Upstream(Failure::Status);

fn targets(names: &[&str]) -> Vec<Arc<Target>> {
    names.iter().map(|name| target(&Preset::OPENAI, name, Timeouts::default())).collect()
}

async fn routed(names: &[&str], book: &Book) -> Request<Routed> {
    let (parts, call) = call(CHAT, "m", true).await.into_parts();
    let plan = Plan { targets: targets(names), fallbacks: true };
    Request::from_parts(parts, Routed { call: call.with_tally(book.tally()), plan })
}

/// No waits, but where a provider asks for them.
fn at_once() -> RetryPolicy {
    RetryPolicy::new().backoff(Duration::ZERO, Duration::ZERO)
}

/// Walks the plan of `names` while `script` plays: who was asked, and what became of it.
async fn walk(policy: RetryPolicy, names_: &[&str], script: impl IntoIterator<Item = Does>) -> (Vec<String>, Result<(), Fault>) {
    let (inner, log) = provider_doing(script);
    let result = RetryLayer::new(policy).layer(inner).oneshot(routed(names_, &Book::default()).await).await;
    (names(&log), result.map(drop))
}

#[tokio::test(start_paused = true)]
async fn the_order_of_attempts() {
    let refused = || fails(FaultKind::CredentialRefused);
    let lossy = || fails(FaultKind::Lossy(vec![Detail { path: "/x".into(), message: "would be dropped".into() }]));
    let down = || fails(DOWN);
    for (targets, script, asked, status) in [
        (vec!["a"], vec![], vec!["a#1"], 200),
        (vec!["a"], vec![down(), down(), down()], vec!["a#1", "a#2", "a#3"], 502),
        (vec!["a", "b"], vec![down(), down()], vec!["a#1", "a#2", "b#3"], 200),
        (vec!["a", "b", "c"], vec![down(), down(), down()], vec!["a#1", "b#2", "c#3"], 502),
        (vec!["a", "b", "c", "d"], vec![down(), down(), down()], vec!["a#1", "b#2", "c#3"], 502),
        (vec!["a", "b"], vec![refused(), refused()], vec!["a#1", "b#2"], 502),
        (vec!["a", "b"], vec![lossy()], vec!["a#1", "b#2"], 200),
        (vec!["a", "b"], vec![lossy(), lossy()], vec!["a#1", "b#2"], 400),
        (vec!["a", "b"], vec![lossy(), down(), down()], vec!["a#1", "b#2", "b#3", "b#4"], 200),
        (vec!["a", "b"], vec![lossy(), down(), down(), down()], vec!["a#1", "b#2", "b#3", "b#4"], 502),
        (vec!["a", "b"], vec![fails(FaultKind::Rejected { status: 422 })], vec!["a#1"], 422),
        (vec!["a", "b"], vec![down(), fails(FaultKind::Rejected { status: 400 })], vec!["a#1", "a#2"], 400),
        (vec!["a", "b"], vec![fails(FaultKind::Upstream(Failure::UnknownModel))], vec!["a#1", "b#2"], 200),
        (vec!["a"], vec![fails(FaultKind::Upstream(Failure::UnknownModel))], vec!["a#1"], 502),
        (vec!["a", "b"], vec![limited(3600)], vec!["a#1", "b#2"], 200),
        (vec!["a", "b"], vec![limited(3600), limited(60)], vec!["a#1", "b#2"], 429),
        (vec!["a"], vec![fails(FaultKind::Timeout(Timeout::Total))], vec!["a#1"], 504),
        (vec!["a", "b"], vec![fails(FaultKind::Cancelled)], vec!["a#1"], 503),
        (vec!["a", "b"], vec![fails(FaultKind::Internal)], vec!["a#1"], 500),
    ] {
        let (tried, result) = walk(at_once(), &targets, script).await;
        let told = result.as_ref().map_or_else(|fault| fault.verdict().status, |()| StatusCode::OK);
        assert_eq!((tried, told.as_u16()), (asked.into_iter().map(String::from).collect(), status), "{targets:?}: {result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_listed_for_the_caller() {
    let (_, result) = walk(at_once(), &["a", "b"], [fails(DOWN), fails(DOWN), fails(FaultKind::CredentialRefused)]).await;
    let fault = result.unwrap_err();
    let listed: Vec<_> = fault.attempts().iter().map(|attempt| (attempt.provider.as_str(), attempt.fault)).collect();
    assert_eq!(listed, [("a", "upstream_status"), ("a", "upstream_status"), ("b", "credential_refused")]);
    // A spent deadline lists them, too, so that clients do not multiply them.
    let (_, result) = walk(at_once(), &["a"], [fails(DOWN), fails(FaultKind::Timeout(Timeout::Total))]).await;
    assert_eq!(result.unwrap_err().attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn f048_each_target_is_waited_for_as_it_last_asked() {
    let (tried, result) = walk(at_once(), &["a"], [limited(2), limited(60)]).await;
    assert_eq!((tried.len(), result.unwrap_err().retry_after()), (2, Some(secs(60))));
    let (_, result) = walk(at_once(), &["a", "b"], [limited(60), limited(30)]).await;
    assert_eq!(result.unwrap_err().retry_after(), Some(secs(30)));
}

#[tokio::test(start_paused = true)]
async fn f048_a_retry_after_is_sat_out_to_the_second() {
    let (inner, log) = provider_doing([limited(3), limited(5)]);
    let retry = RetryLayer::new(at_once()).layer(inner);
    assert!(retry.oneshot(routed(&["a"], &Book::default()).await).await.is_ok());
    assert_eq!(log.lock().unwrap().iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 3, 8]);
}

#[tokio::test(start_paused = true)]
async fn f050_backoff_is_drawn_and_bounded() {
    let mut waits = Vec::new();
    for _ in 0..40 {
        let policy = RetryPolicy::new().attempts(4).backoff(secs(4), secs(6)).budget(1.0, 100);
        let (inner, _) = provider_doing((0..4).map(|_| fails(DOWN)));
        let start = Instant::now();
        let answer = RetryLayer::new(policy).layer(inner).oneshot(routed(&["a"], &Book::default()).await).await;
        assert!(answer.is_err());
        // Up to 4, 6 and 6 seconds.
        assert!(start.elapsed() <= secs(17), "{:?}", start.elapsed());
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[0] + secs(2) < waits[39], "drawn, not fixed: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_bounds_everything() {
    let policy = || at_once().total(secs(10));
    let ((tried, result), took) = timed(walk(policy(), &["a", "b"], [Does::Hangs])).await;
    assert_eq!((tried.len(), result.unwrap_err().code(), took), (1, "total_timeout", 10));
    // A wait that would outlast it is not begun.
    let patient = policy().max_retry_after(secs(60));
    let ((tried, result), took) = timed(walk(patient, &["a"], [limited(30)])).await;
    assert_eq!((tried.len(), result.unwrap_err().retry_after(), took), (1, Some(secs(30)), 0));
    // Another target needs no wait.
    assert_eq!(walk(at_once().total(secs(10)).max_retry_after(secs(60)), &["a", "b"], [limited(30)]).await.0, ["a#1", "b#2"]);
    // Nor is a ledger waited for without end.
    let (inner, log) = provider_doing([]);
    let book = Book::hanging();
    let (result, took) = timed(RetryLayer::new(policy()).layer(inner).oneshot(routed(&["a"], &book).await)).await;
    assert_eq!((result.unwrap_err().code(), took, names(&log).len()), ("total_timeout", 10, 0));
    // "Never" is a deadline.
    assert!(walk(at_once().total(Duration::MAX), &["a"], []).await.1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn f049_the_budget_bounds_repeats_and_not_first_attempts() {
    let policy = at_once().budget(0.2, 0);
    let health = Health::new();
    let (inner, log) = provider_doing((0..1000).map(|_| fails(FaultKind::RateLimited)));
    let retry = RetryLayer::new(policy).health(health).layer(inner);
    for _ in 0..100 {
        assert!(retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.is_err());
    }
    let asked = names(&log).len();
    assert!((100..=121).contains(&asked), "{asked} attempts for 100 calls");
    // Another target's first attempt is free.
    let (tried, result) = walk(at_once().budget(0.0, 0), &["a", "b"], [fails(DOWN)]).await;
    assert_eq!((tried, result.is_ok()), (vec!["a#1".into(), "b#2".into()], true), "a repeat at `a` is not paid for");
}

/// Opens the breaker of target `a`.
async fn open(health: &Health) -> Retry<Inner> {
    let (inner, log) = provider_doing((0..20).map(|_| fails(DOWN)));
    let retry = RetryLayer::new(at_once().attempts(1)).health(health.clone()).layer(inner);
    for at in 0..20 {
        assert_eq!(health.breaker(&targets(&["a"])[0]), Breaker::Closed, "after {at} failures");
        assert!(retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.is_err());
    }
    assert_eq!(names(&log).len(), 20);
    retry
}

#[tokio::test(start_paused = true)]
async fn f049_a_breaker_opens_and_one_probe_closes_it() {
    let health = Health::new();
    open(&health).await;
    let target = targets(&["a"]).remove(0);
    assert!(matches!(health.breaker(&target), Breaker::Open(_)));
    // Open: nobody is asked, and the caller learns for how long.
    let (inner, log) = provider_doing([]);
    let retry = RetryLayer::new(at_once()).health(health.clone()).layer(inner);
    let fault = retry.oneshot(routed(&["a"], &Book::default()).await).await.unwrap_err();
    assert_eq!((fault.verdict().status.as_u16(), fault.retry_after(), names(&log).len()), (503, Some(secs(5)), 0));
    assert_eq!(fault.attempts()[0].fault, "breaker_open");
    // With another target nobody notices.
    let (inner, log) = provider_doing([]);
    let retry = RetryLayer::new(at_once()).health(health.clone()).layer(inner);
    assert!(retry.oneshot(routed(&["a", "b"], &Book::default()).await).await.is_ok());
    assert_eq!(names(&log), ["b#1"]);
    // Half open: one at a time.
    tokio::time::advance(secs(5)).await;
    assert_eq!(health.breaker(&target), Breaker::HalfOpen);
    let (inner, log) = provider_doing([Does::Hangs, fails(DOWN), Does::Answers]);
    let retry = RetryLayer::new(at_once().attempts(1)).health(health.clone()).layer(inner);
    let mut probe = tokio_test::task::spawn(retry.clone().oneshot(routed(&["a"], &Book::default()).await));
    assert!(probe.poll().is_pending());
    assert_eq!(retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.unwrap_err().code(), "overloaded");
    assert_eq!(names(&log).len(), 1);
    // A probe that is left counts for nothing, and lets the next one through; one that fails opens again.
    drop(probe);
    assert_eq!(retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.unwrap_err().code(), "upstream_status");
    assert!(matches!(health.breaker(&target), Breaker::Open(_)));
    tokio::time::advance(secs(5)).await;
    assert!(retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.is_ok());
    assert_eq!(health.breaker(&target), Breaker::Closed);
    assert_eq!(health.vitals()[0].running, 0);
}

/// A probe that the budget does not pay for is no defect of ours, and does not keep another target from answering.
#[tokio::test(start_paused = true)]
async fn f049_an_unpaid_probe_passes_the_target_over() {
    let health = Health::new();
    open(&health).await;
    tokio::time::advance(secs(5)).await;
    let (inner, log) = provider_doing([]);
    let retry = RetryLayer::new(at_once().budget(0.0, 0)).health(health.clone()).layer(inner);
    let fault = retry.clone().oneshot(routed(&["a"], &Book::default()).await).await.unwrap_err();
    assert_eq!((fault.verdict().status.as_u16(), names(&log).len()), (503, 0));
    assert!(retry.oneshot(routed(&["a", "b"], &Book::default()).await).await.is_ok());
    assert_eq!(names(&log), ["b#1"]);
}

#[tokio::test(start_paused = true)]
async fn f048_a_cooling_target_is_skipped_and_all_cooling_is_a_429() {
    let health = Health::new();
    let retry = |script: Vec<Does>| {
        let (inner, log) = provider_doing(script);
        (RetryLayer::new(at_once()).health(health.clone()).layer(inner), log)
    };
    let (first, _) = retry(vec![limited(20), limited(10)]);
    assert_eq!(first.oneshot(routed(&["a", "b"], &Book::default()).await).await.unwrap_err().retry_after(), Some(secs(10)));
    let (second, log) = retry(vec![]);
    let fault = second.clone().oneshot(routed(&["a", "b"], &Book::default()).await).await.unwrap_err();
    assert_eq!((fault.verdict().status.as_u16(), fault.retry_after(), names(&log).len()), (429, Some(secs(10)), 0));
    tokio::time::advance(secs(10)).await;
    assert!(second.clone().oneshot(routed(&["a", "b"], &Book::default()).await).await.is_ok());
    assert_eq!(names(&log), ["b#1"]);
    tokio::time::advance(secs(10)).await;
    assert!(second.oneshot(routed(&["a", "b"], &Book::default()).await).await.is_ok());
    assert_eq!(names(&log), ["b#1", "a#1"]);
    assert!(health.vitals().iter().all(|target| target.running == 0 && target.failures == 0));
}

/// A quota belongs to a provider's model, not to the names that it has here; and whoever waited for it does not come back
/// at the same moment as all others.
#[tokio::test(start_paused = true)]
async fn er_08_a_wait_is_kept_by_all_who_share_the_quota() {
    let catalog = Catalog::builder()
        .provider(provider(&Preset::OPENAI, "a", Timeouts::default()))
        .model(ModelEntry::new("one").target(TargetEntry::new("a", "gpt-4o")))
        .model(ModelEntry::new("two").target(TargetEntry::new("a", "gpt-4o")))
        .model(ModelEntry::new("other").target(TargetEntry::new("a", "gpt-4o-mini")))
        .build()
        .unwrap();
    let health = Health::new();
    let ask = async |model: &str, script: Vec<Does>| {
        let (inner, log) = provider_doing(script);
        let (parts, call) = call(CHAT, "m", true).await.into_parts();
        let plan = Plan { targets: catalog.resolve(model).unwrap().model.targets.clone(), fallbacks: true };
        let answer =
            RetryLayer::new(at_once()).health(health.clone()).layer(inner).oneshot(Request::from_parts(parts, Routed { call, plan })).await;
        (names(&log).len(), answer.map(drop).map_err(|fault| (fault.code(), fault.retry_after())))
    };
    assert_eq!(ask("one", vec![limited(20)]).await, (1, Err(("rate_limited", Some(secs(20))))));
    assert_eq!(ask("two", vec![]).await, (0, Err(("rate_limited", Some(secs(20))))), "the same quota by another name");
    assert_eq!(ask("other", vec![]).await, (1, Ok(())));
    tokio::time::advance(secs(20)).await;
    assert_eq!(ask("two", vec![]).await, (1, Ok(())));

    let mut waits = Vec::new();
    for _ in 0..40 {
        let (inner, _) = provider_doing([limited(3)]);
        let start = Instant::now();
        let policy = RetryPolicy::new().backoff(secs(2), secs(2));
        assert!(RetryLayer::new(policy).layer(inner).oneshot(routed(&["a"], &Book::default()).await).await.is_ok());
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[0] >= secs(3) && waits[39] <= secs(5) && waits[0] + Duration::from_millis(500) < waits[39], "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn er_09_a_callers_mistakes_cool_nothing() {
    let health = Health::new();
    for status in [400, 404, 413, 422] {
        let (inner, log) = provider_doing((0..30).map(|_| fails(FaultKind::Rejected { status })));
        let retry = RetryLayer::new(at_once()).health(health.clone()).layer(inner);
        for _ in 0..30 {
            let fault = retry.clone().oneshot(routed(&["a", "b"], &Book::default()).await).await.unwrap_err();
            assert_eq!(fault.verdict().status.as_u16(), status);
        }
        assert!(names(&log).iter().all(|name| name == "a#1"));
    }
    assert_eq!(health.breaker(&targets(&["a"])[0]), Breaker::Closed);
    assert_eq!(health.vitals()[0].failures, 0);
}

#[tokio::test(start_paused = true)]
async fn er_12_who_leaves_during_the_backoff_is_not_tried_for_again() {
    let health = Health::new();
    let (inner, log) = provider_doing([limited(4)]);
    let mut retry = RetryLayer::new(at_once()).health(health.clone()).layer(inner);
    let mut answer = tokio_test::task::spawn(retry.call(routed(&["a"], &Book::default()).await));
    assert!(answer.poll().is_pending());
    assert_eq!((names(&log).len(), health.vitals()[0].running), (1, 0), "nothing runs while it waits");
    drop(answer);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(names(&log).len(), 1);
}

#[tokio::test]
async fn a_ledger_that_refuses_keeps_the_attempt_from_being_sent() {
    let health = Health::new();
    let (inner, log) = provider_doing([]);
    let book = Book::refusing();
    let result = RetryLayer::new(at_once()).health(health.clone()).layer(inner).oneshot(routed(&["a", "b"], &book).await).await;
    let fault = result.unwrap_err();
    assert_eq!((fault.code(), fault.verdict().status.as_u16()), ("ledger_unavailable", 503));
    assert_eq!((names(&log).len(), book.intents(), book.attempts().len(), health.vitals()[0].running), (0, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_announced_and_ended_once() {
    let book = Book::default();
    let (inner, _) = provider_doing([fails(DOWN), fails(FaultKind::Timeout(Timeout::FirstByte))]);
    assert!(RetryLayer::new(at_once()).layer(inner).oneshot(routed(&["a", "b"], &book).await).await.is_ok());
    let ends: Vec<_> = book.attempts().iter().map(|attempt| (attempt.number, attempt.outcome.map(|outcome| outcome.name()))).collect();
    assert_eq!((book.intents(), ends), (3, vec![(1, Some("failed")), (2, Some("failed")), (3, None)]));
}

#[tokio::test]
async fn an_upload_has_one_attempt_at_one_target() {
    let (inner, log) = provider_doing([fails(DOWN)]);
    let whole = call(CHAT, "m", false).await.into_body();
    let facts = portcullis::stage::CallFacts {
        operation: whole.facts().operation,
        dialect: whole.facts().dialect,
        id: whole.facts().id.clone(),
        model: "m".into(),
        stream: false,
        include_usage: false,
        rich_usage: true,
        meta: false,
        preferences: Default::default(),
        app: None,
        members: Default::default(),
        started: std::time::Instant::now(),
        created: std::time::SystemTime::now(),
    };
    let call = portcullis::stage::Call::new(facts, Payload::Stream(Upload::new(chunks(["a", "b"]))));
    let plan = Plan { targets: targets(&["a", "b"]), fallbacks: true };
    let result = RetryLayer::new(at_once()).layer(inner).oneshot(Request::new(Routed { call, plan })).await;
    assert!(result.is_err());
    assert_eq!(names(&log), ["a#1"]);
}

#[tokio::test]
async fn without_fallbacks_one_target_is_all() {
    let (inner, log) = provider_doing([fails(DOWN), fails(DOWN), fails(DOWN)]);
    let mut request = routed(&["a", "b"], &Book::default()).await;
    request.body_mut().plan.fallbacks = false;
    assert!(RetryLayer::new(at_once()).layer(inner).oneshot(request).await.is_err());
    assert_eq!(names(&log), ["a#1", "a#2", "a#3"]);
}

/// Every attempt has the whole head; the last one has the caller's own, not a copy.
#[tokio::test]
async fn each_attempt_has_the_head_and_the_last_moves_it() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let inner = service_fn(move |request: Request<Attempt>| {
        let extension = request.extensions().get::<Arc<()>>().cloned();
        seen.lock().unwrap().push((request.headers()["x-own"].clone(), extension.map(|own| Arc::strong_count(&own))));
        async { Err::<Response<Feed>, BoxError>(Fault::from(DOWN).into()) }
    });
    let mut request = routed(&["a"], &Book::default()).await;
    request.headers_mut().insert("x-own", "1".parse().unwrap());
    request.extensions_mut().insert(Arc::new(()));
    assert!(RetryLayer::new(at_once()).layer(inner).oneshot(request).await.is_err());
    let counts: Vec<_> = heads.lock().unwrap().iter().map(|(_, count)| *count).collect();
    // The request's own, perhaps the original, and the one that counts.
    assert_eq!(counts, [Some(3), Some(3), Some(2)]);
}

#[tokio::test]
async fn f058_a_panic_below_leaves_nothing_running() {
    let health = Health::new();
    let (inner, _) = provider_doing([Does::Panics]);
    let answer = RetryLayer::new(at_once()).health(health.clone()).layer(inner).oneshot(routed(&["a"], &Book::default()).await);
    assert!(tokio::spawn(answer).await.unwrap_err().is_panic());
    assert_eq!((health.vitals()[0].running, health.vitals()[0].failures), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn f057_left_at_every_await_nothing_runs_on() {
    for polls in 0..7 {
        let health = Health::new();
        let alive = Arc::new(());
        let held = alive.clone();
        let inner = service_fn(move |request: Request<Attempt>| {
            let held = held.clone();
            async move {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                match request.body().number {
                    1 => Err(BoxError::from(Fault::from(DOWN))),
                    _ => Ok(Response::new(feed([]).held(&held))),
                }
            }
        });
        let mut retry = RetryLayer::new(at_once()).health(health.clone()).layer(inner);
        let done = left_after(polls, retry.call(routed(&["a"], &Book::default()).await)).await;
        drop(retry);
        assert_eq!(done, polls > 4, "{polls} polls are enough or not");
        assert!(gone(&alive) && health.vitals().iter().all(|target| target.running == 0), "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_always_ready_and_awaits_the_inner_service_for_each_attempt() {
    let (mut retry, mut handle) = mock::spawn_layer::<Request<Attempt>, Response<Feed>, _>(RetryLayer::new(at_once().total(secs(10))));
    handle.allow(0);
    assert!(retry.poll_ready().is_ready());
    let (result, took) = timed(retry.call(routed(&["a"], &Book::default()).await)).await;
    assert_eq!((result.unwrap_err().code(), took), ("total_timeout", 10), "never ready");

    handle.allow(2);
    let answer = retry.call(routed(&["a"], &Book::default()).await);
    let provider = async {
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request.body().number, 1);
        respond.send_error(Fault::from(DOWN));
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request.body().number, 2);
        respond.send_response(Response::new(feed([])));
    };
    let (answer, ()) = tokio::join!(answer, provider);
    assert!(answer.is_ok());

    handle.send_error("gone");
    assert!(matches!(retry.poll_ready(), Poll::Ready(Ok(()))));
    assert_eq!(retry.call(routed(&["a"], &Book::default()).await).await.unwrap_err().code(), "internal");
}

/// Who is shed waits for its next attempt without a place in the queue: what gets free meanwhile is for others.
#[tokio::test(start_paused = true)]
async fn who_waits_for_another_attempt_holds_no_place() {
    let (inner, log) = provider_doing([Does::Hangs]);
    let stack = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::new())).load_shed().concurrency_limit(1).service(inner);
    let book = Book::default();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut call = tokio_test::task::spawn(stack.clone().oneshot(routed(&["a"], &book).await));
        assert!(call.poll().is_pending());
        calls.push(call);
    }
    assert_eq!(names(&log), ["a#1"], "the second is shed");
    drop(calls.remove(0));
    let mut third = tokio_test::task::spawn(stack.oneshot(routed(&["a"], &book).await));
    assert!(third.poll().is_ready(), "the first one's place is free");
}
