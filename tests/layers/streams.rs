//! Streamed answers: the commit point, deadlines that need no polls, and every way to end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use portcullis::{
    catalog::{Preset, Target, Timeouts},
    retry::{RetryLayer, RetryPolicy},
    stage::{Breaker, GenerationId, Health, Outgoing, Plan, Routed},
    translate::TranslateLayer,
};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{
    answers::*,
    support::*,
    translate::{Answer, answer, anthropic, exchange, openai},
};

fn stream(body: Feed) -> Response<Feed> {
    answer(200, "text/event-stream", body)
}

/// A streamed call of `path` at `target`, always with the same id, that `body` answers.
async fn streamed(layer: TranslateLayer, path: &str, target: &Arc<Target>, book: &Book, body: Feed) -> Answer {
    let mut request = post(path, ask("m", true, ""));
    request.extensions_mut().insert("G-01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<GenerationId>().unwrap());
    exchange(layer, attempt(normalized(request).await, target, book).await, stream(body)).await.0
}

async fn told(path: &str, target: &Arc<Target>, body: Feed) -> Result<String, &'static str> {
    match streamed(TranslateLayer::new().annotate(false), path, target, &Book::default(), body).await {
        Ok(answer) => Ok(text(answer.into_body()).await),
        Err(fault) => Err(fault.code()),
    }
}

/// What the caller sees depends on the provider's bytes, not on how they were cut.
#[tokio::test(start_paused = true)]
async fn f041_the_commit_point_does_not_depend_on_cuts() {
    let error = openai_error_event("server_error", "no luck");
    let (chat, message) = (openai_events(&["Hel", "lo"]), anthropic_events(&["Hel", "lo"]));
    let broken = anthropic_error_event("overloaded_error", "no luck");
    let comment = ": alive\n\n".to_owned();
    for (target, events, committed) in [
        (openai(), chat.clone(), true),
        (openai(), vec![chat[0].clone(), chat[1].clone(), error.clone()], true),
        (openai(), vec![comment.clone(), chat[0].clone(), error.clone()], false),
        (openai(), vec![error.clone(), chat[1].clone()], false),
        (openai(), vec![chat[0].clone(), chat[1].clone(), "data: {broken\n\n".into()], true),
        (openai(), vec![chat[0].clone(), "data: {broken\n\n".into()], false),
        (openai(), chat[..1].to_vec(), false),
        (openai(), chat[..2].to_vec(), true),
        (anthropic(), message.clone(), true),
        (anthropic(), [&message[..3], std::slice::from_ref(&broken)].concat(), true),
        (anthropic(), [&message[..2], std::slice::from_ref(&broken)].concat(), false),
        (anthropic(), [std::slice::from_ref(&broken), &message[..]].concat(), false),
        (anthropic(), message[..2].to_vec(), false),
        (anthropic(), message[..4].to_vec(), true),
    ] {
        let own = if &*target.provider.kind == "anthropic" { MESSAGES } else { CHAT };
        for path in [own, MESSAGES] {
            let whole = events.concat();
            let expected = told(path, &target, chunks([whole.clone()])).await;
            assert_eq!(expected.is_ok(), committed, "{path}: {expected:?}");
            for cut in (1..whole.len()).step_by(3) {
                let (head, tail) = whole.split_at(cut);
                let steps = [data(head.to_owned()), Step::Yield, data(tail.to_owned())];
                assert_eq!(told(path, &target, feed(steps)).await, expected, "{path}, cut at {cut}");
            }
            let bytes = whole.bytes().map(|byte| data(Bytes::copy_from_slice(&[byte])));
            assert_eq!(told(path, &target, feed(bytes)).await, expected, "{path}, byte by byte");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f042_what_breaks_off_does_not_look_like_an_end() {
    for (path, end) in [(CHAT, "[DONE]"), (MESSAGES, "message_stop")] {
        for target in [openai(), anthropic()] {
            let begun = if &*target.provider.kind == "anthropic" {
                anthropic_events(&["Hi"])[..3].concat()
            } else {
                openai_events(&["Hi"])[..2].concat()
            };
            for last in [Step::Yield, Step::Fail("reset")] {
                let body = feed([data(begun.clone()), last]);
                let said = told(path, &target, body).await.unwrap();
                assert!(said.contains("Hi") && said.contains("\"error\"") && !said.contains(end), "{path}: {said}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_held_for_its_first_content_and_no_longer() {
    let role = || data(openai_events(&[])[0].clone());
    let at_once = TranslateLayer::new().hold(Duration::ZERO);
    let (answer, took) = timed(streamed(at_once, CHAT, &openai(), &Book::default(), feed([Step::Stall]))).await;
    assert_eq!((answer.is_ok(), took), (true, 0));

    let body = feed([role(), Step::Wait(secs(30)), data(openai_events(&["Hi"])[1..].concat())]);
    let (answer, took) = timed(streamed(TranslateLayer::new(), CHAT, &openai(), &Book::default(), body)).await;
    assert_eq!(took, 10);
    let said = text(answer.unwrap().into_body()).await;
    assert!(said.find("assistant").unwrap() < said.find("Hi").unwrap(), "what was held comes first: {said}");

    let body = feed([role(), Step::Wait(secs(3)), data(openai_events(&["Hi"])[1..].concat())]);
    assert_eq!(timed(streamed(TranslateLayer::new(), CHAT, &openai(), &Book::default(), body)).await.1, 3);
    // Held back, but not without bound.
    let body = feed([role(), Step::Forever(format!(": {}\n\n", "x".repeat(1_000)).into())]);
    assert!(streamed(TranslateLayer::new().hold(Duration::MAX), CHAT, &openai(), &Book::default(), body).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn silence_is_bridged_in_the_callers_words() {
    for (path, target, ping) in [
        (CHAT, openai(), ": keep-alive\n\n"),
        (CHAT, anthropic(), ": keep-alive\n\n"),
        (MESSAGES, openai(), "event: ping\n"),
        (MESSAGES, anthropic(), "event: ping\n"),
    ] {
        let (events, begun) =
            if &*target.provider.kind == "anthropic" { (anthropic_events(&["Hi"]), 3) } else { (openai_events(&["Hi"]), 2) };
        let body = feed([data(events[..begun].concat()), Step::Wait(secs(50)), data(events[begun..].concat())]);
        let said = told(path, &target, body).await.unwrap();
        assert_eq!(said.matches(ping).count(), 3, "at 15, 30 and 45 s: {said}");
    }
}

/// A keep-alive that is due in the moment of the answer's end is not told behind it.
#[tokio::test(start_paused = true)]
async fn nothing_follows_the_end_of_an_answer() {
    let events = openai_events(&["Hi"]);
    for millis in (800..1_400).step_by(10) {
        let layer = TranslateLayer::new().keep_alive(secs(1));
        let body = feed([data(events[..2].concat()), Step::Wait(Duration::from_millis(millis)), data(events[2..].concat())]);
        let said = text(streamed(layer, CHAT, &openai(), &Book::default(), body).await.unwrap().into_body()).await;
        assert!(said.ends_with("data: [DONE]\n\n"), "after {millis} ms: {said}");
    }
    let body = feed([data(events.concat()), data("data: {\"junk\":1}\n\n"), Step::Yield, data("data: [DONE]\n\n")]);
    let said = told(CHAT, &openai(), body).await.unwrap();
    assert!(said.ends_with("data: [DONE]\n\n") && !said.contains("junk") && said.matches("[DONE]").count() == 1, "{said}");
}

#[tokio::test(start_paused = true)]
async fn oa_15_heartbeats_behind_the_finish_do_not_keep_an_answer_open() {
    for (path, end) in [(MESSAGES, "message_stop"), (CHAT, "data: [DONE]\n\n")] {
        let (alive, book) = (Arc::new(()), Book::default());
        let events = openai_events(&["Hi"]);
        let finished = events[..events.len() - 2].concat();
        let beats = (0..1_000).flat_map(|_| [Step::Wait(Duration::from_millis(500)), data(": heartbeat\n\n")]);
        let body = feed([data(finished)].into_iter().chain(beats)).held(&alive);
        let answer = streamed(TranslateLayer::new(), path, &openai(), &book, body).await.unwrap();
        let (said, took) = timed(text(answer.into_body())).await;
        assert!(said.trim_end().contains(end.trim_end()) && took <= 3, "{path} after {took} s: {said}");
        assert!(gone(&alive));
        assert_eq!(book.end(), (Some("complete"), None));
    }
}

#[tokio::test(start_paused = true)]
async fn f037_f038_deadlines_of_a_running_stream() {
    let content = || data(openai_events(&["Hi"])[..2].concat());
    let steady = |text: &'static str| (0..100).flat_map(move |_| [Step::Wait(secs(50)), data(text)]);
    let word = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    for (rest, outcome, fault, seconds) in [
        (vec![Step::Stall], "truncated", "idle_timeout", 60),
        // A sign of life is none of an end.
        (steady(": alive\n\n").collect(), "failed", "total_timeout", 600),
        (steady(word).collect(), "failed", "total_timeout", 600),
    ] {
        let (alive, book) = (Arc::new(()), Book::default());
        let body = feed([content()].into_iter().chain(rest)).held(&alive);
        let answer = streamed(TranslateLayer::new(), CHAT, &openai(), &book, body).await.unwrap();
        let (said, took) = timed(text(answer.into_body())).await;
        assert!(said.contains("timeout_error") && !said.contains("[DONE]"), "{said}");
        assert_eq!((book.end(), took, book.closed()), ((Some(outcome), Some(fault)), seconds, 1));
        assert!(gone(&alive));
    }
    // Before the commit point it is the attempt's fault, and the next target's chance.
    let book = Book::default();
    let patient = TranslateLayer::new().hold(secs(1_000));
    let (answer, took) = timed(streamed(patient, CHAT, &openai(), &book, feed([Step::Stall]))).await;
    assert_eq!((answer.unwrap_err().code(), took, book.end(), book.closed()), ("idle_timeout", 60, (None, None), 0));
}

/// Nobody polls, and yet the provider's side is dropped and the books are closed; it is not the provider's fault.
#[tokio::test(start_paused = true)]
async fn f054_an_answer_that_nobody_takes() {
    for taken in [0, 1] {
        let (alive, book) = (Arc::new(()), Book::default());
        let body = feed([data(openai_events(&["Hi"])[..2].concat()), Step::Stall]).held(&alive);
        let mut body = streamed(TranslateLayer::new(), CHAT, &openai(), &book, body).await.unwrap().into_body();
        for _ in 0..taken {
            assert!(body.frame().await.is_some());
        }
        tokio::time::sleep(secs(29)).await;
        assert!(!gone(&alive));
        tokio::time::sleep(secs(2)).await;
        assert!(gone(&alive), "{taken} frames taken");
        assert_eq!((book.end(), book.closed()), ((Some("cancelled"), Some("write_stall")), 1));
        assert!(text(body).await.contains("\"error\""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_answer_gives_its_connection_back() {
    let events = openai_events(&["Hi"]).concat();
    // Its end is there: read at once, before the last frame is handed out.
    let alive = Arc::new(());
    let body = feed([data(events.clone()), data("junk")]).held(&alive);
    let mut body = streamed(TranslateLayer::new(), CHAT, &openai(), &Book::default(), body).await.unwrap().into_body();
    while !body.is_end_stream() {
        assert!(body.frame().await.is_some());
    }
    assert!(gone(&alive));
    // It is not: the next poll lets go, and so does time.
    for polled in [true, false] {
        let body = feed([data(events.clone()), Step::Stall]).held(&alive);
        let mut body = streamed(TranslateLayer::new(), CHAT, &openai(), &Book::default(), body).await.unwrap().into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(frame.ends_with(b"[DONE]\n\n"));
        assert!(!gone(&alive) && !body.is_end_stream());
        if polled {
            assert!(body.frame().await.is_none());
        } else {
            tokio::time::sleep(secs(31)).await;
        }
        assert!(gone(&alive));
    }
}

#[tokio::test(start_paused = true)]
async fn f053_who_leaves_is_billed_for_what_was_seen() {
    let (alive, book) = (Arc::new(()), Book::default());
    let body = feed([data(anthropic_events(&["Hello", "there"])[..4].concat()), Step::Stall]).held(&alive);
    let mut body = streamed(TranslateLayer::new(), CHAT, &anthropic(), &book, body).await.unwrap().into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    assert!(gone(&alive));
    let attempt = book.attempts().remove(0);
    assert_eq!((attempt.outcome, attempt.seen.output_bytes), (None, 10));
    assert_eq!(attempt.seen.usage.map(|usage| usage.input), Some(3));
    tokio::time::sleep(secs(700)).await;
    assert_eq!((book.closed(), book.end().0), (0, None), "no deadline touches it any more");
}

#[tokio::test(start_paused = true)]
async fn f057_a_stream_left_at_every_await() {
    for polls in 0..8 {
        let (alive, book) = (Arc::new(()), Book::default());
        let events = openai_events(&["Hi"]);
        let steps = events.iter().flat_map(|event| [Step::Yield, data(event.clone())]);
        let response = Arc::new(Mutex::new(Some(stream(feed(steps).held(&alive)))));
        let inner = service_fn(move |_: Request<Outgoing>| {
            let response = response.lock().unwrap().take();
            async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(response.expect("one request"))
            }
        });
        let request = attempt(call(CHAT, "m", true).await, &openai(), &book).await;
        let mut translate = TranslateLayer::new().layer(inner);
        let work = async move {
            let mut body = translate.call(request).await.unwrap().into_body();
            while body.frame().await.is_some() {}
        };
        let done = left_after(polls, work).await;
        assert!(gone(&alive), "after {polls} polls");
        assert_eq!(book.end().0, done.then_some("complete"), "after {polls} polls");
    }
}

#[tokio::test]
async fn f058_a_provider_body_that_panics_lets_go() {
    let (alive, book) = (Arc::new(()), Book::default());
    let body = feed([data(openai_events(&["Hi"])[..2].concat()), Step::Yield, Step::Panic]).held(&alive);
    let answer = streamed(TranslateLayer::new(), CHAT, &openai(), &book, body).await.unwrap();
    assert!(tokio::spawn(text(answer.into_body())).await.unwrap_err().is_panic());
    assert!(gone(&alive));
}

/// A layer may outlive the runtime that its watchdog ran on.
#[test]
fn deadlines_hold_on_the_next_runtime_too() {
    let layer = TranslateLayer::new();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let layer = layer.clone();
        runtime.block_on(async move {
            let stalled = || feed([data(openai_events(&["Hi"])[..2].concat()), Step::Stall]);
            // Still running when the runtime ends.
            std::mem::forget(streamed(layer.clone(), CHAT, &openai(), &Book::default(), stalled()).await.unwrap());
            let book = Book::default();
            let answer = streamed(layer, CHAT, &openai(), &book, stalled()).await.unwrap();
            let said = tokio::time::timeout(secs(100), text(answer.into_body())).await.expect("a deadline");
            assert!(said.contains("timeout_error"), "{said}");
        });
    }
}

/// A limit is no failure of the provider's, wherever it is told.
#[tokio::test(start_paused = true)]
async fn er_02_a_limit_inside_a_stream_stays_a_limit() {
    for (target, events, limited) in [
        (openai(), openai_events(&["Hi"]), openai_error_event("rate_limit_error", "slow down")),
        (anthropic(), anthropic_events(&["Hi"]), anthropic_error_event("rate_limit_error", "slow down")),
    ] {
        let content = events.iter().position(|event| event.contains("Hi")).unwrap() + 1;
        for shown in [0, content] {
            let health = Health::new();
            let book = Book::default();
            let told = [&events[..shown], std::slice::from_ref(&limited)].concat().concat();
            let inner = service_fn(move |_: Request<Outgoing>| std::future::ready(Ok::<_, BoxError>(stream(chunks([told.clone()])))));
            let retry = RetryLayer::new(RetryPolicy::new().attempts(1)).health(health.clone());
            let service = ServiceBuilder::new().layer(retry).layer(TranslateLayer::new()).service(inner);
            let (parts, call) = call(CHAT, "m", true).await.into_parts();
            let plan = Plan { targets: vec![target.clone()], fallbacks: true };
            let answer = service.oneshot(Request::from_parts(parts, Routed { call: call.with_tally(book.tally()), plan })).await;
            match answer {
                Err(fault) => assert_eq!((fault.code(), fault.verdict().status.as_u16(), shown), ("rate_limited", 429, 0)),
                Ok(answer) => {
                    let said = text(answer.into_body()).await;
                    assert!(shown > 0 && said.contains("\"status_code\":429") && said.contains("rate_limit_error"), "{said}");
                }
            }
            assert_eq!(book.end(), (Some("failed"), Some("rate_limited")));
            assert_eq!((health.vitals()[0].failures, health.vitals()[0].running), (0, 0));
        }
    }
}

/// What breaks behind the commit point is the provider's failure all the same; what the caller does is not.
#[tokio::test(start_paused = true)]
async fn f041_f042_health_hears_of_streams_that_break_late() {
    let health = Health::new();
    let bodies = |last: fn() -> Step| feed([data(openai_events(&["Hi"])[..2].concat()), Step::Yield, last()]);
    let target = target(&Preset::OPENAI, "a", Timeouts::default());
    let ask = async |last: fn() -> Step, taken: usize| {
        let inner = service_fn(move |_: Request<Outgoing>| std::future::ready(Ok::<_, BoxError>(stream(bodies(last)))));
        let retry = RetryLayer::new(RetryPolicy::new()).health(health.clone());
        let service = ServiceBuilder::new().layer(retry).layer(TranslateLayer::new()).service(inner);
        let (parts, call) = call(CHAT, "m", true).await.into_parts();
        let plan = Plan { targets: vec![target.clone()], fallbacks: true };
        let mut body = service.oneshot(Request::from_parts(parts, Routed { call, plan })).await.unwrap().into_body();
        assert_eq!(health.vitals()[0].running, 1, "it runs as long as its body");
        for _ in 0..taken {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        let vitals = health.vitals().remove(0);
        assert_eq!(vitals.running, 0);
        (vitals.calls, vitals.failures)
    };
    assert_eq!(ask(|| Step::Stall, 1).await, (1, 0), "the caller left");
    assert_eq!(ask(|| Step::Fail("reset"), 2).await, (2, 1));
    assert_eq!(ask(|| Step::Yield, 2).await, (3, 2), "an end that is none");
    assert_eq!(ask(|| data(openai_error_event("server_error", "no luck")), 2).await, (4, 3));
    for _ in 4..20 {
        assert_eq!(health.breaker(&target), Breaker::Closed);
        ask(|| Step::Fail("reset"), 2).await;
    }
    assert!(matches!(health.breaker(&target), Breaker::Open(_)));
}
