//! The HTTP client against a provider that misbehaves, on real sockets.
#![cfg(feature = "client")]

mod support;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use portcullis::{
    catalog::{Target, Timeouts},
    dialect::Dialect,
    fault::{Failure, Fault, FaultKind, Phase, Timeout},
    stage::{Endpoint, Outgoing, Payload, Upload},
    transport::{HttpClient, ProviderBody, Transport, TransportBody, TransportFuture},
};
use support::{
    answers::openai_events,
    provider::Provider,
    script::{Script, Step, head},
    target::{Reach, target},
};
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

#[path = "transport/http2.rs"]
mod http2;
#[path = "transport/proxy.rs"]
mod proxy;
#[path = "transport/tls.rs"]
mod tls;

type Answer = Result<Response<ProviderBody>, Fault>;

fn chat() -> &'static dyn Dialect {
    match Endpoint::at(&Method::POST, "/v1/chat/completions") {
        Ok(Endpoint::Call { dialect, .. }) => dialect,
        other => panic!("{other:?}"),
    }
}

fn at(provider: &Provider) -> Arc<Target> {
    target(&provider.url("/v1"), &[chat()], Reach::default())
}

fn outgoing(target: &Arc<Target>, body: Outgoing) -> Request<Outgoing> {
    let portcullis::catalog::Wire::Http(http) = &target.provider.wire else { panic!("a target over HTTP") };
    Request::post(format!("{}/chat/completions", http.base_url)).header("content-type", "application/json").body(body).unwrap()
}

fn request(target: &Arc<Target>, body: &'static str) -> Request<Outgoing> {
    outgoing(target, Outgoing::from_slices(Arc::clone(target), chat(), [Bytes::from_static(body.as_bytes())]))
}

async fn call(client: &HttpClient, target: &Arc<Target>) -> Answer {
    client.clone().oneshot(request(target, r#"{"model":"fake-1"}"#)).await
}

async fn text(answer: Answer) -> String {
    let body = answer.expect("an answer").into_body().collect().await.expect("a whole body");
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// The fault that ends a body, after what came before it.
async fn broken(answer: Answer) -> (String, Fault) {
    let mut body = answer.expect("an answer").into_body();
    let mut read = String::new();
    loop {
        match body.frame().await.expect("a fault before the end") {
            Ok(frame) => read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(fault) => {
                assert!(body.frame().await.is_none(), "an error is the last thing");
                return (read, fault);
            }
        }
    }
}

fn fault(answer: Answer) -> (FaultKind, Phase) {
    let fault = answer.expect_err("a fault");
    (fault.kind().clone(), fault.phase())
}

const CONNECTION: FaultKind = FaultKind::Upstream(Failure::Connection);
const PROTOCOL: FaultKind = FaultKind::Upstream(Failure::Protocol);

#[tokio::test]
async fn a_request_goes_up_as_it_was_made_with_host_and_credential() {
    let provider = Provider::start().await;
    let target = at(&provider);
    let slices = ["{\"model\":", "\"fake-1\"", "}"].map(|slice| Bytes::from_static(slice.as_bytes()));
    let request = outgoing(&target, Outgoing::from_slices(Arc::clone(&target), chat(), slices));
    assert_eq!(text(HttpClient::new().oneshot(request).await).await, "{}");
    let received = &provider.received()[0];
    assert_eq!(received.line(), "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(received.body, br#"{"model":"fake-1"}"#);
    assert_eq!(received.header("host"), Some(provider.address().to_string()));
    assert_eq!(received.header("authorization").as_deref(), Some("Bearer provider-secret"));
    assert_eq!(received.header("content-length").as_deref(), Some("18"));
    assert_eq!(received.head().lines().filter(|line| !line.is_empty()).count(), 5, "{}", received.head());
}

#[tokio::test]
async fn a_connection_is_used_again_after_each_kind_of_clean_end() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::json(200, r#"{"a":1}"#));
    provider.play(Script::sse(openai_events(&["a", "b"])).dripped(7));
    provider.play(Script::raw(head(204, &[])));
    provider.play(Script::json(500, "{}"));
    assert_eq!(text(call(&client, &target).await).await, r#"{"a":1}"#);
    assert!(text(call(&client, &target).await).await.ends_with("data: [DONE]\n\n"));
    // Nobody polls a body that says it is empty.
    assert_eq!(call(&client, &target).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(call(&client, &target).await.unwrap().into_body().collect().await.unwrap().to_bytes(), "{}");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!((provider.counts().connections, provider.counts().requests), (1, 5));
}

#[tokio::test]
async fn calls_at_once_have_a_connection_each_and_the_last_to_rest_is_used_first() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::sse(["data: 1\n\n"]).insert(1, Step::Stall));
    let stalled = call(&client, &target).await.unwrap();
    assert_eq!(text(call(&client, &target).await).await, "{}");
    provider.release();
    assert_eq!(text(Ok(stalled)).await, "data: 1\n\n");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    let connections: Vec<usize> = provider.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 0]);
}

/// A call on a runtime that ends after it.
fn elsewhere(client: &HttpClient, target: &Arc<Target>) -> String {
    let (client, target) = (client.clone(), Arc::clone(target));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(async { text(call(&client, &target).await).await })).join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_serves_the_runtime_that_opened_it() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(elsewhere(&client, &target), "{}");
    assert_eq!(elsewhere(&client, &target), "{}");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    let connections: Vec<usize> = provider.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 0]);
    // What is left of runtimes that ended is swept like all else.
    client.sweep();
    provider.until(|counts| counts.closed == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_be_waited_for_on_another_runtime() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    // Made here and outside of any, answered there.
    let made = client.clone().call(request(&target, "{}"));
    let (mut outer, asked) = (client.clone(), request(&target, "{}"));
    let outside = std::thread::spawn(move || outer.call(asked)).join().unwrap();
    let mut not_driven = Vec::new();
    for future in [made, outside] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = std::thread::spawn(move || (runtime.block_on(async { text(future.await).await }), runtime));
        let (answer, runtime) = answer.join().unwrap();
        assert_eq!(answer, "{}");
        not_driven.push(runtime);
        // Its connection is not taken here.
        assert_eq!(text(call(&client, &target).await).await, "{}");
    }
    std::thread::spawn(move || drop(not_driven)).join().unwrap();
    let connections: Vec<usize> = provider.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_runtimes_leave_is_let_go_by_the_next() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for done in 0..5 {
        assert_eq!(elsewhere(&client, &target), "{}");
        provider.until(|counts| counts.closed == done).await;
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_not_used() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for end in [Step::Close, Step::Reset] {
        let closed = provider.counts().closed + 1;
        provider.play(Script::json(200, "{}").then(end));
        assert_eq!(text(call(&client, &target).await).await, "{}");
        provider.until(|counts| counts.closed == closed).await;
        assert_eq!(text(call(&client, &target).await).await, "{}");
        client.sweep();
    }
}

#[tokio::test]
async fn connection_close_is_obeyed() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::json(200, "{}").with_header("connection", "close").then(Step::Stall));
    assert_eq!(text(call(&client, &target).await).await, "{}");
    // Closed by us: the script is still waiting.
    provider.until(|counts| counts.abandoned == 1).await;
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.counts().connections, 2);
}

#[tokio::test]
async fn a_body_that_lasts_until_close_is_read_to_it() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::raw(head(200, &[])).then(Step::Write("until ".into())).then(Step::Write("close".into())).then(Step::Close));
    assert_eq!(text(call(&client, &target).await).await, "until close");
}

#[tokio::test]
async fn f035_a_pooled_connection_closed_at_the_race_is_replaced_once() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for end in [Script::close(), Script::reset()] {
        assert_eq!(text(call(&client, &target).await).await, "{}");
        let before = provider.counts();
        // It takes the request and is gone without a byte.
        provider.play(end);
        assert_eq!(text(call(&client, &target).await).await, "{}");
        let after = provider.counts();
        assert_eq!((after.requests - before.requests, after.connections - before.connections), (2, 1));
        let [.., first, second] = &provider.received()[..] else { panic!() };
        assert_eq!((&first.head, &first.body), (&second.head, &second.body));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f035_whoever_wins_the_race_each_call_is_answered_once() {
    // Closes right after each answer, unannounced, while the next request is on its way.
    let provider = Provider::answering(|_| Script::json(200, "{}").then(Step::Close)).await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for _ in 0..500 {
        assert_eq!(text(call(&client, &target).await).await, "{}");
    }
    assert_eq!(provider.counts().requests, 500);
}

#[tokio::test]
async fn f035_only_once_and_never_for_a_new_connection() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::close());
    assert_eq!(fault(call(&client, &target).await), (CONNECTION, Phase::BeforeHead));
    assert_eq!(provider.counts().requests, 1);
    assert_eq!(text(call(&client, &target).await).await, "{}");
    provider.play(Script::close()).play(Script::close());
    assert_eq!(fault(call(&client, &target).await), (CONNECTION, Phase::BeforeHead));
    assert_eq!(provider.counts().requests, 4);
}

#[tokio::test]
async fn f035_never_after_a_byte_of_the_answer() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    assert_eq!(text(call(&client, &target).await).await, "{}");
    provider.play(Script::raw("HTTP/1.1 2").then(Step::Close));
    assert_eq!(fault(call(&client, &target).await), (CONNECTION, Phase::BeforeHead));
    assert_eq!(provider.counts().requests, 2);
}

#[tokio::test]
async fn f035_never_for_an_upload() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    assert_eq!(text(call(&client, &target).await).await, "{}");
    provider.play(Script::close());
    let upload = Payload::Stream(Upload::new(http_body_util::Full::new(Bytes::from_static(b"once"))));
    let request = outgoing(&target, Outgoing::from_payload(Arc::clone(&target), chat(), upload));
    assert_eq!(fault(client.oneshot(request).await), (CONNECTION, Phase::BeforeHead));
    assert_eq!(provider.counts().requests, 2);
}

#[tokio::test]
async fn f042_an_answer_that_breaks_off_is_truncated() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for (script, read) in [
        (Script::cut_mid_chunk(["data: 1\n\n"]), "data: 1\n\ndata: {"),
        (Script::open_sse(["data: 1\n\n"]).then(Step::Close), "data: 1\n\n"),
        (Script::open_sse(["data: 1\n\n"]).then(Step::Write("1".into())).then(Step::Close), "data: 1\n\n"),
        (Script::claiming(200, 100, "{}").then(Step::Close), "{}"),
    ] {
        provider.play(script);
        let (before, fault) = broken(call(&client, &target).await).await;
        assert_eq!((before.as_str(), fault.kind(), fault.phase()), (read, &FaultKind::Truncated, Phase::BeforeCommit));
    }
}

#[tokio::test]
async fn f042_a_reset_after_the_last_token_is_a_broken_connection() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::open_sse(["data: 1\n\n"]).then(Step::Stall).then(Step::Reset));
    let mut body = call(&client, &target).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().data_ref().unwrap(), "data: 1\n\n");
    provider.release();
    let fault = body.frame().await.unwrap().unwrap_err();
    assert_eq!((fault.kind(), fault.phase()), (&CONNECTION, Phase::BeforeCommit));
    assert!(body.is_end_stream() && body.frame().await.is_none());
}

#[tokio::test]
async fn f044_bytes_past_the_length_are_nobodys_answer() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::claiming(200, 2, "{}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"));
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.received()[1].connection, 1);
}

#[tokio::test]
async fn f046_heads_that_are_not_http_or_too_large() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    for script in [
        Script::raw("<html>\r\n\r\n"),
        Script::json(200, "{}").with_header("x-large", &"y".repeat(100 << 10)),
        Script::raw(format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n")),
        Script::raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    ] {
        provider.play(script);
        assert_eq!(fault(call(&client, &target).await), (PROTOCOL, Phase::BeforeHead));
    }
    provider.play(Script::open_sse(["data: 1\n\n"]).then(Step::Write("nonsense\r\n".into())));
    assert_eq!(broken(call(&client, &target).await).await.1.kind(), &PROTOCOL);
}

#[tokio::test]
async fn f047_a_redirect_is_an_answer_and_an_upgrade_none() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::json(302, "{}").with_header("location", "http://169.254.169.254/"));
    assert_eq!(call(&client, &target).await.unwrap().status(), StatusCode::FOUND);
    provider.play(Script::raw(head(101, &[("upgrade", "websocket"), ("connection", "upgrade")])));
    assert_eq!(fault(call(&client, &target).await), (PROTOCOL, Phase::BeforeHead));
    assert_eq!(provider.counts().requests, 2);
}

#[tokio::test]
async fn f053_dropping_the_answer_closes_the_connection() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::open_sse(["data: 1\n\n"]).then(Step::Stall));
    let mut body = call(&client, &target).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    provider.until(|counts| counts.stalled == 1).await;
    drop(body);
    provider.until(|counts| counts.abandoned == 1).await;
}

#[tokio::test]
async fn f055_dropping_the_future_closes_the_connection() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::stall());
    let calling = tokio::spawn(async move { call(&client, &target).await.map(drop) });
    provider.until(|counts| counts.stalled == 1).await;
    calling.abort();
    provider.until(|counts| counts.abandoned == 1).await;
}

#[tokio::test]
async fn f016_an_early_refusal_is_heard_while_the_upload_goes_on() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::json(413, r#"{"error":"too large"}"#).early().then(Step::Stall));
    let (more, upload) = upload();
    let request = outgoing(&target, Outgoing::from_payload(Arc::clone(&target), chat(), Payload::Stream(Upload::new(upload))));
    more.send(Ok(Bytes::from_static(b"begin"))).unwrap();
    let answer = client.oneshot(request).await;
    assert_eq!(answer.as_ref().unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(answer).await, r#"{"error":"too large"}"#);
    // The request was never finished, so the connection cannot rest.
    provider.until(|counts| counts.abandoned == 1).await;
}

#[tokio::test]
async fn an_upload_goes_on_after_an_early_head() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    provider.play(Script::sse(["data: 1\n\n"]).early().insert(1, Step::ReadBody));
    let (more, upload) = upload();
    let request = outgoing(&target, Outgoing::from_payload(Arc::clone(&target), chat(), Payload::Stream(Upload::new(upload))));
    let answer = client.clone().oneshot(request).await.unwrap();
    let reading = tokio::spawn(text(Ok(answer)));
    more.send(Ok(Bytes::from(vec![b'x'; 1 << 20]))).unwrap();
    drop(more);
    assert_eq!(reading.await.unwrap(), "data: 1\n\n");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.counts().connections, 1);
}

#[tokio::test]
async fn a_failing_upload_is_the_callers_fault() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    let (more, upload) = upload();
    let request = outgoing(&target, Outgoing::from_payload(Arc::clone(&target), chat(), Payload::Stream(Upload::new(upload))));
    more.send(Err(Fault::new(FaultKind::BodyTooLarge { limit: 5 }))).unwrap();
    assert_eq!(fault(client.oneshot(request).await), (FaultKind::BodyTooLarge { limit: 5 }, Phase::BeforeHead));
}

#[tokio::test]
async fn f034_refused_is_a_fault_before_anything_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = target(&format!("http://{address}"), &[chat()], Reach::default());
    let fault = call(&HttpClient::new(), &target).await.unwrap_err();
    assert_eq!((fault.kind(), fault.phase()), (&FaultKind::Upstream(Failure::Connect), Phase::BeforeSend));
    assert!(!format!("{fault} {fault:?} {:?}", std::error::Error::source(&fault)).contains("secret"));
}

#[tokio::test]
async fn f034_a_connection_that_does_not_come_has_a_deadline() {
    // It accepts and never says hello, which TLS waits for: so the connection is not there yet.
    let silent = Provider::start().await;
    silent.connect([Script::stall().eager()]);
    let timeouts = Timeouts { connect: Duration::from_millis(20), ..Timeouts::default() };
    let url = silent.url("").replace("http:", "https:");
    let target = target(&url, &[chat()], Reach { timeouts, ..Reach::default() });
    assert_eq!(fault(call(&HttpClient::new(), &target).await), (FaultKind::Timeout(Timeout::Connect), Phase::BeforeSend));
}

#[tokio::test]
async fn idle_connections_are_closed_by_age_and_by_number() {
    let provider = Provider::start().await;
    let client = HttpClient::builder().idle_timeout(Duration::ZERO).build();
    let target = at(&provider);
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.counts().closed, 0);
    client.sweep();
    provider.until(|counts| counts.closed == 1).await;
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.counts().connections, 3);

    let client = HttpClient::builder().max_idle(0).build();
    let closed = provider.until(|counts| counts.closed == 2).await.closed;
    assert_eq!(text(call(&client, &target).await).await, "{}");
    provider.until(|counts| counts.closed == closed + 1).await;
}

#[tokio::test]
async fn a_credential_stays_at_its_origin() {
    let provider = Provider::start().await;
    let mut request = request(&at(&provider), "{}");
    *request.uri_mut() = "http://localhost:9/v1".parse().unwrap();
    assert_eq!(fault(HttpClient::new().oneshot(request).await).0, FaultKind::Internal);
}

#[tokio::test]
async fn ready_frames_are_taken_without_waking_anybody() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    let words = vec!["word"; 100];
    let script = Script::open_sse(openai_events(&words));
    // All in one write, then silence.
    let all: Vec<u8> =
        script.steps.iter().flat_map(|step| if let Step::Write(bytes) = step { bytes.to_vec() } else { Vec::new() }).collect();
    provider.play(Script::raw(all).then(Step::Stall));
    let mut body = call(&client, &target).await.unwrap().into_body();
    provider.until(|counts| counts.stalled == 1).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut frames = 0;
    while frames < words.len() + 4 {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)) {
            Poll::Ready(frame) => {
                assert!(!woken.0.load(Ordering::Relaxed));
                frames += usize::from(frame.unwrap().unwrap().is_data());
            }
            // The socket's news may still be on its way.
            Poll::Pending => std::future::poll_fn(|cx| wait(&mut body, cx, &mut frames)).await,
        }
    }
    drop(body);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for the next frame in the test's own task.
fn wait(body: &mut ProviderBody, cx: &mut Context<'_>, frames: &mut usize) -> Poll<()> {
    Pin::new(body).poll_frame(cx).map(|frame| *frames += usize::from(frame.unwrap().unwrap().is_data()))
}

#[tokio::test]
async fn thousands_of_calls_one_after_another_use_one_connection() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    for _ in 0..2_000 {
        assert_eq!(text(call(&client, &target).await).await, "{}");
    }
    assert_eq!((provider.counts().connections, provider.counts().requests), (1, 2_000));
}

#[tokio::test]
async fn large_bodies_come_whole_and_let_others_run() {
    let provider = Provider::start().await;
    let (client, target) = (HttpClient::new(), at(&provider));
    let events: Vec<String> = (0..5_000).map(|n| format!("data: {n:0100}\n\n")).collect();
    provider.play(Script::sse(&events)).play(Script::json(200, "x".repeat(8 << 20)));
    assert_eq!(text(call(&client, &target).await).await, events.concat());
    assert_eq!(text(call(&client, &target).await).await.len(), 8 << 20);
    assert_eq!(provider.counts().connections, 1);
}

#[test]
fn clients_are_shared_and_calls_move_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<HttpClient>();
    shared::<Transport<HttpClient>>();
    sent::<TransportFuture<HttpClient>>();
    sent::<TransportBody<ProviderBody>>();
}

/// A body that says what a channel says.
fn upload() -> (mpsc::UnboundedSender<Result<Bytes, Fault>>, impl Body<Data = Bytes, Error = Fault>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    struct Upload<F>(F);
    impl<F: FnMut(&mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> + Unpin> Body for Upload<F> {
        type Data = Bytes;
        type Error = Fault;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
            (self.0)(cx).map(|next| next.map(|bytes| bytes.map(http_body::Frame::data)))
        }
    }
    (sender, Upload(move |cx: &mut Context<'_>| receiver.poll_recv(cx)))
}
