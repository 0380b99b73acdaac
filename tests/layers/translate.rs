//! Heads and whole answers: what goes up, what comes down, and what a provider's refusal means.

use std::{
    sync::{Arc, Mutex},
    task::Poll,
};

use bytes::Bytes;
use http::{Request, Response};
use portcullis::{
    catalog::{Preset, Target, Timeouts},
    dialect::{
        conversation::{Delta, Event},
        event_map_fn,
    },
    fault::{Fault, FaultKind},
    stage::{Fidelity, Outgoing},
    translate::{TranslateLayer, TranslatedBody},
};
use serde_json::Value;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::{answers::*, support::*};

pub type Answer = Result<Response<TranslatedBody<Feed>>, Fault>;

pub fn openai() -> Arc<Target> {
    target(&Preset::OPENAI, "openai", Timeouts::default())
}

pub fn anthropic() -> Arc<Target> {
    target(&Preset::ANTHROPIC, "anthropic", Timeouts::default())
}

/// An answer of this status, type and body.
pub fn answer(status: u16, kind: &str, body: Feed) -> Response<Feed> {
    Response::builder().status(status).header("content-type", kind).body(body).unwrap()
}

/// Sends one attempt through `layer` to a provider that gives `response`; also what it was sent.
pub async fn exchange(
    layer: TranslateLayer,
    request: Request<portcullis::stage::Attempt>,
    response: Response<Feed>,
) -> (Answer, Option<Request<Outgoing>>) {
    let (response, sent) = (Arc::new(Mutex::new(Some(response))), Arc::new(Mutex::new(None)));
    let keep = sent.clone();
    let inner = service_fn(move |request: Request<Outgoing>| {
        *keep.lock().unwrap() = Some(request);
        let response = response.lock().unwrap().take();
        async move { Ok::<_, BoxError>(response.expect("one request")) }
    });
    let answer = layer.layer(inner).oneshot(request).await;
    let sent = sent.lock().unwrap().take();
    (answer, sent)
}

/// The same for a small call of `path` at `target`.
pub async fn ask_at(path: &str, stream: bool, target: &Arc<Target>, book: &Book, response: Response<Feed>) -> Answer {
    exchange(TranslateLayer::new(), attempt(call(path, "m", stream).await, target, book).await, response).await.0
}

/// An answer in the words of `target`'s provider.
pub fn said(target: &Target) -> Response<Feed> {
    let words = if &*target.provider.kind == "anthropic" { anthropic_answer("Hi") } else { openai_answer("Hi") };
    answer(200, "application/json", chunks([words]))
}

#[tokio::test]
async fn only_the_listed_headers_go_up() {
    let caller = |path: &str| {
        let mut request = post(path, ask("m", false, ""));
        for (name, value) in [
            ("authorization", "Bearer aistats_v1_k_secret"),
            ("x-api-key", "secret"),
            ("x-goog-api-key", "secret"),
            ("api-key", "secret"),
            ("cookie", "session=secret"),
            ("proxy-authorization", "secret"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("host", "inside.example"),
            ("connection", "x-own"),
            ("x-own", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("accept-encoding", "gzip"),
            ("metadata-flavor", "Google"),
            ("x-aws-ec2-metadata-token", "secret"),
            ("user-agent", "caller/1"),
            ("x-stainless-os", "Linux"),
            ("x-gateway-provider", "openai,anthropic"),
            ("x-title", "app"),
            ("referer", "https://app.example"),
            ("openai-organization", "org-secret"),
            ("accept", "application/json"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("anthropic-version", "2023-01-01"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("openai-beta", "assistants=v2"),
        ] {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let shared = [
        "accept: application/json",
        "content-type: application/json",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    let states = ["tracestate: a=1", "tracestate: b=2"];
    let own = ["anthropic-beta: one", "anthropic-beta: two", "anthropic-version: 2023-01-01"];
    for (path, target, expected) in [
        (MESSAGES, anthropic(), [&shared[..1], &own, &shared[1..2], &["openai-beta: assistants=v2"], &shared[2..], &states].concat()),
        // Of another dialect, the version is the catalogue's.
        (CHAT, anthropic(), [&shared[..1], &["anthropic-version: 2023-06-01"], &shared[1..], &states].concat()),
        (MESSAGES, openai(), [&shared[..], &states].concat()),
    ] {
        let request = attempt(normalized(caller(path)).await, &target, &Book::default()).await;
        let (answer, sent) = exchange(TranslateLayer::new(), request, said(&target)).await;
        answer.unwrap();
        let mut up: Vec<String> =
            sent.unwrap().headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        up.sort();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(up, expected, "{path} at {}", target.provider.name);
    }
}

/// Whatever bytes a header may hold, and whatever a name is made of: a value is one value, in both directions.
#[tokio::test]
async fn f017_no_value_becomes_two() {
    let target = anthropic();
    let sent = async |request: Request<http_body_util::Full<Bytes>>, model: &str| {
        let request = attempt(normalized(request).await, &target, &Book::default()).await;
        let said = anthropic_answer("Hi").replace("\"fake-1\"", &serde_json::to_string(model).unwrap());
        let (told, sent) = exchange(TranslateLayer::new(), request, answer(200, "application/json", chunks([said]))).await;
        (told.unwrap(), sent.unwrap())
    };
    let (usual, usual_sent) = sent(post(MESSAGES, ask("m", false, "")), "fake-1").await;
    for byte in 0..=u8::MAX {
        let mut request = post(MESSAGES, ask("m", false, ""));
        let value = [b"a", &[byte][..], b"x-own: 1"].concat();
        // What is no value never becomes a request: the listener refuses it.
        let value = http::HeaderValue::from_bytes(&value).ok();
        for name in ["anthropic-beta", "x-title", "referer"] {
            request.headers_mut().extend(value.clone().map(|value| (http::HeaderName::from_static(name), value)));
        }
        let model = format!("m{}x-own: 1", char::from(byte));
        let (told, up) = sent(request, &model).await;
        assert_eq!(up.headers().get("anthropic-beta"), value.as_ref(), "as it came");
        assert_eq!(up.headers().len(), usual_sent.headers().len() + usize::from(value.is_some()));
        // A name that no header can hold is in the body alone.
        let named = told.headers().get("x-gateway-model").map(|value| value.as_bytes());
        assert!(
            named.is_none_or(|named| named == model.as_bytes() && !named.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127))),
            "{named:?}"
        );
        assert_eq!(told.headers().len(), usual.headers().len() - usize::from(named.is_none()));
        let body: Value = serde_json::from_str(&text(told.into_body()).await).unwrap();
        assert_eq!(body["model"], model);
    }
}

#[tokio::test]
async fn each_operation_has_its_place_below_the_base() {
    let at = |base: &str| {
        let provider = Preset::OPENAI.account("openai").api_key(portcullis::catalog::ApiKey::new("sk")).base_url(base).build().unwrap();
        let mut there = (*openai()).clone();
        there.provider = Arc::new(provider);
        Arc::new(there)
    };
    let input = r#"{"model":"m","input":"x","prompt":"x","messages":[{"role":"user","content":"x"}],"max_tokens":5}"#;
    for (path, target, expected) in [
        (CHAT, at("https://a.example/v1"), "https://a.example/v1/chat/completions"),
        (CHAT, at("https://a.example"), "https://a.example/v1/chat/completions"),
        (CHAT, at("https://a.example/deep/er/v1/"), "https://a.example/deep/er/v1/chat/completions"),
        (MESSAGES, anthropic(), "https://api.anthropic.com/v1/messages"),
        (MESSAGES, at("http://127.0.0.1:8080/v1"), "http://127.0.0.1:8080/v1/chat/completions"),
        ("/v1/embeddings", openai(), "https://api.openai.com/v1/embeddings"),
        ("/v1/moderations", openai(), "https://api.openai.com/v1/moderations"),
        ("/v1/images/generations", openai(), "https://api.openai.com/v1/images/generations"),
        ("/v1/images/embeddings?x=1", openai(), "https://api.openai.com/v1/images/generations"),
    ] {
        let request = attempt(normalized(post(path, input)).await, &target, &Book::default()).await;
        let (_, sent) = exchange(TranslateLayer::new(), request, answer(500, "application/json", chunks(["{}"]))).await;
        let sent = sent.unwrap();
        assert_eq!((sent.uri().to_string().as_str(), sent.method().as_str()), (expected, "POST"));
    }
}

#[tokio::test]
async fn f046_only_our_headers_come_down() {
    let mut response = said(&openai());
    for (name, value) in [
        ("set-cookie", "a=b"),
        ("server", "nginx"),
        ("openai-organization", "org-secret"),
        ("x-request-id", "req_theirs"),
        ("x-ratelimit-remaining-requests", "1"),
        ("alt-svc", "h3"),
        ("connection", "close"),
        ("content-length", "7"),
        ("retry-after", "9"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = ask_at(CHAT, false, &openai(), &Book::default(), response).await.unwrap();
    let mut names: Vec<&str> = answer.headers().keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let expected = ["content-type", "server-timing", "x-gateway-attempts", "x-gateway-cost-usd", "x-gateway-model", "x-gateway-provider"];
    assert_eq!(names, expected);
    // 3 tokens in at 3 USD and 2 out at 15 USD per million.
    assert_eq!(answer.headers()["x-gateway-cost-usd"], "0.000039");
    assert_eq!(answer.headers()["x-gateway-model"], "fake-1");
    assert_eq!(answer.headers()["x-gateway-provider"], "openai");
    let body: Value = serde_json::from_str(&text(answer.into_body()).await).unwrap();
    assert_eq!(body["usage"]["cost"]["total_nanos"], 39_000);
}

#[tokio::test]
async fn a_refusal_means_what_its_status_says() {
    for (status, kind, code, health) in [
        (400, "application/json", "rejected", false),
        (401, "application/json", "credential_refused", true),
        (402, "application/json", "credential_refused", true),
        (403, "application/json", "credential_refused", true),
        (404, "application/json", "rejected", false),
        (408, "application/json", "first_byte_timeout", true),
        (422, "application/json", "rejected", false),
        (429, "application/json", "rate_limited", false),
        (500, "text/html", "upstream_status", true),
        (503, "application/json", "overloaded", true),
        (504, "text/plain", "first_byte_timeout", true),
        (529, "application/json", "overloaded", true),
        (302, "text/html", "protocol", true),
        (304, "text/html", "protocol", true),
    ] {
        for stream in [false, true] {
            let book = Book::default();
            let body = chunks([openai_error("some_error", "no luck")]);
            let fault = ask_at(CHAT, stream, &openai(), &book, answer(status, kind, body)).await.unwrap_err();
            assert_eq!((fault.code(), fault.counts_against_health()), (code, health), "{status}");
            assert_eq!(book.attempts()[0].status, Some(status));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_end_is_not_waited_for() {
    let alive = Arc::new(());
    let stalled = answer(500, "application/json", feed([data("{\"error\":{\"message\":\"no"), Step::Stall]).held(&alive));
    let (fault, took) = timed(ask_at(CHAT, false, &openai(), &Book::default(), stalled)).await;
    assert_eq!((fault.unwrap_err().code(), took), ("upstream_status", 10));
    assert!(gone(&alive));
    let endless = answer(500, "text/plain", feed([Step::Forever("no luck ".into())]).held(&alive));
    assert_eq!(ask_at(CHAT, false, &openai(), &Book::default(), endless).await.unwrap_err().code(), "upstream_status");
    assert!(gone(&alive));
}

#[tokio::test]
async fn f043_what_was_not_asked_for_is_no_answer() {
    let stream = || chunks(openai_events(&["Hi"]));
    let whole = || chunks([openai_answer("Hi")]);
    for (streamed, response, code) in [
        (true, answer(200, "text/html", chunks(["<html><title>Log in</title>"])), "protocol"),
        (true, answer(200, "application/json", whole()), "protocol"),
        (true, answer(200, "application/json", chunks([openai_error("server_error", "no luck")])), "upstream_status"),
        (false, answer(200, "text/html", chunks(["<html><title>Log in</title>"])), "protocol"),
        (false, answer(200, "text/event-stream", stream()), "protocol"),
        (false, answer(200, "application/json", chunks([""])), "protocol"),
        (false, answer(204, "application/json", chunks([""])), "protocol"),
        (false, answer(200, "application/json", chunks(["[]"])), "protocol"),
        (false, answer(200, "application/json", chunks([openai_error("server_error", "no luck")])), "upstream_status"),
    ] {
        let kind = response.headers()["content-type"].clone();
        let fault = ask_at(CHAT, streamed, &openai(), &Book::default(), response).await.unwrap_err();
        assert_eq!((fault.code(), fault.verdict().status.as_u16()), (code, 502), "{kind:?}, streamed: {streamed}");
        assert!(fault.to_string().len() <= 512);
    }
    // An error object says what kind of error it is, whatever the status.
    for stream in [true, false] {
        let limited = answer(200, "application/json", chunks([openai_error("rate_limit_error", "slow down")]));
        assert_eq!(ask_at(CHAT, stream, &openai(), &Book::default(), limited).await.unwrap_err().code(), "rate_limited");
    }
    // A type that says nothing is taken at the body's word.
    let bare = Response::new(whole());
    assert!(ask_at(CHAT, false, &openai(), &Book::default(), bare).await.is_ok());
}

#[tokio::test]
async fn what_a_wrong_answer_counted_is_kept() {
    let counted = async |path, stream, target: &Arc<Target>, body: String| {
        let book = Book::default();
        let fault = ask_at(path, stream, target, &book, answer(200, "application/json", chunks([body]))).await.unwrap_err();
        assert_eq!(fault.code(), "protocol");
        let seen = book.attempts()[0].seen.clone();
        seen.usage.map(|usage| (usage.prompt(), usage.output, seen.finished))
    };
    // Whole where a stream was asked for.
    for path in [CHAT, MESSAGES] {
        for (target, body) in [(openai(), openai_answer("Hi")), (anthropic(), anthropic_answer("Hi"))] {
            let (prompt, output, finished) = counted(path, true, &target, body).await.unwrap();
            assert!(prompt > 0 && output > 0 && finished, "{path}");
        }
    }
    // Counted, but not told to its end.
    let halved = r#"{"type":"message","content":[],"usage":{"input_tokens":7,"output_tokens":5}}"#;
    assert_eq!(counted(MESSAGES, false, &anthropic(), halved.into()).await, Some((7, 5, false)));
}

#[tokio::test]
async fn f043_json_is_no_page_whatever_type_it_is_sent_as() {
    for (kind, body, page) in [
        ("text/plain", openai_answer("my diary").replace('}', ""), false),
        ("application/octet-stream", format!("\r\n [{}]", openai_answer("my diary")), false),
        ("text/html", "my diary".into(), true),
    ] {
        for stream in [false, true] {
            let book = Book::default();
            let fault = ask_at(CHAT, stream, &openai(), &book, answer(200, kind, chunks([body.clone()]))).await.unwrap_err();
            assert_eq!((fault.code(), fault.to_string().contains("diary")), ("protocol", page), "{kind}: {fault}");
            // What is an error before any content is not billed.
            assert_eq!(book.attempts()[0].seen.error.is_some(), page, "{kind}");
        }
    }
    // One that can be read is one.
    let plain = answer(200, "text/plain", chunks([openai_answer("Hi")]));
    assert!(ask_at(CHAT, false, &openai(), &Book::default(), plain).await.is_ok());
    let book = Book::default();
    ask_at(CHAT, true, &openai(), &book, answer(200, "text/plain", chunks([openai_answer("Hi")]))).await.unwrap_err();
    assert_eq!(book.attempts()[0].seen.usage.map(|usage| usage.output), Some(2));
}

#[tokio::test(start_paused = true)]
async fn f044_answers_too_large_packed_or_silent() {
    let book = Book::default();
    let mut packed = said(&openai());
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(ask_at(CHAT, false, &openai(), &book, packed).await.unwrap_err().code(), "protocol");

    let whole = openai_answer("Hi");
    let limited = |limit: usize| TranslateLayer::new().max_answer(limit);
    let sent = async |layer: TranslateLayer, body: Feed| {
        let request = attempt(call(CHAT, "m", false).await, &openai(), &Book::default()).await;
        exchange(layer, request, answer(200, "application/json", body)).await.0.map(drop).map_err(|fault| fault.code())
    };
    for pieces in [1, 7, 1_000] {
        let body = || chunks(whole.as_bytes().chunks(pieces).map(Bytes::copy_from_slice).collect::<Vec<_>>());
        assert_eq!(sent(limited(whole.len()), body()).await, Ok(()));
        assert_eq!(sent(limited(whole.len() - 1), body()).await, Err("protocol"));
        // A length is a promise, not an order: neither too little nor far too much of it does harm.
        assert_eq!(sent(limited(whole.len()), body().sized(3)).await, Ok(()));
        assert_eq!(sent(limited(whole.len()), body().sized(u64::MAX)).await, Ok(()));
    }
    let alive = Arc::new(());
    assert_eq!(sent(limited(10_000), feed([Step::Forever(" ".repeat(999).into())]).held(&alive)).await, Err("protocol"));
    assert!(gone(&alive));
    // Silent behind its head, and dripping without end.
    let (result, took) = timed(sent(limited(10_000), feed([data("{"), Step::Stall]).held(&alive))).await;
    assert_eq!((result, took), (Err("idle_timeout"), 60));
    let drip = (0..100).flat_map(|_| [data(" "), Step::Wait(secs(59))]);
    let (result, took) = timed(sent(limited(10_000), feed(drip).held(&alive))).await;
    assert_eq!((result, took), (Err("total_timeout"), 600));
    assert!(gone(&alive));
    assert_eq!(sent(limited(10_000), feed([data("{"), Step::Fail("reset")])).await, Err("connection"));
}

#[tokio::test(start_paused = true)]
async fn f036_no_head_in_time() {
    for (stream, code, seconds) in [(true, "first_byte_timeout", 120), (false, "total_timeout", 600)] {
        let silent = service_fn(|_: Request<Outgoing>| std::future::pending::<Result<Response<Feed>, BoxError>>());
        let request = attempt(call(CHAT, "m", stream).await, &openai(), &Book::default()).await;
        let (result, took) = timed(TranslateLayer::new().layer(silent).oneshot(request)).await;
        assert_eq!((result.unwrap_err().code(), took), (code, seconds));
    }
    // "Never" is a deadline.
    let never = std::time::Duration::MAX;
    let patient = target(&Preset::OPENAI, "openai", Timeouts { connect: never, first_byte: never, idle: never, total: never });
    assert!(ask_at(CHAT, false, &patient, &Book::default(), said(&openai())).await.is_ok());
    assert!(ask_at(CHAT, true, &patient, &Book::default(), answer(200, "text/event-stream", chunks(openai_events(&["Hi"])))).await.is_ok());
}

#[tokio::test]
async fn an_unknown_error_of_the_transport_is_the_providers() {
    for (error, code) in [
        (BoxError::from("connection reset by peer"), "connection"),
        (BoxError::from(Fault::from(FaultKind::BodyTruncated)), "connection"),
        (BoxError::from(tower::timeout::error::Elapsed::new()), "total_timeout"),
        (BoxError::from(tower::load_shed::error::Overloaded::new()), "overloaded"),
    ] {
        let (mut translate, mut handle) = mock::spawn_layer::<Request<Outgoing>, Response<Feed>, _>(TranslateLayer::new());
        assert!(translate.poll_ready().is_ready());
        let answer = translate.call(attempt(call(CHAT, "m", false).await, &openai(), &Book::default()).await);
        handle.next_request().await.unwrap().1.send_error(error);
        assert_eq!(answer.await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let (mut translate, mut handle) = mock::spawn_layer::<Request<Outgoing>, Response<Feed>, _>(TranslateLayer::new());
    handle.allow(0);
    assert!(translate.poll_ready().is_pending());
    handle.send_error("gone");
    let Poll::Ready(Err(fault)) = translate.poll_ready() else { panic!("the error is passed on") };
    assert_eq!(fault.code(), "internal");
}

/// What a request loses is told in the header, of whole answers as of streams.
#[tokio::test]
async fn f033_losses_are_told_or_refused() {
    let lossy = |more: &str| post(CHAT, ask("m", more == "stream", r#","logit_bias":{"50256":-100},"seed":7"#));
    for stream in ["", "stream"] {
        let request = attempt(normalized(lossy(stream)).await, &anthropic(), &Book::default()).await;
        let response = match stream {
            "" => said(&anthropic()),
            _ => answer(200, "text/event-stream", chunks(anthropic_events(&["Hi"]))),
        };
        let told = exchange(TranslateLayer::new(), request, response).await.0.unwrap();
        let header = told.headers()["x-gateway-loss"].to_str().unwrap().to_owned();
        assert!(header.contains("/logit_bias;dropped") && header.contains("/seed;dropped"), "{header}");
    }
    let mut wish = lossy("");
    wish.headers_mut().insert("x-gateway-fidelity", "strict".parse().unwrap());
    let member = post(CHAT, ask("m", false, r#","seed":7,"provider":{"require_parameters":true}"#));
    for (request, layer) in
        [(wish, TranslateLayer::new()), (member, TranslateLayer::new()), (lossy(""), TranslateLayer::new().fidelity(Fidelity::Strict))]
    {
        let request = attempt(normalized(request).await, &anthropic(), &Book::default()).await;
        let (refused, sent) = exchange(layer, request, said(&anthropic())).await;
        let fault = refused.unwrap_err();
        assert_eq!((fault.code(), sent.is_none()), ("lossy", true));
        assert!(fault.details().iter().any(|detail| detail.path == "/seed"));
    }
    // The caller's own dialect loses nothing.
    let mut wish = lossy("");
    wish.headers_mut().insert("x-gateway-fidelity", "strict".parse().unwrap());
    let request = attempt(normalized(wish).await, &openai(), &Book::default()).await;
    assert!(exchange(TranslateLayer::new(), request, said(&openai())).await.0.is_ok());
}

#[tokio::test]
async fn the_loss_header_ends_at_two_kibibytes_and_counts_the_rest() {
    let members: String = (0..300).map(|at| format!(r#","an_unknown_member_{at}_\u00e9,;":1"#)).collect();
    let request = attempt(normalized(post(CHAT, ask("m", false, &members))).await, &anthropic(), &Book::default()).await;
    let told = exchange(TranslateLayer::new(), request, said(&anthropic())).await.0.unwrap();
    let header = told.headers()["x-gateway-loss"].to_str().unwrap();
    assert!(header.len() <= 2048 && header.len() > 1800, "{}", header.len());
    let entries: Vec<&str> = header.split(", ").collect();
    let (last, listed) = entries.split_last().unwrap();
    let rest: usize = last.strip_prefix('+').unwrap().parse().unwrap();
    assert_eq!(listed.len() + rest, 300, "{last}");
    assert!(listed.iter().all(|entry| entry.starts_with('/') && entry.split(';').count() == 2), "{listed:?}");
}

#[tokio::test]
async fn f082_no_prompt_and_no_answer_is_shown_by_debug() {
    let body = ask("m", false, "").replace("Hello", "prompt-canary");
    let asked = normalized(post(CHAT, body)).await;
    let mut shown = format!("{asked:?}");
    let request = attempt(asked, &openai(), &Book::default()).await;
    shown.push_str(&format!("{request:?}"));
    let refused = answer(400, "application/json", chunks([openai_error("invalid_request_error", "bad: prompt-canary")]));
    let (refusal, sent) = exchange(TranslateLayer::new(), request, refused).await;
    shown.push_str(&format!("{:?}{:?}", refusal.unwrap_err(), sent.unwrap()));
    let told = exchange(
        TranslateLayer::new(),
        attempt(call(CHAT, "m", false).await, &openai(), &Book::default()).await,
        answer(200, "application/json", chunks([openai_answer("prompt-canary")])),
    );
    shown.push_str(&format!("{:?}", told.await.0.unwrap()));
    assert!(shown.len() > 500 && !shown.contains("canary"), "{shown}");
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nobody outside writes a line of the log, or colours one.
#[tokio::test]
async fn f083_an_event_is_a_line_whoever_has_a_word_in_it() {
    let (log, hostile) = (Log::default(), "x\u{1b}[31m\r\n2026-01-01T00:00:00Z ERROR forged: \u{85}\u{2028}line");
    let writer = log.clone();
    let format = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
    let _guard = tracing::subscriber::set_default(format.with_writer(move || writer.clone()).finish());
    let quoted = serde_json::to_string(hostile).unwrap();
    for (stream, body) in [
        (false, hostile.to_owned()),
        (false, format!("{{\"choices\":{quoted}}}")),
        (false, format!("{{\"error\":{{\"message\":{quoted},\"type\":{quoted},\"code\":{quoted}}}}}")),
        (true, format!("data: {hostile}\n\n")),
        (true, format!("data: {{\"choices\":{quoted}}}\n\n")),
    ] {
        let kind = if stream { "text/event-stream" } else { "application/json; x=\u{ff}" };
        for status in [200, 400, 500] {
            let body = chunks([body.clone()]);
            let mut response = answer(status, "application/json", body);
            response.headers_mut().insert("content-type", http::HeaderValue::from_bytes(kind.as_bytes()).unwrap());
            response.headers_mut().insert("x-request-id", http::HeaderValue::from_bytes(b"r\xff\x85").unwrap());
            let caller = post(CHAT, ask(&quoted[1..quoted.len() - 1], stream, ""));
            let request = attempt(normalized(caller).await, &openai(), &Book::default()).await;
            assert!(exchange(TranslateLayer::new(), request, response).await.0.is_err());
        }
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("answer is not the provider's dialect"), "nothing was logged: {logged}");
    assert!(!logged.contains(['\u{1b}', '\r', '\u{85}', '\u{2028}']) && !logged.contains("forged"), "{logged}");
    let now = &logged[..10];
    assert!(logged.lines().all(|line| line.starts_with(now)), "each event is a line: {logged}");
}

#[tokio::test]
async fn a_hosts_map_has_the_last_word() {
    let redact = || {
        TranslateLayer::new().map_events(|_| {
            event_map_fn(|mut event: Event<'_>, out| {
                if let Event::Delta { delta: Delta::Text(text), .. } = &mut event {
                    *text = text.replace("Hi", "**").into();
                }
                out.push(event);
            })
        })
    };
    for target in [openai(), anthropic()] {
        let request = attempt(call(CHAT, "m", false).await, &target, &Book::default()).await;
        let whole = text(exchange(redact(), request, said(&target)).await.0.unwrap().into_body()).await;
        assert!(whole.contains("**") && !whole.contains("Hi"), "{whole}");
        let events = if &*target.provider.kind == "anthropic" { anthropic_events(&["Hi"]) } else { openai_events(&["Hi"]) };
        let request = attempt(call(MESSAGES, "m", true).await, &target, &Book::default()).await;
        let stream = exchange(redact(), request, answer(200, "text/event-stream", chunks(events))).await.0.unwrap();
        let stream = text(stream.into_body()).await;
        assert!(stream.contains("**") && !stream.contains("Hi") && stream.contains("message_stop"), "{stream}");
    }
}

#[tokio::test]
async fn f057_a_whole_answer_left_at_every_await() {
    for polls in 0..6 {
        let (body, book) = (Arc::new(()), Book::default());
        let whole = openai_answer("Hi");
        let (head, tail) = whole.split_at(20);
        let steps = [data(head.to_owned()), Step::Yield, data(tail.to_owned()), Step::Yield];
        let response = Arc::new(Mutex::new(Some(answer(200, "application/json", feed(steps).held(&body)))));
        let inner = service_fn(move |_: Request<Outgoing>| {
            let response = response.lock().unwrap().take();
            async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(response.expect("one request"))
            }
        });
        let request = attempt(call(CHAT, "m", false).await, &openai(), &book).await;
        let mut translate = TranslateLayer::new().layer(inner);
        let done = left_after(polls, translate.call(request)).await;
        drop(translate);
        assert_eq!(done, polls > 3, "{polls} polls are enough or not");
        assert!(gone(&body));
        assert_eq!(book.end().0, done.then_some("complete"), "who left has no end here: the meter knows");
    }
}

#[tokio::test]
async fn f058_a_panic_of_the_transport_is_passed_on_and_the_layer_goes_on() {
    for (early, stream) in [(true, false), (true, true), (false, false), (false, true)] {
        let inner = service_fn(move |_: Request<Outgoing>| {
            assert!(!early, "at once");
            async move { if early { Err::<Response<Feed>, _>(BoxError::from("never")) } else { panic!("later") } }
        });
        let book = Book::default();
        let translate = TranslateLayer::new().layer(inner);
        for _ in 0..2 {
            let request = attempt(call(CHAT, "m", stream).await, &openai(), &book).await;
            let answer = tokio::spawn(translate.clone().oneshot(request));
            assert!(answer.await.unwrap_err().is_panic(), "the meter above makes a fault of it");
        }
        assert_eq!(book.end().0, None, "who panicked has no end here: the meter knows");
    }
}
