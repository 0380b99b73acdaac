//! Answers: one script, told in each dialect.

use proptest::prelude::*;
use serde_json::{Value, json};

/// What a provider says, in no dialect's words.
#[derive(Clone, Debug)]
pub struct Script {
    pieces: Vec<Piece>,
    /// A position in each dialect's list of reasons.
    reason: usize,
    usage: Option<[u64; 4]>,
    end: Ending,
    line_end: &'static str,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Reasoning(String),
    Signature(String),
    Refusal(String),
    Call(String),
    Arguments(String),
    Alive,
    /// A member or event that nobody knows yet.
    Novelty,
}

#[derive(Clone, Debug)]
enum Ending {
    Sound,
    Error,
    BreaksOff(prop::sample::Index),
}

pub fn script() -> impl Strategy<Value = Script> {
    let text = || prop_oneof![5 => "[a-z \"\\\\\\n{}:]{0,12}", 1 => "[ä-ö€😀-😄]{1,4}", 1 => Just("data: [DONE]\n\n".to_owned()), 1 => Just(String::new())];
    let arguments = prop_oneof![
        3 => prop::sample::select(vec!["{\"city\"", ":\"Par", "is\"}", "{}", "", "{\"n\": 12345678901234567890.50}"]).prop_map(str::to_owned),
        1 => text(),
    ];
    let piece = prop_oneof![
        6 => text().prop_map(Piece::Text),
        3 => text().prop_map(Piece::Reasoning),
        1 => "[A-Za-z0-9+/]{4,20}".prop_map(Piece::Signature),
        1 => text().prop_map(Piece::Refusal),
        2 => "[a-z_]{1,8}".prop_map(Piece::Call),
        4 => arguments.prop_map(Piece::Arguments),
        1 => Just(Piece::Alive),
        1 => Just(Piece::Novelty),
    ];
    let end =
        prop_oneof![8 => Just(Ending::Sound), 1 => Just(Ending::Error), 1 => any::<prop::sample::Index>().prop_map(Ending::BreaksOff)];
    let usage = prop::option::weighted(0.7, [0..5000_u64, 0..300_u64, 0..300_u64, 0..900_u64]);
    let line_end = prop_oneof![3 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r")];
    (prop::collection::vec(piece, 0..12), 0..6_usize, usage, end, line_end).prop_map(|(pieces, reason, usage, end, line_end)| Script {
        pieces,
        reason,
        usage,
        end,
        line_end,
    })
}

impl Script {
    /// As a Chat Completions stream.
    pub fn chat(&self) -> Vec<u8> {
        let mut out = Lines::new(self.line_end);
        let chunk = |choices: Value| {
            json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "gpt-5-2025-08-07",
                "choices": choices, "usage": null})
        };
        let delta = |delta: Value| chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]));
        out.data(&delta(json!({"role": "assistant", "content": ""})));
        let mut calls = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.data(&delta(json!({"content": text}))),
                Piece::Reasoning(text) => out.data(&delta(json!({"reasoning_content": text}))),
                Piece::Signature(_) => out.data(&delta(json!({"role": "", "content": null, "tool_calls": null}))),
                Piece::Refusal(text) => out.data(&delta(json!({"refusal": text}))),
                Piece::Call(name) => {
                    let function = json!({"name": name, "arguments": ""});
                    out.data(&delta(
                        json!({"tool_calls": [{"index": calls, "id": format!("call_{calls}"), "type": "function", "function": function}]}),
                    ));
                    calls += 1;
                }
                Piece::Arguments(more) if calls > 0 => {
                    out.data(&delta(json!({"tool_calls": [{"index": calls - 1, "function": {"arguments": more}}]})));
                }
                Piece::Arguments(_) => out.data(&delta(json!({"tool_calls": []}))),
                Piece::Alive => out.line(": OPENROUTER PROCESSING"),
                Piece::Novelty => out.data(&json!({"id": "", "choices": [], "prompt_filter_results": [{"index": 0}]})),
            }
        }
        let reason = ["stop", "length", "tool_calls", "content_filter", "stop", "eos"][self.reason];
        out.data(&chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}])));
        if let Some([input, read, _, output]) = self.usage {
            let mut last = chunk(json!([]));
            last["usage"] = json!({"prompt_tokens": input + read, "completion_tokens": output, "total_tokens": input + read + output,
                "prompt_tokens_details": {"cached_tokens": read}, "completion_tokens_details": {"reasoning_tokens": output / 2}});
            out.data(&last);
        }
        match &self.end {
            Ending::Error => out.data(&json!({"error": {"message": "the server had an error", "type": "server_error", "code": null}})),
            _ => out.line("data: [DONE]"),
        }
        out.broken(&self.end)
    }

    /// As a whole chat completion.
    pub fn chat_whole(&self) -> Vec<u8> {
        let all = |pick: fn(&Piece) -> Option<&str>| {
            let said: Vec<&str> = self.pieces.iter().filter_map(pick).collect();
            if said.is_empty() { Value::Null } else { said.concat().into() }
        };
        let calls = self.calls().into_iter().enumerate().map(|(at, (name, arguments))| {
            json!({"id": format!("call_{at}"), "type": "function", "function": {"name": name, "arguments": arguments}})
        });
        let message = json!({
            "role": "assistant",
            "content": all(|piece| if let Piece::Text(text) = piece { Some(text) } else { None }),
            "reasoning_content": all(|piece| if let Piece::Reasoning(text) = piece { Some(text) } else { None }),
            "refusal": all(|piece| if let Piece::Refusal(text) = piece { Some(text) } else { None }),
            "tool_calls": calls.collect::<Vec<_>>(),
        });
        let reason = ["stop", "length", "tool_calls", "content_filter", "stop", "eos"][self.reason];
        let [input, read, _, output] = self.usage.unwrap_or([7, 0, 0, 3]);
        let mut answer = json!({"id": "chatcmpl-7", "object": "chat.completion", "created": 1_760_000_000, "model": "gpt-5-2025-08-07",
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
            "usage": {"prompt_tokens": input + read, "completion_tokens": output, "total_tokens": input + read + output,
                "prompt_tokens_details": {"cached_tokens": read}}});
        if matches!(self.end, Ending::Error) {
            answer = json!({"error": {"message": "no", "type": "server_error"}});
        }
        answer.to_string().into_bytes()
    }

    /// As a whole Message.
    pub fn messages_whole(&self) -> Vec<u8> {
        let mut blocks: Vec<Value> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => blocks.push(json!({"type": "text", "text": text, "citations": null})),
                Piece::Reasoning(text) => blocks.push(json!({"type": "thinking", "thinking": text, "signature": "c2ln"})),
                Piece::Signature(data) => blocks.push(json!({"type": "redacted_thinking", "data": data})),
                Piece::Novelty => blocks.push(json!({"type": "novelty", "news": [1]})),
                _ => {}
            }
        }
        blocks.extend(self.calls().into_iter().enumerate().map(|(at, (name, arguments))| {
            let input: Value = serde_json::from_str(&arguments).ok().filter(Value::is_object).unwrap_or(json!({}));
            json!({"type": "tool_use", "id": format!("toolu_{at}"), "name": name, "input": input})
        }));
        let reason = ["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "pause_turn"][self.reason];
        let [input, read, written, output] = self.usage.unwrap_or([7, 0, 0, 3]);
        let mut answer = json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-opus-4-1-20250805",
            "content": blocks, "stop_reason": reason, "stop_sequence": null,
            "usage": {"input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written, "output_tokens": output}});
        if matches!(self.end, Ending::Error) {
            answer = json!({"type": "error", "error": {"type": "api_error", "message": "no"}});
        }
        answer.to_string().into_bytes()
    }

    /// The tool calls, each with all of its arguments.
    fn calls(&self) -> Vec<(&str, String)> {
        let mut calls: Vec<(&str, String)> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Call(name) => calls.push((name, String::new())),
                Piece::Arguments(more) => calls.last_mut().into_iter().for_each(|(_, arguments)| arguments.push_str(more)),
                _ => {}
            }
        }
        calls
    }

    /// As a Messages stream.
    pub fn messages(&self) -> Vec<u8> {
        let mut out = Lines::new(self.line_end);
        let [input, read, written, output] = self.usage.unwrap_or([7, 0, 0, 3]);
        let usage =
            json!({"input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written, "output_tokens": 1});
        out.event(
            "message_start",
            json!({"message": {"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-opus-4-1-20250805",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}}),
        );
        let (mut index, mut open) = (0, "");
        for piece in &self.pieces {
            let (kind, start, delta) = match piece {
                Piece::Text(text) => ("text", json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text})),
                Piece::Reasoning(text) => (
                    "thinking",
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    json!({"type": "thinking_delta", "thinking": text}),
                ),
                Piece::Signature(text) if open == "thinking" => {
                    ("thinking", Value::Null, json!({"type": "signature_delta", "signature": text}))
                }
                Piece::Signature(data) => ("", json!({"type": "redacted_thinking", "data": data}), Value::Null),
                Piece::Call(name) => {
                    ("tool_use", json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": {}}), Value::Null)
                }
                Piece::Arguments(more) if open == "tool_use" => {
                    ("tool_use", Value::Null, json!({"type": "input_json_delta", "partial_json": more}))
                }
                Piece::Refusal(_) | Piece::Arguments(_) | Piece::Alive => {
                    out.event("ping", json!({}));
                    continue;
                }
                Piece::Novelty => {
                    out.event("novelty", json!({"news": [1]}));
                    continue;
                }
            };
            if !start.is_null() && (open != kind || delta.is_null()) {
                if !open.is_empty() {
                    out.event("content_block_stop", json!({"index": index - 1}));
                }
                out.event("content_block_start", json!({"index": index, "content_block": start}));
                index += 1;
                open = kind;
            }
            if !delta.is_null() {
                out.event("content_block_delta", json!({"index": index - 1, "delta": delta}));
            }
            if open.is_empty() {
                out.event("content_block_stop", json!({"index": index - 1}));
            }
        }
        if !open.is_empty() {
            out.event("content_block_stop", json!({"index": index - 1}));
        }
        if matches!(self.end, Ending::Error) {
            out.event("error", json!({"error": {"type": "overloaded_error", "message": "Overloaded"}}));
        } else {
            let reason = ["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "pause_turn"][self.reason];
            let sequence = if reason == "stop_sequence" { json!("###") } else { Value::Null };
            out.event(
                "message_delta",
                json!({"delta": {"stop_reason": reason, "stop_sequence": sequence}, "usage": {"output_tokens": output}}),
            );
            out.event("message_stop", json!({}));
        }
        out.broken(&self.end)
    }
}

struct Lines {
    out: String,
    line_end: &'static str,
}

impl Lines {
    fn new(line_end: &'static str) -> Self {
        Self { out: String::new(), line_end }
    }

    /// A line and a blank one.
    fn line(&mut self, line: &str) {
        self.out.extend([line, self.line_end, self.line_end]);
    }

    fn data(&mut self, data: &Value) {
        self.line(&format!("data: {data}"));
    }

    fn event(&mut self, name: &str, mut data: Value) {
        data["type"] = json!(name);
        self.out.extend(["event: ", name, self.line_end]);
        self.data(&data);
    }

    fn broken(self, end: &Ending) -> Vec<u8> {
        let mut out = self.out.into_bytes();
        if let Ending::BreaksOff(at) = end {
            out.truncate(at.index(out.len() + 1));
        }
        out
    }
}
