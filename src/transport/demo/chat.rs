//! The demo in OpenAI Chat Completions' words.

use serde_json::{Value, json};

use super::{
    Answer, Refusal, Stamp,
    echo::{Ask, Choice, End, Reply, strings, text_of, tokens},
};

pub(super) fn answer(request: &Value, stamp: &Stamp<'_>) -> Result<Answer, Refusal> {
    let messages =
        request["messages"].as_array().filter(|list| !list.is_empty()).ok_or_else(|| Refusal::new("messages", "there must be messages"))?;
    let choices = match &request["n"] {
        Value::Null => 1,
        n => n.as_u64().filter(|n| (1..=128).contains(n)).ok_or_else(|| Refusal::new("n", "n must be from 1 to 128"))?,
    };
    let reply = ask(request, messages, choices).reply();
    let prompt: u64 = messages.iter().map(|message| tokens(&text_of(&message["content"]))).sum();
    let completion = reply.tokens * choices;
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
        }
    });
    let finish = match reply.end {
        End::Calls => "tool_calls",
        End::Length => "length",
        End::Said | End::Stop(_) => "stop",
    };
    if request["stream"] == true {
        return Ok(Answer::Stream(stream(request, stamp, &reply, finish, choices, &usage)));
    }
    let mut message = json!({"role": "assistant", "content": reply.pieces.concat(), "refusal": null, "annotations": []});
    if !reply.calls.is_empty() {
        message["content"] = Value::Null;
        message["tool_calls"] = calls(&reply, stamp, false);
    }
    let choice = |index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish});
    Ok(Answer::ok(json!({
        "id": format!("chatcmpl-{}", stamp.id), "object": "chat.completion", "created": stamp.created, "model": stamp.model,
        "choices": (0..choices).map(choice).collect::<Vec<_>>(), "usage": usage, "system_fingerprint": "fp_demo"
    })))
}

fn ask<'a>(request: &'a Value, messages: &[Value], choices: u64) -> Ask<'a> {
    let last = messages.iter().rev().find(|message| matches!(message["role"].as_str(), Some("user" | "tool")));
    let choice = match (&request["tool_choice"], request["tool_choice"]["function"]["name"].as_str()) {
        (_, Some(name)) => Choice::Named(name),
        (Value::String(choice), _) if choice == "none" => Choice::Never,
        (Value::String(choice), _) if choice == "required" => Choice::Any,
        _ => Choice::Free,
    };
    Ask {
        text: last.map(|message| text_of(&message["content"])).unwrap_or_default(),
        from_user: messages.last().is_some_and(|message| message["role"] == "user"),
        tools: request["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["function"]["name"].as_str()).collect(),
        choice,
        stops: strings(&request["stop"]),
        limit: request["max_completion_tokens"].as_u64().or_else(|| request["max_tokens"].as_u64()),
        choices,
        json: matches!(request["response_format"]["type"].as_str(), Some("json_object" | "json_schema")),
    }
}

fn calls(reply: &Reply, stamp: &Stamp<'_>, indexed: bool) -> Value {
    let call = |(index, call): (usize, &super::echo::Call)| {
        let mut value = json!({
            "id": format!("call_{}{index}", stamp.id), "type": "function",
            "function": {"name": call.name, "arguments": call.input.to_string()}
        });
        if indexed {
            value["index"] = index.into();
        }
        value
    };
    reply.calls.iter().enumerate().map(call).collect()
}

fn stream(request: &Value, stamp: &Stamp<'_>, reply: &Reply, finish: &str, choices: u64, usage: &Value) -> Vec<String> {
    let with_usage = request["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Option<&Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", stamp.id), "object": "chat.completion.chunk", "created": stamp.created, "model": stamp.model,
            "choices": choices, "system_fingerprint": "fp_demo"
        });
        // Every chunk has the member once it was asked for; only the last has a value.
        if with_usage {
            chunk["usage"] = usage.cloned().unwrap_or_default();
        }
        format!("data: {chunk}\n\n")
    };
    let of = |index: u64, delta: Value, finish: Option<&str>| {
        chunk(json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]), None)
    };
    let mut events = Vec::new();
    for index in 0..choices {
        events.push(of(
            index,
            json!({"role": "assistant", "content": if reply.calls.is_empty() { Some("") } else { None }, "refusal": null}),
            None,
        ));
        events.extend(reply.pieces.iter().map(|piece| of(index, json!({"content": piece}), None)));
        if let Value::Array(calls) = calls(reply, stamp, true) {
            for mut call in calls {
                // The name first, the arguments after it: as deltas come.
                let arguments = std::mem::replace(&mut call["function"]["arguments"], "".into());
                let position = call["index"].clone();
                events.push(of(index, json!({"tool_calls": [call]}), None));
                events.push(of(index, json!({"tool_calls": [{"index": position, "function": {"arguments": arguments}}]}), None));
            }
        }
        events.push(of(index, json!({}), Some(finish)));
    }
    if with_usage {
        events.push(chunk(json!([]), Some(usage)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

pub(super) fn refusal(refusal: &Refusal) -> Answer {
    let param = Some(refusal.param).filter(|param| !param.is_empty());
    let error = json!({"message": refusal.message, "type": "invalid_request_error", "param": param, "code": null});
    Answer::Whole(refusal.status, json!({ "error": error }))
}
