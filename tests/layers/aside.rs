//! What takes long does not hold up the thread it came on.

use std::{
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::{
    catalog::Target,
    dialect::{conversation::Event, event_map_fn},
    fault::{Fault, FaultKind, Timeout},
    normalize::NormalizeLayer,
    retry::{RetryLayer, RetryPolicy},
    stage::{Attempt, Call, Outgoing, Plan, Routed},
    translate::TranslateLayer,
};
use serde_json::Value;
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::{
    answers::*,
    support::*,
    translate::{answer, anthropic, exchange, openai, said},
};

/// A text that no thread says or scans on the way.
fn long() -> String {
    "a \"long\" text\n".repeat(200_000)
}

fn long_ask() -> Request<Full<Bytes>> {
    let content = Value::from(long());
    post(
        CHAT,
        format!(
            r#"{{"model":"m","max_tokens":64,"messages":[{{"role":"developer","content":{content}}},{{"role":"user","content":"Hi"}}]}}"#
        ),
    )
}

/// A layer whose first answer is not said before there is word from the other side, and who hears that it is begun.
fn held() -> (TranslateLayer, oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((begin, begun), (go, gone)) = (oneshot::channel(), mpsc::channel());
    let first = Arc::new(Mutex::new(Some((begin, gone))));
    let layer = TranslateLayer::new().map_events(move |_| {
        let first = first.clone();
        event_map_fn(move |event: Event<'_>, out| {
            if let Some((begin, gone)) = first.lock().unwrap().take() {
                let _ = begin.send(());
                gone.recv_timeout(Duration::from_secs(60)).expect("other tasks of the thread run meanwhile");
            }
            out.push(event);
        })
    });
    (layer, begun, go)
}

async fn answers_at_length(_: Request<Outgoing>) -> Result<Response<Feed>, Fault> {
    Ok(answer(200, "application/json", chunks([anthropic_answer(&long())])))
}

#[tokio::test]
async fn a_long_answer_does_not_hold_up_others() {
    let (layer, begun, go) = held();
    let request = attempt(call(CHAT, "m", false).await, &anthropic(), &Book::default()).await;
    let told = tokio::spawn(layer.layer(service_fn(answers_at_length)).oneshot(request));
    begun.await.unwrap();
    go.send(()).unwrap();
    let told = text(told.await.unwrap().unwrap().into_body()).await;
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["choices"][0]["message"]["content"], long());
}

#[tokio::test]
async fn a_panic_that_a_long_answer_makes_is_the_calls_own() {
    let (layer, begun, go) = held();
    let book = Book::default();
    let request = attempt(call(CHAT, "m", false).await, &anthropic(), &book).await;
    let told = tokio::spawn(layer.layer(service_fn(answers_at_length)).oneshot(request));
    begun.await.unwrap();
    drop(go);
    assert!(told.await.unwrap_err().is_panic());
    assert_eq!(book.end().0, None, "the meter above makes a fault of it");
}

#[tokio::test(start_paused = true)]
async fn deadlines_pass_while_a_long_answer_is_said() {
    let (layer, begun, go) = held();
    let retry = RetryLayer::new(RetryPolicy::new().total(secs(5))).layer(layer.layer(service_fn(answers_at_length)));
    let book = Book::default();
    let (parts, call) = call(CHAT, "m", false).await.into_parts();
    let plan = Plan { targets: vec![anthropic()], fallbacks: true };
    let call = tokio::spawn(retry.oneshot(Request::from_parts(parts, Routed { call: call.with_tally(book.tally()), plan })));
    begun.await.unwrap();
    tokio::time::advance(secs(5)).await;
    let fault = call.await.unwrap().err().unwrap();
    assert_eq!(fault.kind(), &FaultKind::Timeout(Timeout::Total));
    assert_eq!(book.end().0, Some("failed"), "while it is still said");
    go.send(()).unwrap();
}

#[tokio::test]
async fn a_long_request_is_said_as_any_other() {
    // The role stands deep in the body.
    let mut plain = Target::clone(&openai());
    Arc::make_mut(&mut plain.capabilities).developer_role = false;
    for target in [anthropic(), openai(), Arc::new(plain)] {
        let ask = async || attempt(normalized(long_ask()).await, &target, &Book::default()).await;
        let (aside, here) = (ask().await, ask().await);
        let (answer, sent) = exchange(TranslateLayer::new(), aside, said(&target)).await;
        assert!(answer.is_ok(), "{:?}", answer.err());
        let (sent, said) = (sent.unwrap(), said(&target));
        // No runtime has a thread for it there.
        let alone = thread::spawn(move || {
            let exchange = pin!(exchange(TranslateLayer::new(), here, said));
            let Poll::Ready((_, sent)) = exchange.poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
            sent.unwrap()
        });
        let (parts, body) = sent.into_parts();
        let (expected, other) = alone.join().unwrap().into_parts();
        assert_eq!((parts.uri, parts.headers), (expected.uri, expected.headers));
        let (body, other) = (body.collect().await.unwrap().to_bytes(), other.collect().await.unwrap().to_bytes());
        assert!(body == other && body.len() > 1 << 20);
    }
}

#[tokio::test]
async fn the_service_that_is_ready_is_the_one_that_is_called() {
    // It panics where it is not.
    let (inner, mut handle) = mock::pair::<Request<Outgoing>, Response<Feed>>();
    let mut translate = TranslateLayer::new().layer(inner);
    let request: Request<Attempt> = attempt(normalized(long_ask()).await, &anthropic(), &Book::default()).await;
    let told = translate.ready().await.unwrap().call(request);
    let (told, ()) = tokio::join!(told, async {
        let (_, reply) = handle.next_request().await.unwrap();
        reply.send_response(said(&anthropic()));
    });
    assert!(told.is_ok());
}

#[tokio::test]
async fn who_leaves_while_a_request_is_said_sends_none() {
    let (inner, mut handle) = mock::pair::<Request<Outgoing>, Response<Feed>>();
    let mut translate = TranslateLayer::new().layer(inner);
    let book = Book::default();
    let request = attempt(normalized(long_ask()).await, &anthropic(), &book).await;
    assert!(!left_after(1, translate.ready().await.unwrap().call(request)).await);
    drop(translate);
    assert!(handle.next_request().await.is_none(), "nor is the service kept for it");
    assert_eq!(book.end().0, None, "who left has no end here: the meter knows");
    assert!(!book.attempts()[0].sent, "and owes nothing for it");
}

#[tokio::test]
async fn what_a_long_body_lacks_is_told_as_of_any_other() {
    let refused = async |body: String| {
        let unreached = service_fn(async |_: Request<Call>| Err::<Response<Feed>, _>(Fault::new(FaultKind::Internal)));
        let answer = NormalizeLayer::new().layer(unreached).oneshot(post(CHAT, body)).await.unwrap();
        assert_eq!(answer.status(), 400);
        serde_json::from_str::<Value>(&text(answer.into_body()).await).unwrap()["error"]["message"].clone()
    };
    for wrong in [r#"{"model":"m","x":01"#, r#"["#, r#"{"x":1}"#, r#"{"model":"m","model":"m"}"#] {
        let long = wrong.to_owned() + &" ".repeat(3 << 20);
        let (short, long) = (refused(wrong.to_owned() + " ").await, refused(long).await);
        let told = |message: Value| message.as_str().unwrap().split(" (at byte").next().unwrap().to_owned();
        assert_eq!(told(short), told(long));
    }
}
