//! Calls that come to no good end: silence, leaving, shutdowns; and those that take long.

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
    stage::Outcome,
    translate::TranslateLayer,
};
use serde_json::Value;
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::{
    CHAT, MESSAGES,
    support::{
        answers::*,
        script::{Script, Step},
        stack::{Answer, Options, Stack, chat, messages},
    },
};

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
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(Step::Stall));
    let answer = stack.ask(MESSAGES, messages("claude", true)).await;
    assert!(answer.text().contains("Hi") && answer.text().contains("event: error"), "{}", answer.text());
    assert_eq!(stack.record().outcome, Outcome::Truncated);
}

#[tokio::test]
async fn f054_an_answer_that_nobody_takes_is_ended_and_settled() {
    let translate = TranslateLayer::new().write_stall(Duration::from_millis(100));
    let stack = Stack::with(Options { translate, ..Options::default() }).await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(Step::Stall));
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
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(Step::Stall));
    let mut body = stack.send(MESSAGES, messages("claude", true)).await.into_body();
    assert!(body.frame().await.is_some());
    drop(body);
    stack.anthropic.until(|counts| counts.abandoned == 1).await;
    let record = stack.record();
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.usage.counts.output > 0, "{record:#?}");
}

#[tokio::test]
async fn f059_a_shutdown_ends_what_does_not_end_and_settles_it() {
    let stack = Stack::with(Options { drain: Duration::from_millis(100), ..Options::default() }).await;
    stack.anthropic.play(Script::open_sse(&anthropic_events(&["Hi", "there"])[..4]).then(Step::Stall));
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
