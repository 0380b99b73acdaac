//! The whole stack against providers that misbehave, on real sockets.
#![cfg(feature = "client")]

mod support;

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use portcullis::{
    catalog::Timeouts,
    dialect::{conversation::Event, event_map_fn},
    meter::{RecordedUsage, UsageSource},
    retry::RetryPolicy,
    stage::Outcome,
    translate::TranslateLayer,
};
use serde_json::Value;
use support::{
    answers::*,
    script::Script,
    stack::{Answer, Options, Stack, chat, messages},
};
use tokio::sync::oneshot;
use tower::ServiceExt;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

#[tokio::test]
async fn a_whole_answer_is_annotated_and_billed() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(200, anthropic_answer("Hi")));
    let answer = stack.ask(MESSAGES, messages("claude", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["provider"], "anthropic");
    assert_eq!(body["content"][0]["text"], "Hi");
    assert!(body["usage"]["cost"]["total_nanos"].is_u64(), "{body}");
    assert!(answer.header("x-request-id").starts_with("G-"));
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    assert_eq!(answer.header("x-gateway-provider"), "anthropic");
    assert_eq!(answer.header("x-gateway-attempts"), "1");
    let record = stack.record();
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!(record.cost_nanos, body["usage"]["cost"]["total_nanos"].as_u64().unwrap());
    let upstream = stack.anthropic.received();
    assert_eq!(upstream[0].json()["model"], "claude-sonnet-4-20250514");
    let head = String::from_utf8_lossy(&upstream[0].head).to_lowercase();
    assert!(head.contains("x-api-key: sk-upstream-secret") && head.contains("anthropic-version: 2023-06-01"), "{head}");
}

#[tokio::test]
async fn a_stream_is_settled_before_its_end_is_handed_out() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::sse(anthropic_events(&["Hel", "lo"])));
    let mut body = stack.send(MESSAGES, messages("claude", true)).await.into_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        assert_eq!(!stack.ledger.records().is_empty(), text.contains("message_stop"), "{text}");
    }
    assert!(text.contains("Hel") && text.contains(r#""provider":"anthropic""#) && text.contains("total_nanos"), "{text}");
    assert_eq!(stack.record().outcome, Outcome::Complete);
}

/// What is long is translated on a thread of its own; its bytes tell nothing of that.
#[tokio::test]
async fn a_long_call_across_dialects_is_told_as_a_short_one() {
    let long = "a \"long\" text\n".repeat(250_000);
    let mark = "Hello";
    let stack = Stack::start().await;
    let mut told = Vec::new();
    for text in [mark, &long] {
        stack.openai.play(Script::json(200, openai_answer(text)));
        let body = messages("gpt", false).replace("\"Hello\"", &Value::from(text).to_string());
        let answer = stack.ask(MESSAGES, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-gateway-loss")), (200, ""));
        told.push(answer.json());
    }
    let sent: Vec<_> = stack.openai.received().iter().map(|request| String::from_utf8(request.body.clone()).unwrap()).collect();
    assert!(sent[1] == sent[0].replace("\"Hello\"", &Value::from(&*long).to_string()));
    assert!(told[1]["content"][0]["text"].take() == *long && told[0]["content"][0]["text"].take() == *mark);
    assert_eq!(told[0], told[1]);
    assert!(stack.ledger.records().iter().all(|record| record.outcome == Outcome::Complete));
}

/// A layer whose first answer is told only when there is word from the other side, or panics where there is none; and who
/// hears that it is begun.
fn held() -> (TranslateLayer, oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((begin, begun), (go, gone)) = (oneshot::channel(), mpsc::channel());
    let first = Arc::new(Mutex::new(Some((begin, gone))));
    let layer = TranslateLayer::new().map_events(move |_| {
        let first = first.clone();
        event_map_fn(move |event: Event<'_>, out| {
            if let Some((begin, gone)) = first.lock().unwrap().take() {
                let _ = begin.send(());
                gone.recv().expect("word from the other side");
            }
            out.push(event);
        })
    });
    (layer, begun, go)
}

#[tokio::test]
async fn who_leaves_while_a_long_answer_is_translated_is_settled_then_and_once() {
    let (translate, begun, go) = held();
    let stack = Stack::with(Options { translate, ..Options::default() }).await;
    stack.anthropic.play(Script::json(200, anthropic_answer(&"text ".repeat(100_000))));
    let call = Request::post(CHAT).header("content-type", "application/json").body(Full::new(chat("claude", false).into())).unwrap();
    let call = tokio::spawn(stack.gateway.clone().oneshot(call));
    begun.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(stack.record().outcome, Outcome::Cancelled, "while it is still translated");
    go.send(()).unwrap();
    stack.anthropic.play(Script::json(200, anthropic_answer("Hi")));
    assert_eq!(stack.ask(CHAT, chat("claude", false)).await.status, 200);
    assert_eq!(stack.ledger.records().len(), 2);
}

#[tokio::test]
async fn a_panic_in_a_long_translation_fails_its_call_alone() {
    let (translate, begun, go) = held();
    let stack = Stack::with(Options { translate, ..Options::default() }).await;
    stack.anthropic.play(Script::json(200, anthropic_answer(&"text ".repeat(100_000))));
    let (answer, ()) = tokio::join!(stack.ask(CHAT, chat("claude", false)), async {
        begun.await.unwrap();
        drop(go);
    });
    assert_eq!((answer.status.as_u16(), stack.record().outcome), (500, Outcome::Failed));
}

#[tokio::test]
async fn f041_an_error_that_opens_a_stream_fails_over_unseen() {
    let stack = Stack::start().await;
    stack
        .openai
        .play(Script::sse([openai_error_event("server_error", "out of luck")]))
        .play(Script::sse([openai_error_event("server_error", "out of luck")]));
    stack.anthropic.play(Script::sse(anthropic_events(&["Hi"])));
    let answer = stack.ask(CHAT, chat("both", true)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("Hi") && !answer.text().contains("out of luck"), "{}", answer.text());
    assert_eq!(answer.header("x-gateway-provider"), "anthropic");
    assert_eq!(answer.header("x-gateway-attempts"), "3");
    let record = stack.record();
    assert_eq!(record.attempts.len(), 3);
    assert!(record.success);
    assert_eq!(record.attempts.iter().map(|attempt| attempt.cost_nanos > 0).collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test]
async fn us_03_what_is_no_answer_is_not_billed_streamed_or_not() {
    let error = || openai_error("server_error", "out of luck");
    for (stream, script) in [
        (false, Script::json(200, error())),
        (true, Script::json(200, error())),
        (true, Script::sse([openai_error_event("server_error", "out of luck")])),
        (false, Script::json(302, "").with_header("location", "http://169.254.169.254/latest")),
        (true, Script::json(302, "").with_header("location", "http://169.254.169.254/latest")),
    ] {
        let stack = Stack::start().await;
        for _ in 0..3 {
            stack.openai.play(script.clone());
        }
        assert_eq!(stack.ask(CHAT, chat("gpt", stream)).await.status, 502);
        let record = stack.record();
        assert_eq!((record.attempts.len(), record.cost_nanos, record.usage), (3, 0, RecordedUsage::default()), "{script:?}");
    }
}

/// Estimated, and flagged as such; what is told to the caller holds no cost.
#[tokio::test]
async fn f073_us_27_no_cost_is_told_of_a_usage_that_is_not_believed() {
    let told = |usage: &str| openai_answer("Hi").replace(r#"{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5}"#, usage);
    let streamed = |usage: &str| {
        let events: Vec<_> = openai_events(&["Hi"])
            .into_iter()
            .map(|event| event.replace(r#"{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5}"#, usage))
            .collect();
        Script::sse(events)
    };
    for usage in ["null", r#"{"prompt_tokens":1000000000000000000,"completion_tokens":2}"#, r#"{"prompt_tokens":3,"completion_tokens":-5}"#]
    {
        for (path, body, script) in [
            (CHAT, chat("gpt", false), Script::json(200, told(usage))),
            (MESSAGES, messages("gpt", false), Script::json(200, told(usage))),
            (CHAT, chat("gpt", true).replace("{\"model\"", "{\"stream_options\":{\"include_usage\":true},\"model\""), streamed(usage)),
            (MESSAGES, messages("gpt", true), streamed(usage)),
        ] {
            let stack = Stack::start().await;
            stack.openai.play(script);
            let answer = stack.ask(path, body).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-gateway-cost-usd")), (200, ""), "{}", answer.text());
            assert!(answer.text().contains("Hi") && !answer.text().contains("cost"), "{}", answer.text());
            let record = stack.record();
            assert_eq!(record.usage.source, UsageSource::Estimated, "{usage}");
            assert!(record.cost_nanos > 0 && record.usage.counts.output == 1, "{:?}", record.usage);
        }
    }
}

#[tokio::test]
async fn f042_a_stream_that_breaks_off_never_ends_normally() {
    for script in [
        Script::cut_mid_chunk(&anthropic_events(&["Hi", "there"])[..4]),
        Script::sse(&anthropic_events(&["Hi", "there"])[..4]),
        Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(support::script::Step::Reset),
    ] {
        let stack = Stack::start().await;
        stack.anthropic.play(script);
        let answer = stack.ask(MESSAGES, messages("claude", true)).await;
        assert!(answer.text().contains("event: error") && !answer.text().contains("message_stop"), "{}", answer.text());
        let record = stack.record();
        assert_eq!((record.outcome, record.success), (Outcome::Truncated, false));
        assert!(record.usage.counts.output > 0, "what came is charged: {record:#?}");
    }
}

#[tokio::test]
async fn a_whole_answer_has_no_rate_in_meta_nor_in_its_record() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(200, anthropic_answer("Hi"))).play(Script::json(200, anthropic_answer("Hi")));
    for (path, body) in [(MESSAGES, messages("claude", false)), (CHAT, chat("claude", false))] {
        let answer = stack.ask(path, body.replace("{\"model\"", "{\"meta\":true,\"model\"")).await;
        let meta = &answer.json()["meta"];
        assert_eq!((meta["throughput_tps"].is_null(), &meta["generation_ms"]), (true, &0.0.into()), "{meta}");
    }
    assert!(stack.ledger.records().iter().all(|record| record.throughput_tps.is_none()));
}

#[tokio::test]
async fn an_error_has_the_headers_of_an_answer() {
    let stack = Stack::start().await;
    stack
        .openai
        .play(Script::json(503, openai_error("server_error", "busy")))
        .play(Script::json(503, openai_error("server_error", "busy")));
    stack.anthropic.play(Script::json(400, anthropic_error("invalid_request_error", "no")));
    for (model, stream, told) in [("both", true, ["3", "anthropic", "claude-sonnet-4-20250514"]), ("nobody", false, ["0", "", ""])] {
        let answer = stack.ask(CHAT, chat(model, stream)).await;
        assert!(answer.status.is_client_error(), "{}", answer.text());
        assert_eq!(["x-gateway-attempts", "x-gateway-provider", "x-gateway-model"].map(|name| answer.header(name)), told);
        let time = answer.header("server-timing").strip_prefix("gateway;dur=").map(str::parse::<f64>);
        assert!(time.is_some_and(|time| time.is_ok()), "{}", answer.header("server-timing"));
    }
}

/// As a whole error does, one inside a stream says who failed and how, those who failed before it included.
#[tokio::test]
async fn f041_an_error_behind_content_lists_the_attempts() {
    let stack = Stack::start().await;
    stack
        .openai
        .play(Script::json(503, openai_error("server_error", "busy")))
        .play(Script::json(503, openai_error("server_error", "busy")));
    let mut events = anthropic_events(&["Hi"])[..4].to_vec();
    events.push(anthropic_error_event("overloaded_error", "Overloaded"));
    stack.anthropic.play(Script::sse(events));
    let answer = stack.ask(CHAT, chat("both", true)).await;
    let last = answer.text().trim().rsplit("data: ").next().unwrap();
    let error: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
    assert_eq!(
        error["attempts"],
        serde_json::json!([
            {"provider": "openai", "status": 503, "fault": "overloaded"},
            {"provider": "openai", "status": 503, "fault": "overloaded"},
            {"provider": "anthropic", "status": 529, "fault": "overloaded"},
        ]),
        "{error}"
    );

    stack.anthropic.play(Script::sse(&anthropic_events(&["Hi"])[..4]));
    let answer = stack.ask(MESSAGES, messages("claude", true)).await;
    let cut = r#""attempts":[{"provider":"anthropic","status":200,"fault":"truncated"}]"#;
    assert!(answer.text().contains(cut), "{}", answer.text());
}

#[tokio::test]
async fn f036_a_provider_that_never_answers_is_left() {
    let timeouts = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let stack = Stack::with(Options { timeouts, ..Options::default() }).await;
    stack.openai.play(Script::stall()).play(Script::stall());
    stack.anthropic.play(Script::sse(anthropic_events(&["Hi"])));
    let answer = stack.ask(CHAT, chat("both", true)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-provider")), (200, "anthropic"), "{}", answer.text());
    assert_eq!(stack.record().attempts[0].fault, Some("first_byte_timeout"));
}

#[tokio::test]
async fn f037_silence_after_content_is_truncation_told_in_band() {
    let timeouts = Timeouts { idle: Duration::from_millis(100), ..Timeouts::default() };
    let stack = Stack::with(Options { timeouts, ..Options::default() }).await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(support::script::Step::Stall));
    let answer = stack.ask(MESSAGES, messages("claude", true)).await;
    assert!(answer.text().contains("Hi") && answer.text().contains("event: error"), "{}", answer.text());
    assert_eq!(stack.record().outcome, Outcome::Truncated);
}

#[tokio::test]
async fn f054_an_answer_that_nobody_takes_is_ended_and_settled() {
    let translate = TranslateLayer::new().write_stall(Duration::from_millis(100));
    let stack = Stack::with(Options { translate, ..Options::default() }).await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(support::script::Step::Stall));
    let mut body = stack.send(MESSAGES, messages("claude", true)).await.into_body();
    assert!(body.frame().await.is_some());
    // Not polled again, and yet the provider's side is dropped and the record written.
    stack.anthropic.until(|counts| counts.abandoned == 1).await;
    let record = stack.record();
    assert_eq!((record.outcome, record.fault), (Outcome::Cancelled, Some("write_stall")));
    drop(body);
    assert_eq!(stack.ledger.records().len(), 1);
}

#[tokio::test]
async fn f053_a_caller_that_leaves_ends_the_providers_work() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(support::script::Step::Stall));
    let mut body = stack.send(MESSAGES, messages("claude", true)).await.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    stack.anthropic.until(|counts| counts.abandoned == 1).await;
    let record = stack.record();
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.usage.counts.output > 0, "{record:#?}");
}

#[tokio::test]
async fn f048_a_short_retry_after_is_sat_out_and_a_long_one_told() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::rate_limited(Some("0"))).play(Script::json(200, anthropic_answer("Hi")));
    let answer = stack.ask(MESSAGES, messages("claude", false)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "2"), "{}", answer.text());

    stack.anthropic.play(Script::rate_limited(Some("3600")));
    let answer = stack.ask(MESSAGES, messages("claude", false)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "3600"), "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn f051_our_credential_refused_is_not_the_callers_fault() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(401, anthropic_error("authentication_error", "invalid x-api-key sk-upstream-secret")));
    let answer = stack.ask(MESSAGES, messages("claude", false)).await;
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains("sk-upstream-secret"), "{}", answer.text());
    assert_eq!(answer.json()["attempts"][0]["status"], 401);
}

#[tokio::test]
async fn er_09_a_callers_mistake_keeps_its_status_and_is_not_repeated() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(400, anthropic_error("invalid_request_error", "max_tokens: too large")));
    let answer = stack.ask(MESSAGES, messages("claude", false)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("max_tokens: too large"), "{}", answer.text());
    assert_eq!(stack.anthropic.received().len(), 1);
    assert_eq!(stack.record().fault, Some("rejected"));
}

#[tokio::test]
async fn f043_a_page_instead_of_an_answer_is_a_bad_gateway() {
    let page = format!("<html>\n<title>log in</title> with sk-upstream-secret {}</html>", "word ".repeat(200));
    for (path, stream) in [(MESSAGES, false), (MESSAGES, true), (CHAT, false), (CHAT, true)] {
        let stack = Stack::start().await;
        for _ in 0..3 {
            stack.anthropic.play(Script::json(200, &page).with_header("content-type", "text/html"));
        }
        let body = if path == CHAT { chat("claude", stream) } else { messages("claude", stream) };
        let answer = stack.ask(path, body).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        let error = answer.json();
        assert_eq!(error["reason"], "provider_error");
        assert_eq!(error["attempts"][2], serde_json::json!({"provider": "anthropic", "status": 200, "fault": "protocol"}));
        let (_, excerpt) = error["error"]["message"].as_str().unwrap().split_once(": ").unwrap();
        assert!(excerpt.starts_with("<html> <title>log in</title> with *** word") && excerpt.len() <= 512, "{excerpt}");
        let record = stack.record();
        assert_eq!((record.attempts[0].status, record.cost_nanos), (Some(200), 0), "no model wrote it");
    }
}

#[tokio::test]
async fn f052_no_error_tells_our_key_whatever_it_looks_like() {
    const KEY: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    let said = format!("unknown parameter near {KEY}");
    for (caller, model) in [(CHAT, "gpt"), (CHAT, "claude"), (MESSAGES, "gpt"), (MESSAGES, "claude")] {
        let at_openai = model == "gpt";
        let (error, event) = match at_openai {
            true => (openai_error("invalid_request_error", &said), openai_error_event("invalid_request_error", &said)),
            false => (anthropic_error("invalid_request_error", &said), anthropic_error_event("invalid_request_error", &said)),
        };
        let words = match at_openai {
            true => openai_events(&["Hel"])[..2].to_vec(),
            false => anthropic_events(&["Hel"])[..3].to_vec(),
        };
        let behind_content: Vec<_> = words.into_iter().chain([event.clone()]).collect();
        for (stream, script) in [
            (false, Script::json(400, &error)),
            (false, Script::json(400, format!("{}{said}", "word ".repeat(45)))),
            (false, Script::json(200, &error)),
            (true, Script::json(400, &error)),
            (true, Script::sse([event])),
            (true, Script::sse(behind_content)),
        ] {
            let stack = Stack::with(Options { key: KEY, retry: RetryPolicy::new().attempts(1), ..Options::default() }).await;
            let provider = if at_openai { &stack.openai } else { &stack.anthropic };
            provider.play(script);
            let body = if caller == CHAT { chat(model, stream) } else { messages(model, stream) };
            let answer = stack.ask(caller, body).await;
            assert_eq!(provider.received().len(), 1);
            assert!(!answer.text().contains(&KEY[..8]), "{}", answer.text());
            assert!(answer.text().contains("***"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn f043_a_whole_answer_where_a_stream_was_asked_for_is_none() {
    let stack = Stack::start().await;
    for _ in 0..3 {
        stack.openai.play(Script::json(200, openai_answer("my secret diary")));
    }
    let answer = stack.ask(CHAT, chat("gpt", true)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["attempts"][0]["fault"]), (502, &"protocol".into()), "{}", answer.text());
    assert_eq!(answer.json()["attempts"][0]["status"], 200);
    assert!(!answer.text().contains("diary"), "{}", answer.text());
}

#[tokio::test]
async fn f047_a_redirection_is_not_followed() {
    let stack = Stack::start().await;
    for _ in 0..3 {
        stack.anthropic.play(Script::json(302, "").with_header("location", "http://169.254.169.254/latest"));
    }
    assert_eq!(stack.ask(MESSAGES, messages("claude", false)).await.status, 502);
}

#[tokio::test]
async fn f059_a_shutdown_ends_what_does_not_end_and_settles_it() {
    let stack = Stack::with(Options { drain: Duration::from_millis(100), ..Options::default() }).await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(support::script::Step::Stall));
    let response = stack.send(MESSAGES, messages("claude", true)).await;
    let (ledger, gateway) = (stack.ledger.clone(), stack.gateway.clone());
    let drained = stack.stop().await;
    assert_eq!(drained, portcullis::gateway::Drained::Aborted { left: 1 });
    assert_eq!(ledger.records().len(), 1);
    let answer = Answer::read(response).await;
    assert!(answer.text().contains("event: error"), "{}", answer.text());
    assert_eq!(gateway.running(), 0);
}

#[tokio::test]
async fn f059_a_shutdown_ends_calls_that_wait_for_their_head() {
    let stack = Stack::with(Options { drain: Duration::from_millis(100), ..Options::default() }).await;
    stack.anthropic.play(Script::stall());
    let request =
        Request::post(MESSAGES).header("content-type", "application/json").body(Full::new(Bytes::from(messages("claude", false))));
    let waiting = tokio::spawn(stack.gateway.clone().oneshot(request.unwrap()));
    stack.anthropic.until(|counts| counts.stalled == 1).await;
    let ledger = stack.ledger.clone();
    assert_eq!(stack.stop().await, portcullis::gateway::Drained::Aborted { left: 1 });
    assert_eq!(waiting.await.unwrap().unwrap().status(), 529);
    assert_eq!(ledger.records().len(), 1);
    assert_eq!(ledger.records()[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn what_strict_mode_refuses_costs_nothing() {
    let stack = Stack::start().await;
    let body = chat("claude", false).replace("\"stream\"", "\"logit_bias\":{\"5\":1},\"stream\"");
    let head = Request::post(CHAT).header("content-type", "application/json").header("x-gateway-fidelity", "strict");
    let answer = Answer::read(stack.request(head, body).await).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["details"][0]["path"], serde_json::json!(["logit_bias"]), "{}", answer.text());
    let record = stack.record();
    assert_eq!((record.cost_nanos, record.usage.counts.input), (0, 0));
    assert_eq!(stack.anthropic.received().len(), 0);
}

#[tokio::test]
async fn unknown_and_unbuilt_routes_are_told_in_the_callers_words() {
    let stack = Stack::start().await;
    for (path, status, code) in
        [("/v1/nothing", 404, "not_found"), ("/v1/responses", 501, "not_implemented"), ("/v1/models", 405, "method_not_allowed")]
    {
        let answer = stack.ask(path, "{}").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text());
    }
    let answer = stack.ask(MESSAGES, messages("nobody", false)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
    assert_eq!(stack.record().fault, Some("model_not_found"));
}

#[tokio::test]
async fn as_12_an_error_that_opens_a_stream_is_an_http_error() {
    let stack = Stack::start().await;
    for _ in 0..3 {
        stack.anthropic.play(Script::sse([anthropic_error_event("overloaded_error", "Overloaded")]));
    }
    let answer = stack.ask(CHAT, chat("claude", true)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (503, "application/json"), "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "overloaded_error");
    assert_eq!((stack.record().attempts.len(), stack.record().success), (3, false));
}

#[tokio::test]
async fn er_01_an_overload_is_one_for_both_kinds_of_client() {
    let stack = Stack::start().await;
    for (path, body, status) in [(CHAT, chat("claude", false), 503), (MESSAGES, messages("claude", false), 529)] {
        for _ in 0..3 {
            stack.anthropic.play(Script::json(529, anthropic_error("overloaded_error", "Overloaded")));
        }
        let answer = stack.ask(path, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (status, "3"), "{}", answer.text());
        assert_eq!((&answer.json()["error"]["type"], &answer.json()["reason"]), (&"overloaded_error".into(), &"overloaded".into()));
        assert_eq!(answer.json()["attempts"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn er_03_a_mistake_in_a_streamed_request_is_told_like_any_other() {
    let stack = Stack::start().await;
    for stream in [false, true] {
        stack.anthropic.play(Script::json(400, anthropic_error("invalid_request_error", "top_k: too small")));
        let answer = stack.ask(CHAT, chat("claude", stream)).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, "application/json"), "{}", answer.text());
        assert_eq!(answer.json()["error"]["message"], "top_k: too small");
    }
}

/// A limit inside a stream: before content it is an attempt that failed, after it the end of the answer.
#[tokio::test]
async fn er_04_er_05_what_was_shown_is_never_begun_again() {
    let stack = Stack::start().await;
    let [head, content, ..] = &openai_events(&["Hi"])[..] else { panic!("a stream has events") };
    stack.openai.play(Script::sse([head.clone(), content.clone(), openai_error_event("rate_limit_error", "slow down")]));
    let answer = stack.ask(CHAT, chat("both", true)).await;
    assert!(answer.text().contains("Hi") && answer.text().contains("rate_limit_error"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    assert_eq!((stack.openai.received().len(), stack.anthropic.received().len()), (1, 0), "nobody else is asked");
    let record = stack.record();
    assert_eq!((record.outcome, record.success, record.fault), (Outcome::Failed, false, Some("rate_limited")));
}

#[tokio::test]
async fn er_17_what_ended_in_an_error_is_no_success() {
    for (error, fault) in [("overloaded_error", "overloaded"), ("api_error", "upstream_status"), ("rate_limit_error", "rate_limited")] {
        let stack = Stack::start().await;
        let mut events = anthropic_events(&["Hi"])[..3].to_vec();
        events.push(anthropic_error_event(error, "no luck"));
        stack.anthropic.play(Script::sse(events));
        let answer = stack.ask(CHAT, chat("claude", true)).await;
        assert!(answer.text().contains("Hi") && answer.text().contains("\"error\""), "{}", answer.text());
        assert!(!answer.text().contains(r#""finish_reason":""#) && !answer.text().contains("[DONE]"), "{}", answer.text());
        let record = stack.record();
        assert_eq!((record.outcome, record.success, record.fault), (Outcome::Failed, false, Some(fault)));
        assert_eq!(record.attempts[0].fault, Some(fault));
    }
}

#[tokio::test]
async fn us_03_streamed_or_whole_costs_the_same() {
    let cached = r#""input_tokens":3,"cache_read_input_tokens":20000,"cache_creation_input_tokens":1500"#;
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(200, anthropic_answer("Hi").replace(r#""input_tokens":3"#, cached)));
    stack.anthropic.play(Script::sse(anthropic_events(&["Hi"]).iter().map(|event| event.replace(r#""input_tokens":3"#, cached))));
    stack.ask(CHAT, chat("claude", false)).await;
    stack.ask(CHAT, chat("claude", true)).await;
    let [whole, streamed] = &stack.ledger.records()[..] else { panic!("two records") };
    assert_eq!(whole.usage.counts, streamed.usage.counts);
    assert_eq!((whole.usage.counts.cache_read, whole.usage.counts.cache_write_5m), (20_000, 1_500));
    assert_eq!((whole.cost_nanos, &whole.pricing_lines), (streamed.cost_nanos, &streamed.pricing_lines));
    assert!(whole.cost_nanos > 0);
}

#[tokio::test]
async fn us_29_who_leaves_before_a_whole_answer_is_billed_once() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::stall());
    let request = Request::post(CHAT).header("content-type", "application/json");
    let waiting = tokio::spawn(stack.gateway.clone().oneshot(request.body(Full::new(Bytes::from(chat("claude", false)))).unwrap()));
    stack.anthropic.until(|counts| counts.stalled == 1).await;
    waiting.abort();
    // The provider need not finish what nobody will read.
    stack.anthropic.until(|counts| counts.abandoned == 1).await;
    let _ = waiting.await;
    let record = stack.record();
    assert_eq!((record.outcome, record.usage.source), (Outcome::Cancelled, UsageSource::Estimated));
    assert!(record.cost_nanos > 0);
}

#[tokio::test]
async fn us_34_three_attempts_are_one_call() {
    let stack = Stack::start().await;
    let down = || Script::json(500, openai_error("server_error", "no luck"));
    stack.openai.play(down()).play(down()).play(Script::json(200, openai_answer("Hi")));
    let answer = stack.ask(CHAT, chat("gpt", false)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "3"), "{}", answer.text());
    let record = stack.record();
    assert_eq!(record.request_id.as_str(), answer.header("x-request-id"));
    assert_eq!(record.attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(), [Some(500), Some(500), Some(200)]);
    assert!(record.success);
}

#[tokio::test]
async fn us_35_every_record_of_a_stream_has_an_id_of_its_own() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        stack.openai.play(Script::sse(openai_events(&["Hi"])));
        let body = chat("gpt", true).replace("\"stream\"", r#""stream_options":{"include_usage":true},"stream""#);
        let answer = stack.ask(CHAT, body).await;
        assert!(answer.text().contains(&format!(r#""id":"{}""#, answer.header("x-request-id"))), "{}", answer.text());
        ids.push(answer.header("x-request-id").to_owned());
    }
    let records = stack.ledger.records();
    assert_eq!(records.iter().map(|record| record.request_id.as_str()).collect::<Vec<_>>(), ids);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2] && ids.iter().all(|id| id.starts_with("G-")));
}

/// None was asked for. What is sent all the same is not looked into, and not taken for an answer without usage.
#[tokio::test]
async fn us_36_an_answer_in_packed_bytes_is_refused() {
    let stack = Stack::start().await;
    stack.openai.play(Script::json(200, openai_answer("Hi")).with_header("content-encoding", "gzip"));
    stack.anthropic.play(Script::sse(anthropic_events(&["Hi"])));
    let request = Request::post(CHAT).header("content-type", "application/json").header("accept-encoding", "gzip, br");
    let answer = Answer::read(stack.request(request, chat("both", false).replace("false", "true")).await).await;
    assert_eq!(stack.openai.received()[0].header("accept-encoding"), None);
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "3"), "{}", answer.text());
    assert_eq!(stack.record().attempts[0].fault, Some("protocol"));
}

/// An error that came packed is told without its words, and without an encoding.
#[tokio::test]
async fn tr_10_an_error_in_other_words_has_no_encoding() {
    let stack = Stack::start().await;
    let packed = "\u{1f}\u{8b}\u{8}\u{0}\u{0}packed";
    stack.anthropic.play(Script::json(400, packed).with_header("content-encoding", "gzip"));
    let answer = stack.ask(CHAT, chat("claude", false)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (400, ""));
    assert!(!answer.text().contains("packed") && !answer.json()["error"]["message"].as_str().unwrap().is_empty(), "{}", answer.text());
}

#[tokio::test]
async fn tr_11_an_answer_in_other_words_has_its_own_length() {
    let stack = Stack::start().await;
    stack.anthropic.play(Script::json(200, anthropic_answer("Hi")));
    for body in [stack.send(CHAT, chat("claude", false)).await, {
        stack.anthropic.play(Script::sse(anthropic_events(&["Hi"])));
        stack.send(CHAT, chat("claude", true)).await
    }] {
        assert!(!body.headers().contains_key("content-length"), "{:?}", body.headers());
        let promised = http_body::Body::size_hint(body.body()).exact();
        let answer = Answer::read(body).await;
        assert!(promised.is_none_or(|length| length == answer.body.len() as u64), "{promised:?} and {}", answer.body.len());
    }
}

/// What is a number to JSON and to nobody else: refused where the gateway reads it, untouched where it does not, and
/// refused by its place where another dialect has to say it.
#[tokio::test]
async fn f029_odd_numbers() {
    let stack = Stack::start().await;
    let with = |model: &str, member: &str| chat(model, false).replacen('{', &format!("{{{member},"), 1);
    const ODD: [&str; 9] =
        ["1e999", "-1e999", "-0", "18446744073709551616", "1.0", "-1", "0.1e-999", "123456789012345678901234567890.5", "1e0"];
    for odd in ODD {
        for control in ["stream", "stream_options", "models", "provider", "usage", "meta", "session_id"] {
            // Twice is a mistake of its own.
            let body = match control {
                "stream" => chat("gpt", false).replace("\"stream\":false", &format!("\"stream\":{odd}")),
                _ => with("gpt", &format!("\"{control}\":{odd}")),
            };
            let answer = stack.ask(CHAT, body).await;
            assert_eq!(answer.status, 400, "{control}: {odd}: {}", answer.text());
            assert_eq!(answer.json()["details"][0]["path"][0], control, "{}", answer.text());
        }
        let answer = stack.ask(CHAT, chat("gpt", false).replace("\"gpt\"", odd)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["details"][0]["path"][0]), (400, &"model".into()));
    }
    assert_eq!(stack.openai.received().len(), 0);
    for odd in ODD {
        stack.openai.play(Script::json(200, openai_answer("Hi")));
        let members = format!(r#""seed":{odd},"temperature":{odd},"n":{odd},"x":[{odd},{{"y":{odd}}}]"#);
        assert_eq!(stack.ask(CHAT, with("gpt", &members)).await.status, 200);
        let sent = stack.openai.received().pop().unwrap();
        assert!(String::from_utf8(sent.body).unwrap().contains(&members), "untouched");
    }
    let received = stack.openai.received().len();
    for odd in ["1e999", "-1", "1.5", "18446744073709551616", "\"1\"", "true"] {
        for member in ["max_tokens", "max_completion_tokens", "n"] {
            let answer = stack.ask(CHAT, with("claude", &format!("\"{member}\":{odd}"))).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["details"][0]["path"][0]), (400, &member.into()), "{odd}");
        }
    }
    assert_eq!((stack.openai.received().len(), stack.anthropic.received().len()), (received, 0));
}
