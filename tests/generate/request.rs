//! Requests, in each dialect's words.

use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// A Chat Completions request.
pub fn chat() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => text().prop_map(|text| json!({"type": "text", "text": text})),
        1 => Just(json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}})),
        1 => Just(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}})),
        1 => Just(json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}})),
        1 => Just(json!({"type": "text", "text": "kept", "cache_control": {"type": "ephemeral"}})),
    ];
    let content = prop_oneof![3 => text().prop_map(Value::from), 2 => prop::collection::vec(part, 0..4).prop_map(Value::from)];
    let plain = || prop_oneof![3 => text().prop_map(Value::from), 1 => Just(Value::Null)];
    let turn = prop_oneof![
        4 => content.prop_map(|content| vec![json!({"role": "user", "content": content})]),
        1 => text().prop_map(|text| vec![json!({"role": "system", "content": text})]),
        1 => text().prop_map(|text| vec![json!({"role": "developer", "content": [{"type": "text", "text": text}]})]),
        2 => plain().prop_map(|content| vec![json!({"role": "assistant", "content": content})]),
        1 => text().prop_map(|text| vec![json!({"role": "assistant", "refusal": text})]),
        3 => (plain(), prop::collection::vec((id(), tool_name(), arguments(), text()), 1..3)).prop_map(|(content, calls)| {
            let mut turn = vec![json!({"role": "assistant", "content": content, "tool_calls": calls.iter().map(|(id, name, arguments, _)| {
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
            }).collect::<Vec<_>>()})];
            turn.extend(calls.into_iter().map(|(id, _, _, result)| json!({"role": "tool", "tool_call_id": id, "content": result})));
            turn
        }),
    ];
    let tool = (tool_name(), prop::option::of(any::<bool>())).prop_map(|(name, strict)| {
        let mut function = json!({"name": name, "description": "does it", "parameters": {"type": "object", "properties": {}}});
        if let Some(strict) = strict {
            function["strict"] = json!(strict);
        }
        json!({"type": "function", "function": function})
    });
    let settings = settings(vec![
        ("temperature", vec![json!(0), json!(0.7), json!(1.6)]),
        ("top_p", vec![json!(0.9)]),
        ("max_tokens", vec![json!(17), json!(100_000)]),
        ("max_completion_tokens", vec![json!(2048)]),
        ("stop", vec![json!("###"), json!(["a", " ", "b"])]),
        ("n", vec![json!(1), json!(2)]),
        ("seed", vec![json!(7)]),
        ("logprobs", vec![json!(true)]),
        ("frequency_penalty", vec![json!(0.5)]),
        ("logit_bias", vec![json!({"50256": -100})]),
        ("reasoning_effort", vec![json!("low"), json!("minimal"), json!("none"), json!("high")]),
        (
            "response_format",
            vec![
                json!({"type": "text"}),
                json!({"type": "json_object"}),
                json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}, "strict": true}}),
            ],
        ),
        ("tool_choice", vec![json!("auto"), json!("none"), json!("required")]),
        ("parallel_tool_calls", vec![json!(false), json!(true)]),
        ("stream", vec![json!(true), json!(false)]),
        ("stream_options", vec![json!({"include_usage": true})]),
        ("user", vec![json!("u-1")]),
        ("metadata", vec![json!({"a": "b"})]),
        ("service_tier", vec![json!("auto"), json!("flex")]),
        ("usage", vec![json!(true), json!(false)]),
        ("provider", vec![json!({"order": ["a"]})]),
        ("models", vec![json!(["b"])]),
        ("novelty", vec![json!([1.50])]),
    ]);
    (prop::collection::vec(turn, 1..6), prop::collection::vec(tool, 0..3), settings).prop_map(|(turns, tools, mut body)| {
        body.insert("model".to_owned(), json!("gpt-5"));
        body.insert("messages".to_owned(), turns.concat().into());
        if !tools.is_empty() {
            body.insert("tools".to_owned(), tools.into());
        }
        Value::Object(body).to_string().into_bytes()
    })
}

/// A Messages request.
pub fn messages() -> impl Strategy<Value = Vec<u8>> {
    let block = prop_oneof![
        4 => text().prop_map(|text| json!({"type": "text", "text": text})),
        1 => text().prop_map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "1h"}})),
        1 => Just(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}})),
        1 => Just(json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})),
        1 => Just(json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a"})),
        1 => Just(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}, "citations": {"enabled": true}})),
    ];
    let blocks = prop::collection::vec(block, 1..4);
    let content = || prop_oneof![3 => text().prop_map(Value::from), 1 => Just(json!([{"type": "text", "text": "x"}]))];
    let turn = prop_oneof![
        3 => text().prop_map(|text| vec![json!({"role": "user", "content": text})]),
        3 => blocks.prop_map(|blocks| vec![json!({"role": "user", "content": blocks})]),
        2 => content().prop_map(|content| vec![json!({"role": "assistant", "content": content})]),
        1 => text().prop_map(|text| vec![json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": text, "signature": "c2ln"}, {"type": "redacted_thinking", "data": "eA=="}, {"type": "text", "text": "so"},
        ]})]),
        3 => (prop::collection::vec((id(), tool_name(), content(), prop::option::of(any::<bool>())), 1..3), text()).prop_map(|(calls, text)| {
            let uses: Vec<_> = calls.iter().map(|(id, name, ..)| json!({"type": "tool_use", "id": id, "name": name, "input": {"a": [1]}})).collect();
            let mut results: Vec<_> = calls.iter().map(|(id, _, content, is_error)| {
                let mut result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
                if let Some(is_error) = is_error {
                    result["is_error"] = json!(is_error);
                }
                result
            }).collect();
            results.push(json!({"type": "text", "text": text}));
            vec![json!({"role": "assistant", "content": uses}), json!({"role": "user", "content": results})]
        }),
    ];
    let tool =
        tool_name().prop_map(|name| json!({"name": name, "description": "does it", "input_schema": {"type": "object", "properties": {}}}));
    let settings = settings(vec![
        ("max_tokens", vec![json!(17), json!(100_000)]),
        ("system", vec![json!("be brief"), json!([{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}])]),
        ("temperature", vec![json!(0), json!(0.7), json!(1)]),
        ("top_p", vec![json!(0.9)]),
        ("top_k", vec![json!(40)]),
        ("stop_sequences", vec![json!(["###"]), json!([])]),
        ("thinking", vec![json!({"type": "enabled", "budget_tokens": 2048}), json!({"type": "disabled"}), json!({"type": "adaptive"})]),
        ("output_config", vec![json!({"effort": "low"})]),
        ("tool_choice", vec![json!({"type": "auto", "disable_parallel_tool_use": true}), json!({"type": "any"}), json!({"type": "none"})]),
        ("stream", vec![json!(true), json!(false)]),
        ("metadata", vec![json!({"user_id": "u-1"})]),
        ("service_tier", vec![json!("auto"), json!("standard_only")]),
        ("provider", vec![json!({"order": ["a"]})]),
        ("novelty", vec![json!([1.50])]),
    ]);
    (prop::collection::vec(turn, 1..6), prop::collection::vec(tool, 0..3), settings).prop_map(|(turns, tools, mut body)| {
        body.insert("model".to_owned(), json!("claude-opus-4-1"));
        body.entry("max_tokens").or_insert(json!(4096));
        body.insert("messages".to_owned(), turns.concat().into());
        if !tools.is_empty() {
            body.insert("tools".to_owned(), tools.into());
        }
        Value::Object(body).to_string().into_bytes()
    })
}

/// Some of these members, each with one of its values.
fn settings(known: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Map<String, Value>> {
    let all = known.len();
    let members: Vec<_> = known.into_iter().map(|(name, values)| select(values).prop_map(move |value| (name.to_owned(), value))).collect();
    (members, prop::collection::vec(prop::bool::weighted(0.2), all))
        .prop_map(|(members, taken)| members.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(member, _)| member).collect())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-zA-Z \"\\\\\\n]{1,16}", 1 => Just(String::new()), 1 => Just("  ".to_owned()), 1 => "[ä-ö€😀-😄]{1,4}"]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![4 => "call_[a-z0-9]{4}", 1 => "call:[a-z.]{3}"]
}

fn tool_name() -> impl Strategy<Value = String> {
    prop_oneof![5 => "[a-z_]{1,9}", 1 => "[a-z]{1,3}\\.[a-z]{1,3}"]
}

fn arguments() -> impl Strategy<Value = String> {
    select(vec!["{\"city\": \"Paris\"}", "{}", "", "{\"n\":12345678901234567890.50}", "not json", "[1]"]).prop_map(str::to_owned)
}
