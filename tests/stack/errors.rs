//! What callers are told, in their words.

use portcullis::retry::RetryPolicy;

use crate::{
    CHAT, MESSAGES,
    support::{
        answers::*,
        script::Script,
        stack::{Answer, Options, Stack, chat, messages},
    },
};

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
