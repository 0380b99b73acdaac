//! Answers as the two chat APIs give them, as text and as events, for scripts.

use serde_json::{Value, json};

/// An OpenAI chat completion, 3 tokens in, 2 out.
pub fn openai_answer(text: &str) -> String {
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000, "model": "fake-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    })
    .to_string()
}

/// The events of an OpenAI chat stream that says `words`: role, a chunk per word, finish, usage, `[DONE]`.
pub fn openai_events(words: &[&str]) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "fake-1",
            "choices": choices, "usage": usage
        });
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut events = vec![chunk(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null)];
    events.extend(words.iter().map(|word| chunk(choice(json!({"content": word}), Value::Null), Value::Null)));
    events.push(chunk(choice(json!({}), json!("stop")), Value::Null));
    events.push(chunk(json!([]), json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})));
    events.push("data: [DONE]\n\n".into());
    events
}

/// An Anthropic message, 3 tokens in, 2 out.
pub fn anthropic_answer(text: &str) -> String {
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": "fake-1",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 2}
    })
    .to_string()
}

/// The events of an Anthropic message stream that says `words` in one text block.
pub fn anthropic_events(words: &[&str]) -> Vec<String> {
    let event = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    let mut events = vec![
        event(json!({"type": "message_start", "message": {
            "id": "msg_fake", "type": "message", "role": "assistant", "model": "fake-1", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1}
        }})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
    ];
    events.extend(
        words.iter().map(|word| event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}))),
    );
    events.push(event(json!({"type": "content_block_stop", "index": 0})));
    events.push(event(json!({
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 2}
    })));
    events.push(event(json!({"type": "message_stop"})));
    events
}

/// An error object as OpenAI puts it, also the data of an error inside a 200 stream.
pub fn openai_error(kind: &str, message: &str) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}}).to_string()
}

/// An error object as Anthropic puts it.
pub fn anthropic_error(kind: &str, message: &str) -> String {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}).to_string()
}

/// An OpenAI error as an event of a stream that began with 200.
pub fn openai_error_event(kind: &str, message: &str) -> String {
    format!("data: {}\n\n", openai_error(kind, message))
}

/// An Anthropic error as an event of a stream that began with 200.
pub fn anthropic_error_event(kind: &str, message: &str) -> String {
    format!("event: error\ndata: {}\n\n", anthropic_error(kind, message))
}
