//! Providers that fail, and what they send that is no answer.

use http::Request;
use portcullis::stage::Outcome;

use crate::{
    CHAT, MESSAGES,
    support::{
        answers::*,
        script::{Script, Step},
        stack::{Answer, Stack, chat, messages},
    },
};

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
async fn f042_a_stream_that_breaks_off_never_ends_normally() {
    for script in [
        Script::cut_mid_chunk(&anthropic_events(&["Hi", "there"])[..4]),
        Script::sse(&anthropic_events(&["Hi", "there"])[..4]),
        Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(Step::Reset),
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
