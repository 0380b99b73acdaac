//! The demo in Anthropic Messages' words.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Answer, Refusal, Stamp,
    echo::{Ask, Choice, End, Reply, strings, text_of, tokens},
};

pub(super) fn answer(request: &Value, stamp: &Stamp<'_>) -> Result<Answer, Refusal> {
    let messages = request["messages"]
        .as_array()
        .filter(|list| !list.is_empty())
        .ok_or_else(|| Refusal::new("messages", "messages: at least one message is required"))?;
    let limit = request["max_tokens"].as_u64().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| Refusal::new("max_tokens", "max_tokens: must be a positive integer"))?;
    let reply = ask(request, messages, limit).reply();
    let said: u64 = messages.iter().map(|message| tokens(&text_of(&message["content"]))).sum();
    let input = said + tokens(&text_of(&request["system"]));
    let usage = |output| {
        json!({
            "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": output, "service_tier": "standard"
        })
    };
    let (stop_reason, stop_sequence) = match &reply.end {
        End::Calls => ("tool_use", None),
        End::Length => ("max_tokens", None),
        End::Said => ("end_turn", None),
        End::Stop(stop) => ("stop_sequence", Some(stop)),
    };
    let mut message = json!({
        "id": format!("msg_{}", stamp.id), "type": "message", "role": "assistant", "model": stamp.model,
        "content": blocks(&reply, stamp), "stop_reason": stop_reason, "stop_sequence": stop_sequence, "usage": usage(reply.tokens)
    });
    if request["stream"] != true {
        return Ok(Answer::ok(message));
    }
    let delta = json!({"stop_reason": message["stop_reason"].take(), "stop_sequence": message["stop_sequence"].take()});
    message["content"] = json!([]);
    message["usage"] = usage(0);
    Ok(Answer::Stream(stream(&reply, stamp, &message, &delta)))
}

fn ask<'a>(request: &'a Value, messages: &[Value], limit: u64) -> Ask<'a> {
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    let has_result =
        |message: &Value| message["content"].as_array().is_some_and(|list| list.iter().any(|part| part["type"] == "tool_result"));
    let choice = match (request["tool_choice"]["type"].as_str(), request["tool_choice"]["name"].as_str()) {
        (Some("tool"), Some(name)) => Choice::Named(name),
        (Some("any"), _) => Choice::Any,
        (Some("none"), _) => Choice::Never,
        _ => Choice::Free,
    };
    Ask {
        text: last.map(|message| text_of(&message["content"])).unwrap_or_default(),
        from_user: last.is_some_and(|message| !has_result(message)),
        tools: request["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect(),
        choice,
        stops: strings(&request["stop_sequences"]),
        limit: Some(limit),
        choices: 1,
        json: request["output_config"]["format"]["type"] == "json_schema",
    }
}

fn blocks(reply: &Reply, stamp: &Stamp<'_>) -> Vec<Value> {
    if reply.calls.is_empty() {
        return vec![json!({"type": "text", "text": reply.pieces.concat()})];
    }
    let call = |(index, call): (usize, &super::echo::Call)| json!({"type": "tool_use", "id": format!("toolu_{}{index}", stamp.id), "name": call.name, "input": call.input});
    reply.calls.iter().enumerate().map(call).collect()
}

fn stream(reply: &Reply, stamp: &Stamp<'_>, message: &Value, delta: &Value) -> Vec<String> {
    let event = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    let mut events = vec![event(json!({"type": "message_start", "message": message}))];
    for (index, mut block) in blocks(reply, stamp).into_iter().enumerate() {
        // A block starts empty; what it holds comes as deltas.
        let deltas = if block["type"] == "text" {
            block["text"] = "".into();
            reply.pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect()
        } else {
            let input = std::mem::replace(&mut block["input"], json!({}));
            vec![json!({"type": "input_json_delta", "partial_json": input.to_string()})]
        };
        events.push(event(json!({"type": "content_block_start", "index": index, "content_block": block})));
        if index == 0 {
            events.push(event(json!({"type": "ping"})));
        }
        events.extend(deltas.into_iter().map(|delta: Value| event(json!({"type": "content_block_delta", "index": index, "delta": delta}))));
        events.push(event(json!({"type": "content_block_stop", "index": index})));
    }
    events.push(event(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": reply.tokens}})));
    events.push(event(json!({"type": "message_stop"})));
    events
}

pub(super) fn refusal(refusal: &Refusal) -> Answer {
    let kind = if refusal.status == StatusCode::NOT_FOUND { "not_found_error" } else { "invalid_request_error" };
    Answer::Whole(refusal.status, json!({"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": null}))
}
