//! Reading requests, and telling what went wrong below.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use portcullis::{
    fault::{Fault, FaultKind},
    normalize::{NormalizeLayer, NormalizedBody},
    stage::{Call, GenerationId},
};
use serde_json::Value;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::*;

type Answer = Response<NormalizedBody<Feed>>;

/// Sends `request` through `layer` to a service that answers with nothing; also gives the call that it got.
async fn send(layer: &NormalizeLayer, request: Request<Feed>) -> (Answer, Option<Request<Call>>) {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let inner = service_fn(move |request: Request<Call>| {
        *keep.lock().unwrap() = Some(request);
        async { Ok::<_, Fault>(Response::new(feed([]))) }
    });
    let answer = layer.layer(inner).oneshot(request).await.unwrap();
    let call = kept.lock().unwrap().take();
    (answer, call)
}

fn chat(body: Feed) -> Request<Feed> {
    Request::post(CHAT).header("content-type", "application/json").body(body).unwrap()
}

async fn code(answer: Answer) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// A valid body of exactly `length` bytes.
fn body_of(length: usize, fill: char) -> String {
    let frame = r#"{"model":"m","x":""}"#;
    format!(r#"{{"model":"m","x":"{}"}}"#, fill.to_string().repeat(length - frame.len()))
}

#[tokio::test(start_paused = true)]
async fn f021_body_limit_honest_lying_and_endless() {
    let layer = NormalizeLayer::new().max_body(64);
    let large = (413, "body_too_large".to_owned());
    let broken = (400, "body_truncated".to_owned());
    let declared = |length: u64, body: Feed| {
        let mut request = chat(body);
        request.headers_mut().insert("content-length", length.into());
        request
    };
    // The body is not touched: a poll would panic.
    assert_eq!(code(send(&layer, declared(65, feed([Step::Panic]))).await.0).await, large);
    assert_eq!(code(send(&layer, chat(feed([Step::Panic]).sized(65))).await.0).await, large);
    // Both say so, one lies.
    assert_eq!(code(send(&layer, declared(10, chunks([body_of(65, 'a')]))).await.0).await, large);
    assert_eq!(code(send(&layer, declared(10, chunks([body_of(64, 'a')]))).await.0).await, broken);
    assert_eq!(code(send(&layer, declared(64, chunks([body_of(60, 'a')]))).await.0).await, broken);
    // Exactly at the limit, whole and in pieces.
    for cut in [0, 1, 32, 63] {
        let whole = body_of(64, 'a');
        let (head, tail) = whole.split_at(cut);
        let (answer, call) = send(&layer, declared(64, chunks([head.to_owned(), tail.to_owned()]))).await;
        assert_eq!(answer.status(), 200, "cut at {cut}");
        assert_eq!(call.unwrap().body().payload().whole().unwrap(), whole.as_bytes());
    }
    // Without end and without a length: let go at the limit.
    let alive = Arc::new(());
    let endless = feed([data("{"), Step::Forever("          ".into())]).held(&alive);
    assert_eq!(code(send(&layer, chat(endless)).await.0).await, large);
    assert!(gone(&alive));
}

#[tokio::test(start_paused = true)]
async fn f020_slow_bodies_are_cut_at_their_deadlines() {
    let layer = NormalizeLayer::new();
    let slow = (408, "body_timeout".to_owned());
    let alive = Arc::new(());
    let ((answer, _), took) = timed(send(&layer, chat(feed([data("{"), Step::Stall]).held(&alive)))).await;
    assert_eq!((code(answer).await, took), (slow.clone(), 15));
    assert!(gone(&alive));

    let drip = (0..100).flat_map(|_| [data(" "), Step::Wait(secs(14))]);
    let ((answer, _), took) = timed(send(&layer, chat(feed(drip).held(&alive)))).await;
    assert_eq!((code(answer).await, took), (slow, 120));
    assert!(gone(&alive));

    let steady = [data(r#"{"model""#), Step::Wait(secs(14)), data(r#":"m""#), Step::Wait(secs(14)), data("}")];
    assert_eq!(send(&layer, chat(feed(steady))).await.0.status(), 200);

    // For ever is a deadline, too.
    let never = NormalizeLayer::new().body_timeouts(std::time::Duration::MAX, std::time::Duration::MAX);
    assert_eq!(send(&never, chat(feed([Step::Wait(secs(3600)), data(r#"{"model":"m"}"#)]))).await.0.status(), 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_defect_of_ours() {
    let (answer, call) = send(&NormalizeLayer::new(), chat(feed([data("{"), Step::Fail("reset")]))).await;
    assert_eq!(code(answer).await, (400, "body_truncated".to_owned()));
    assert!(call.is_none());
}

#[tokio::test]
async fn bytes_in_any_number_of_frames_are_the_same_body() {
    let whole = body_of(5_000, 'x');
    for size in [1, 7, 4_999, 5_000] {
        let pieces = whole.as_bytes().chunks(size).flat_map(|piece| [data(Bytes::copy_from_slice(piece)), data(""), Step::Yield]);
        let (_, call) = send(&NormalizeLayer::new(), chat(feed(pieces))).await;
        assert_eq!(call.unwrap().body().payload().whole().unwrap(), whole.as_bytes(), "in pieces of {size}");
    }
}

/// Blocks come back to be used again: nobody may see what was in them.
#[tokio::test]
async fn large_bodies_never_mix() {
    let layer = NormalizeLayer::new();
    let mut held = Vec::new();
    for (round, fill) in ('a'..='l').enumerate() {
        let length = 200_000 + 70_000 * (round % 5);
        let whole = body_of(length, fill);
        let pieces = whole.as_bytes().chunks(65_536).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let (_, call) = send(&layer, chat(chunks(pieces))).await;
        // A slice keeps its block, as a provider's request would.
        let bytes = call.unwrap().body().payload().whole().unwrap().clone();
        held.push((bytes.slice(100..bytes.len() - 2), fill, bytes.len()));
        if round % 3 == 2 {
            held.remove(0);
        }
        for (slice, fill, length) in &held {
            assert_eq!(slice.len(), length - 102);
            assert!(slice.iter().all(|byte| char::from(*byte) == *fill));
        }
    }
}

#[tokio::test]
async fn f025_f032_content_types_and_encodings() {
    let body = || chunks([r#"{"model":"m"}"#]);
    for (name, value, status) in [
        ("content-type", "application/json", 200),
        ("content-type", "Application/JSON; charset=utf-8", 200),
        ("content-type", "application/vnd.api+json", 200),
        ("content-type", "text/plain", 415),
        ("content-type", "multipart/form-data; boundary=x", 415),
        ("content-type", "application/jsonx", 415),
        ("content-type", "", 415),
        ("content-encoding", "identity", 200),
        ("content-encoding", "gzip", 415),
        ("content-encoding", "gzip, identity", 415),
    ] {
        let request = Request::post(CHAT).header(name, value).body(body()).unwrap();
        let answer = send(&NormalizeLayer::new(), request).await.0;
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
    assert_eq!(send(&NormalizeLayer::new(), Request::post(CHAT).body(body()).unwrap()).await.0.status(), 200, "none at all");
}

#[tokio::test]
async fn f028_broken_text_is_not_json() {
    for body in [&b"\xff{}"[..], b"{\"model\":\"\xff\"}", b"\xef\xbb\xbf{\"model\":\"m\"}", b"", b"{\"model\":\"m\"}x"] {
        let answer = send(&NormalizeLayer::new(), chat(chunks([Bytes::from_static(body)]))).await.0;
        assert_eq!(code(answer).await.0, 400, "{body:?}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_told_so() {
    for (method, path, expected) in [
        (Method::GET, CHAT, (405, "method_not_allowed")),
        (Method::POST, "/v1/responses", (501, "not_implemented")),
        (Method::POST, "/v1/nothing", (404, "not_found")),
        (Method::GET, "/v1/models", (404, "not_found")),
    ] {
        let request = Request::builder().method(method).uri(path).body(feed([Step::Panic])).unwrap();
        let (status, told) = code(send(&NormalizeLayer::new(), request).await.0).await;
        assert_eq!((status, told.as_str()), expected, "{path}");
    }
}

#[tokio::test]
async fn what_a_header_asks_for_is_never_passed_over() {
    let ask = |name: &'static str, value: String| {
        let mut request = chat(chunks([r#"{"model":"m","provider":{"only":["b"]}}"#]));
        request.headers_mut().append(name, value.parse().unwrap());
        request
    };
    let (_, call) = send(&NormalizeLayer::new(), ask("x-gateway-provider", "a, c".into())).await;
    assert_eq!(call.unwrap().body().facts().preferences.only, ["a", "c"], "the header is the last word");
    for request in [
        ask("x-gateway-provider", "a".repeat(3_000)),
        ask("x-gateway-fidelity", "sTrict".into()),
        ask("x-gateway-metadata", format!(r#"{{"k":"{}"}}"#, "v".repeat(3_000))),
        ask("x-gateway-metadata", r#"{"k":1}"#.into()),
        {
            let mut twice = ask("x-gateway-provider", "a".into());
            twice.headers_mut().append("x-gateway-provider", "b".parse().unwrap());
            twice
        },
    ] {
        let (answer, call) = send(&NormalizeLayer::new(), request).await;
        assert_eq!((answer.status().as_u16(), call.is_none()), (400, true));
    }
}

#[tokio::test]
async fn lists_and_messages_are_bounded() {
    let models = vec![r#""a""#; 33].join(",");
    let answer = send(&NormalizeLayer::new(), chat(chunks([format!(r#"{{"model":"m","models":[{models}]}}"#)]))).await.0;
    assert_eq!(answer.status(), 400);
    let long = "x".repeat(100_000);
    let answer = send(&NormalizeLayer::new(), chat(chunks([format!(r#"{{"model":"m","provider":{{"{long}":1}}}}"#)]))).await.0;
    assert_eq!(answer.status(), 400);
    assert!(text(answer.into_body()).await.len() < 4_000, "a caller's own words are not sent back at length");
}

#[tokio::test]
async fn own_members_can_be_left_alone() {
    let body = r#"{"model":"m","provider":3,"usage":"x"}"#;
    assert_eq!(send(&NormalizeLayer::new(), chat(chunks([body]))).await.0.status(), 400);
    assert_eq!(send(&NormalizeLayer::new().without_members(), chat(chunks([body]))).await.0.status(), 200);
}

#[tokio::test]
async fn the_call_has_one_id_and_a_host_may_give_it() {
    let mut request = chat(chunks([r#"{"model":"m"}"#]));
    let id: GenerationId = "G-01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    request.extensions_mut().insert(id.clone());
    let (answer, call) = send(&NormalizeLayer::new(), request).await;
    assert_eq!(answer.headers()["x-request-id"], id.as_str());
    assert_eq!(call.unwrap().body().facts().id, id);
}

#[tokio::test(start_paused = true)]
async fn it_is_always_ready_and_waits_for_the_inner_service_in_the_call() {
    let (mut service, mut handle) = mock::spawn_layer::<Request<Call>, Response<Feed>, _>(NormalizeLayer::new());
    handle.allow(0);
    assert!(service.poll_ready::<Request<Feed>>().is_ready());
    let alive = Arc::new(());
    let mut answer = tokio_test::task::spawn(service.call(chat(chunks([r#"{"model":"m"}"#]).held(&alive))));
    assert!(answer.poll().is_pending());
    assert!(gone(&alive), "the body was read before");
    handle.allow(1);
    let mut answer = answer.into_inner();
    let (request, respond) = tokio::select! {
        request = handle.next_request() => request.unwrap(),
        _ = &mut answer => panic!("nobody answered"),
    };
    assert_eq!(request.body().facts().model, "m");
    respond.send_error(Fault::from(FaultKind::Overloaded));
    assert_eq!(answer.await.unwrap().status(), 503);
}

#[tokio::test]
async fn an_error_of_readiness_is_answered_in_the_callers_words() {
    let (mut service, mut handle) = mock::spawn_layer::<Request<Call>, Response<Feed>, _>(NormalizeLayer::new());
    assert!(service.poll_ready::<Request<Feed>>().is_ready());
    handle.send_error("gone");
    let request = Request::post(MESSAGES).body(chunks([r#"{"model":"m"}"#])).unwrap();
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
    assert_eq!((body["type"].as_str(), body["error"]["type"].as_str()), (Some("error"), Some("api_error")));
    assert!(!body.to_string().contains("gone"), "what failed inside stays inside");
}

#[tokio::test]
async fn an_error_in_a_stream_is_its_last_event_and_elsewhere_an_error() {
    let answer = |kind: &'static str| {
        service_fn(move |_: Request<Call>| async move {
            let body = feed([data("data: 1"), Step::Fail("reset"), data("data: 2\n\n")]);
            Ok::<_, BoxError>(Response::builder().header("content-type", kind).body(body).unwrap())
        })
    };
    for (path, event) in [(CHAT, "data: {\"error\""), (MESSAGES, "event: error\n")] {
        let request = || Request::post(path).body(chunks([r#"{"model":"m"}"#])).unwrap();
        let stream = NormalizeLayer::new().layer(answer("text/event-stream; charset=utf-8")).oneshot(request()).await.unwrap();
        let said = text(stream.into_body()).await;
        // Also where a line was not at its end.
        assert!(said.starts_with("data: 1\n\n") && said[9..].starts_with(event) && !said.contains("data: 2"), "{said}");
        let whole = NormalizeLayer::new().layer(answer("application/json")).oneshot(request()).await.unwrap();
        assert!(whole.into_body().collect().await.is_err());
    }
}

#[tokio::test]
async fn f057_left_at_every_await_nothing_is_kept() {
    for polls in 0..8 {
        let (body, inner_alive) = (Arc::new(()), Arc::new(()));
        let held = inner_alive.clone();
        let inner = service_fn(move |_: Request<Call>| {
            let held = held.clone();
            async move {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                Ok::<_, Fault>(Response::new(feed([Step::Stall]).held(&held)))
            }
        });
        let request = chat(feed([data(r#"{"model""#), Step::Yield, data(r#":"m"}"#), Step::Yield]).held(&body));
        let mut service = NormalizeLayer::new().layer(inner);
        let done = left_after(polls, service.call(request)).await;
        drop(service);
        assert!(done || polls < 7, "{polls} polls are enough");
        assert!(gone(&body) && gone(&inner_alive), "after {polls} polls");
    }
}

#[tokio::test]
async fn f058_a_panic_below_is_passed_on_and_nothing_is_kept() {
    for early in [true, false] {
        let body = Arc::new(());
        let inner = service_fn(move |_: Request<Call>| {
            assert!(!early, "at once");
            async move { if early { Ok::<_, Fault>(Response::new(feed([]))) } else { panic!("later") } }
        });
        let service = NormalizeLayer::new().layer(inner);
        let request = chat(feed([data(r#"{"model":"m"}"#)]).held(&body));
        assert!(tokio::spawn(service.oneshot(request)).await.unwrap_err().is_panic(), "the gateway above makes an answer of it");
        assert!(gone(&body));
    }
}
