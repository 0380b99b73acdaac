//! The demo provider, and how a transport picks who carries a request. Needs no HTTP client.

mod support;

use std::{
    convert::Infallible,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use portcullis::{
    dialect::Dialect,
    fault::{Fault, FaultKind, Phase},
    stage::{Endpoint, Outgoing, Payload, Upload},
    transport::{Demo, Transport},
};
use serde_json::{Value, json};
use support::target::{Reach, demo_target, target};
use tower::ServiceExt;

fn chat() -> &'static dyn Dialect {
    match Endpoint::at(&Method::POST, "/v1/chat/completions") {
        Ok(Endpoint::Call { dialect, .. }) => dialect,
        other => panic!("{other:?}"),
    }
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Outgoing> {
    // In slices, as requests come.
    let body: Bytes = body.into();
    let middle = body.len() / 2;
    let slices = [body.slice(..middle), body.slice(middle..)];
    Request::post(format!("http://demo{path}")).body(Outgoing::from_slices(demo_target(&[chat()]), chat(), slices)).unwrap()
}

async fn send(path: &str, body: impl Into<Bytes>) -> (StatusCode, String, Vec<String>) {
    let demo = Demo::new(|| UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let answer = Transport::local().demo(demo).oneshot(request(path, body)).await.unwrap();
    let status = answer.status();
    let content_type = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let mut body = answer.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap());
    }
    (status, content_type, frames)
}

async fn whole(path: &str, body: Value) -> Value {
    let (status, content_type, frames) = send(path, body.to_string()).await;
    assert_eq!((status, content_type.as_str(), frames.len()), (StatusCode::OK, "application/json", 1), "{frames:?}");
    serde_json::from_str(&frames[0]).unwrap()
}

/// The data of a stream's events.
async fn stream(path: &str, mut body: Value) -> Vec<Value> {
    body["stream"] = true.into();
    let (status, content_type, frames) = send(path, body.to_string()).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::OK, "text/event-stream"), "{frames:?}");
    let datum = |frame: &String| {
        let (name, data) = match frame.strip_prefix("event: ") {
            Some(rest) => rest.split_once('\n').map(|(name, rest)| (Some(name), rest)).unwrap(),
            None => (None, frame.as_str()),
        };
        let data = data.strip_prefix("data: ").and_then(|data| data.strip_suffix("\n\n")).unwrap();
        let data: Value = serde_json::from_str(data).unwrap_or_else(|_| data.into());
        assert!(name.is_none_or(|name| data["type"] == name));
        data
    };
    frames.iter().map(datum).collect()
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
}

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

#[tokio::test]
async fn chat_echoes_counts_and_stamps() {
    let body =
        json!({"model": "echo", "messages": [{"role": "system", "content": "be an echo"}, {"role": "user", "content": "hello big world"}]});
    let answer = whole(CHAT, body.clone()).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "hello big world");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!((&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]), (&json!(6), &json!(3)));
    assert_eq!((&answer["created"], &answer["model"]), (&json!(1_700_000_000), &json!("echo")));
    assert_eq!(answer, whole(CHAT, body).await, "the same request has the same answer");
}

#[tokio::test]
async fn chat_ends_where_it_must() {
    for (more, said, finish, tokens) in [
        (json!({"max_tokens": 2}), "one two", "length", 2),
        (json!({"max_tokens": 2, "max_completion_tokens": 1}), "one", "length", 1),
        (json!({"max_tokens": 4}), "one two three four", "stop", 4),
        (json!({"stop": " three"}), "one two", "stop", 2),
        (json!({"stop": ["four", "two", ""]}), "one ", "stop", 2),
        (json!({"response_format": {"type": "json_object"}}), r#"{"echo":"one two three four"}"#, "stop", 4),
    ] {
        let mut body = json!({"model": "echo", "messages": user("one two three four")});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = whole(CHAT, body.clone()).await;
        let choice = &answer["choices"][0];
        assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!(said), &json!(finish)), "{more}");
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "{more}");
        let events = stream(CHAT, body).await;
        let streamed: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(streamed, said);
    }
}

#[tokio::test]
async fn an_answer_has_its_most_tokens_whatever_is_asked() {
    let long = "a ".repeat(20_000);
    for (choices, each) in [(1, 16_384), (2, 8_192), (128, 128)] {
        let body = json!({"model": "echo", "messages": user(&long), "n": choices, "max_tokens": 1_000_000});
        let answer = whole("/v1/chat/completions", body).await;
        assert_eq!(answer["usage"]["completion_tokens"], 16_384);
        assert_eq!(answer["choices"].as_array().unwrap().len(), choices);
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["choices"][0]["message"]["content"].as_str().unwrap().split_whitespace().count(), each);
    }
    // A call is whole or none.
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let body = json!({"model": "echo", "messages": user(&format!("call f {{\"a\": \"{long}\"}}")), "tools": tools});
    assert_eq!(whole("/v1/chat/completions", body).await["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn chat_streams_n_choices_and_usage_if_asked() {
    let body = json!({"model": "echo", "messages": user("a b"), "n": 2, "stream_options": {"include_usage": true}});
    let events = stream(CHAT, body).await;
    let [chunks @ .., usage, done] = &events[..] else { panic!() };
    assert_eq!((done, &usage["choices"], &usage["usage"]["completion_tokens"]), (&json!("[DONE]"), &json!([]), &json!(4)));
    for index in 0..2 {
        let own: Vec<_> = chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|choice| choice["index"] == index).collect();
        let text: String = own.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!((text.as_str(), &own[0]["delta"]["role"]), ("a b", &json!("assistant")));
        assert_eq!(own.last().unwrap()["finish_reason"], "stop");
    }
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some()));
    let events = stream(CHAT, json!({"model": "echo", "messages": user("a b")})).await;
    assert!(events.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn chat_calls_tools_that_the_user_names() {
    let body = json!({"model": "echo", "tools": weather(), "messages": user("call weather {\"city\":\"Łódź\"}\ncall weather")});
    let answer = whole(CHAT, body.clone()).await;
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["function"], json!({"name": "weather", "arguments": "{\"city\":\"Łódź\"}"}));
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    let events = stream(CHAT, body.clone()).await;
    let deltas: Vec<&Value> = events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array()).flatten().collect();
    let arguments: String =
        deltas.iter().filter(|delta| delta["index"] == 0).filter_map(|delta| delta["function"]["arguments"].as_str()).collect();
    assert_eq!((arguments.as_str(), &deltas[0]["function"]["name"]), ("{\"city\":\"Łódź\"}", &json!("weather")));

    for (messages, choice, tools) in [
        (user("call nobody {}"), json!("auto"), 0),
        (user("call weather not json"), json!("auto"), 0),
        (user("call weather {}"), json!("none"), 0),
        (user("hello"), json!("required"), 1),
        (user("hello"), json!({"type": "function", "function": {"name": "weather"}}), 1),
        (
            json!([{"role": "user", "content": "call weather {}"}, {"role": "tool", "tool_call_id": "c", "content": "sunny"}]),
            json!("auto"),
            0,
        ),
    ] {
        let answer = whole(CHAT, json!({"model": "echo", "tools": weather(), "tool_choice": choice, "messages": messages})).await;
        assert_eq!(answer["choices"][0]["message"]["tool_calls"].as_array().map_or(0, Vec::len), tools, "{messages} {choice}");
    }
}

#[tokio::test]
async fn messages_echo_whole_and_streamed() {
    let content = json!([{"type": "text", "text": "hello big world"}, {"type": "image", "source": {"type": "url", "url": "http://x/"}}]);
    let body = json!({"model": "echo", "max_tokens": 100, "system": "be", "messages": [{"role": "user", "content": content}]});
    let answer = whole(MESSAGES, body.clone()).await;
    assert_eq!(answer["content"], json!([{"type": "text", "text": "hello big world\n[image]"}]));
    assert_eq!(
        (&answer["stop_reason"], &answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(5), &json!(4))
    );

    let events = stream(MESSAGES, body).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "hello big world\n[image]");
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 4);
}

#[tokio::test]
async fn messages_end_where_they_must() {
    let body = json!({"model": "echo", "max_tokens": 2, "messages": user("one two three")});
    assert_eq!(whole(MESSAGES, body).await["stop_reason"], "max_tokens");
    let body = json!({"model": "echo", "max_tokens": 9, "stop_sequences": ["x", " two"], "messages": user("one two three")});
    let answer = whole(MESSAGES, body.clone()).await;
    assert_eq!((&answer["stop_reason"], &answer["stop_sequence"]), (&json!("stop_sequence"), &json!(" two")));
    let events = stream(MESSAGES, body).await;
    assert_eq!(events[events.len() - 2]["delta"], json!({"stop_reason": "stop_sequence", "stop_sequence": " two"}));
}

#[tokio::test]
async fn messages_call_tools() {
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}]);
    let body =
        json!({"model": "echo", "max_tokens": 9, "tools": tools, "messages": user("call weather {\"city\":\"Rome\"}\ncall weather {}")});
    let answer = whole(MESSAGES, body.clone()).await;
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][0]["input"], json!({"city": "Rome"}));
    let events = stream(MESSAGES, body).await;
    let starts: Vec<_> = events.iter().filter(|event| event["type"] == "content_block_start").collect();
    assert_eq!((starts.len(), &starts[0]["content_block"]["input"]), (2, &json!({})));
    let input: String =
        events.iter().filter(|event| event["index"] == 0).filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(input, "{\"city\":\"Rome\"}");
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]);
    let body = json!({"model": "echo", "max_tokens": 9, "tools": tools, "tool_choice": {"type": "any"}, "messages": [{"role": "user", "content": result}]});
    assert_eq!(whole(MESSAGES, body).await["content"][0]["text"], "sunny");
}

#[tokio::test]
async fn embeddings_are_unit_vectors_that_know_words() {
    let body = json!({"model": "echo", "input": ["the red house", "a red house", "something else", "", "Red HOUSE the"]});
    let answer = whole("/v1/embeddings", body.clone()).await;
    let vectors: Vec<Vec<f64>> =
        answer["data"].as_array().unwrap().iter().map(|item| serde_json::from_value(item["embedding"].clone()).unwrap()).collect();
    let dot = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f64>();
    for (index, vector) in vectors.iter().enumerate() {
        assert_eq!(vector.len(), 256);
        assert!((dot(index, index) - 1.0).abs() < 1e-5);
    }
    assert!(dot(0, 1) > 0.5 && dot(0, 2).abs() < 0.3 && dot(0, 4) > 0.999);
    assert_eq!(answer["usage"]["total_tokens"], 11);

    let mut base64 = body;
    base64["encoding_format"] = "base64".into();
    let encoded = whole("/v1/embeddings", base64).await["data"][0]["embedding"].as_str().unwrap().to_owned();
    let bytes = STANDARD.decode(encoded).unwrap();
    let first = f32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes.len(), 1024);
    assert!((f64::from(first) - vectors[0][0]).abs() < 1e-9);

    for input in [json!([1, 2, 3]), json!([[1, 2], [3]]), json!("x")] {
        let answer = whole("/v1/embeddings", json!({"model": "echo", "input": input, "dimensions": 3})).await;
        assert_eq!(answer["data"][0]["embedding"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn moderations_flag_what_is_named() {
    let answer = whole("/v1/moderations", json!({"model": "echo", "input": ["some Violence here", "peace"]})).await;
    let [bad, good] = &answer["results"].as_array().unwrap()[..] else { panic!() };
    assert_eq!((&bad["flagged"], &bad["categories"]["violence"], &bad["categories"]["hate"]), (&json!(true), &json!(true), &json!(false)));
    assert_eq!(good["flagged"], false);
    let parts = json!([{"type": "text", "text": "self-harm/intent"}, {"type": "image_url", "image_url": {"url": "http://x/"}}]);
    let answer = whole("/v1/moderations", json!({"model": "echo", "input": parts})).await;
    assert_eq!((answer["results"].as_array().unwrap().len(), &answer["results"][0]["categories"]["self-harm/intent"]), (1, &json!(true)));
}

#[tokio::test]
async fn images_are_a_pixel() {
    let answer = whole("/v1/images/generations", json!({"model": "echo", "prompt": "a red house", "n": 2})).await;
    let png = STANDARD.decode(answer["data"][1]["b64_json"].as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xaeB`\x82"));
    assert_eq!(answer["usage"]["total_tokens"], 5);
    let answer = whole("/v1/images/generations", json!({"model": "echo", "prompt": "x", "response_format": "url"})).await;
    assert!(answer["data"][0]["url"].as_str().unwrap().starts_with("data:image/png;base64,"));
    let events = stream("/v1/images/generations", json!({"model": "echo", "prompt": "x"})).await;
    assert_eq!(events[0]["type"], "image_generation.completed");
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_paths_words() {
    for (path, body, status, param) in [
        (CHAT, "{", 400, Value::Null),
        (CHAT, r#"{"messages":[]}"#, 400, json!("model")),
        (CHAT, r#"{"model":"echo","messages":[]}"#, 400, json!("messages")),
        (CHAT, r#"{"model":"echo","messages":[{}],"n":1000000}"#, 400, json!("n")),
        ("/v1/embeddings", r#"{"model":"echo","input":[]}"#, 400, json!("input")),
        ("/v1/embeddings", r#"{"model":"echo","input":"x","dimensions":99999999}"#, 400, json!("dimensions")),
        ("/v1/moderations", r#"{"model":"echo"}"#, 400, json!("input")),
        ("/v1/images/generations", r#"{"model":"echo"}"#, 400, json!("prompt")),
        ("/v1/completions", r#"{"model":"echo"}"#, 404, Value::Null),
    ] {
        let (given, _, frames) = send(path, body).await;
        let error: Value = serde_json::from_str(&frames[0]).unwrap();
        assert_eq!((given.as_u16(), &error["error"]["param"]), (status, &param), "{path} {body}");
    }
    // What is short to ask and long to answer.
    for (path, inputs, dimensions, status) in [
        ("/v1/embeddings", 2048, 512, 200),
        ("/v1/embeddings", 2049, 1, 400),
        ("/v1/embeddings", 2048, 513, 400),
        ("/v1/moderations", 2048, 1, 200),
        ("/v1/moderations", 2049, 1, 400),
    ] {
        let body = json!({"model": "echo", "input": vec!["x"; inputs], "dimensions": dimensions});
        assert_eq!(send(path, body.to_string()).await.0.as_u16(), status, "{path} {inputs} {dimensions}");
    }
    let (status, _, frames) = send(MESSAGES, r#"{"model":"echo","messages":[{"role":"user","content":"x"}]}"#).await;
    let error: Value = serde_json::from_str(&frames[0]).unwrap();
    assert_eq!((status.as_u16(), &error["type"], &error["error"]["type"]), (400, &json!("error"), &json!("invalid_request_error")));
}

#[tokio::test]
async fn a_failing_upload_fails_the_demo() {
    let failing = Full::new(Bytes::from_static(b"{")).map_err(|never: Infallible| -> Fault { match never {} });
    let upload = failing.with_trailers(async { Some(Err(Fault::new(FaultKind::BodyTruncated))) });
    let body = Outgoing::from_payload(demo_target(&[chat()]), chat(), Payload::Stream(Upload::new(upload)));
    let request = Request::post("http://demo/v1/embeddings").body(body).unwrap();
    let fault = Transport::local().oneshot(request).await.unwrap_err();
    assert_eq!((fault.kind(), fault.phase()), (&FaultKind::BodyTruncated, Phase::BeforeHead));
}

#[tokio::test]
async fn a_host_answers_for_its_own_provider() {
    let own = tower::service_fn(|request: Request<Outgoing>| async move {
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(asked)))
    });
    let transport = Transport::local().provider("mine", own);
    let send = |provider| {
        let target = target("http://mine.test", &[chat()], Reach { provider, ..Reach::default() });
        let body = Outgoing::from_slices(target, chat(), [Bytes::from_static(b"hi")]);
        transport.clone().oneshot(Request::post("http://mine.test/").body(body).unwrap())
    };
    assert_eq!(send("mine").await.unwrap().into_body().collect().await.unwrap().to_bytes(), "hi");
    let fault = send("other").await.err().unwrap();
    assert_eq!((fault.kind(), fault.phase()), (&FaultKind::Internal, Phase::BeforeSend));
}

#[tokio::test]
async fn a_hosts_failure_is_a_fault() {
    let own = tower::service_fn(|_: Request<Outgoing>| async {
        tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await.map_err(|_| tower::timeout::error::Elapsed::new())?;
        Ok::<_, tower::BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let transport = Transport::local().provider("demo", own);
    let fault = transport.oneshot(request(CHAT, "{}")).await.err().unwrap();
    assert_eq!(fault.code(), "total_timeout");
}
