//! What calls cost, and their records.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use portcullis::{
    meter::{RecordedUsage, UsageSource},
    stage::Outcome,
};
use tower::ServiceExt;

use crate::{
    CHAT, MESSAGES,
    support::{
        answers::*,
        script::Script,
        stack::{Answer, Stack, chat, messages},
    },
};

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
