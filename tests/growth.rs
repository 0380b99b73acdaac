//! Cost grows with size, and no faster.
#![cfg(unix)]

use std::{fmt::Write, time::Duration};

use bytes::{Bytes, BytesMut};
use portcullis::dialect::{
    AnswerOptions, Capabilities, Crossing, Dialect, Edits, Exchange, Losses, Seen, Stamp, Target,
    anthropic::AnthropicMessages,
    frame::sse::{Limits, Sse},
    openai_chat::OpenAiChat,
    scan::Members,
};
use rustix::time::{ClockId, clock_gettime};

/// The processor's time that `work` takes, whatever else the machine does.
fn cost(work: &mut dyn FnMut()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
    };
    (0..2)
        .map(|_| {
            let start = now();
            work();
            now() - start
        })
        .min()
        .unwrap()
}

/// Holds the cost of `work` on four times as much against its cost on once as much: sixteen times is what a search in a
/// list per entry would cost.
fn linear(name: &str, size: usize, mut work: impl FnMut(usize)) {
    let (once, four) = (cost(&mut || work(size)), cost(&mut || work(4 * size)));
    println!("{name}: {once:?}, {four:?}");
    assert!(four < 9 * once.max(Duration::from_millis(2)), "{name}: {size} cost {once:?}, {} cost {four:?}", 4 * size);
}

fn target(capabilities: &Capabilities) -> Target<'_> {
    Target { model: "model-1", issuer: "anthropic", capabilities, want_usage: true }
}

/// Decodes a request and encodes it for the other dialect.
fn cross(caller: &dyn Dialect, provider: &dyn Dialect, body: &str) {
    let capabilities = Capabilities::default();
    let (mut losses, mut out) = (Losses::default(), BytesMut::new());
    let request = caller.decode_request(body, &mut losses).unwrap();
    provider.encode_request(&request, &target(&capabilities), &mut out, &mut losses).unwrap();
    assert!(!out.is_empty());
}

/// `count` pieces made by `piece`, as a list.
fn list(count: usize, mut piece: impl FnMut(usize, &mut String)) -> String {
    let mut text = String::from("[");
    for at in 0..count {
        if at > 0 {
            text.push(',');
        }
        piece(at, &mut text);
    }
    text.push(']');
    text
}

fn calls(at: usize, out: &mut String) {
    write!(
        out,
        r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call:{at}","type":"function","function":{{"name":"odd name {at}","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"call:{at}","content":"x"}}"#
    )
    .unwrap();
}

#[test]
fn f030_requests_of_many_parts() {
    let chat = |messages: String, more: &str| format!(r#"{{"model":"m","messages":{messages}{more}}}"#);
    let message = r#"[{"role":"user","content":"x"}]"#;
    linear("messages", 4_000, |count| {
        let roles = ["user", "assistant", "system"];
        let messages = list(count, |at, out| write!(out, r#"{{"role":"{}","content":"x{at}"}}"#, roles[at % 3]).unwrap());
        cross(&OpenAiChat, &AnthropicMessages, &chat(messages, ""));
    });
    linear("parts", 2_000, |count| {
        let parts =
            list(count, |at, out| write!(out, r#"{{"type":"text","text":"x{at}","cache_control":{{"type":"ephemeral"}}}}"#).unwrap());
        cross(&OpenAiChat, &AnthropicMessages, &chat(format!(r#"[{{"role":"user","content":{parts}}}]"#), ""));
    });
    linear("calls and results", 1_000, |count| cross(&OpenAiChat, &AnthropicMessages, &chat(list(count, calls), "")));
    linear("calls of one turn", 2_000, |count| {
        let called = list(count, |at, out| {
            write!(out, r#"{{"id":"call:{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#).unwrap();
        });
        let results = list(count, |at, out| write!(out, r#"{{"role":"tool","tool_call_id":"call:{at}","content":"x"}}"#).unwrap());
        let turn =
            format!(r#"[{{"role":"user","content":"x"}},{{"role":"assistant","content":null,"tool_calls":{called}}},{}"#, &results[1..]);
        cross(&OpenAiChat, &AnthropicMessages, &chat(turn, ""));
    });
    linear("tools", 2_000, |count| {
        let tools = list(count, |at, out| {
            write!(out, r#"{{"type":"function","function":{{"name":"odd name {at}","parameters":{{"type":"object"}}}}}}"#).unwrap();
        });
        cross(&OpenAiChat, &AnthropicMessages, &chat(message.into(), &format!(r#","tools":{tools}"#)));
    });
    linear("members nobody knows", 2_000, |count| {
        let members: String = (0..count).map(|at| format!(r#","x{at}":{at}"#)).collect();
        cross(&OpenAiChat, &AnthropicMessages, &chat(message.into(), &members));
    });
    linear("stops", 4_000, |count| {
        let stops = list(count, |at, out| write!(out, r#""s{at}""#).unwrap());
        cross(&OpenAiChat, &AnthropicMessages, &chat(message.into(), &format!(r#","stop":{stops}"#)));
    });
    linear("blocks and results", 6_000, |count| {
        let turns = list(count, |at, out| {
            write!(
                out,
                r#"{{"role":"assistant","content":[{{"type":"thinking","thinking":"x","signature":"s"}},{{"type":"tool_use","id":"t{at}","name":"f","input":{{"a":{at}}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t{at}","content":[{{"type":"text","text":"x"}}]}},{{"type":"text","text":"y"}}]}}"#
            )
            .unwrap();
        });
        cross(&AnthropicMessages, &OpenAiChat, &format!(r#"{{"model":"m","max_tokens":9,"messages":{turns}}}"#));
    });
    linear("odd names to chat", 2_000, |count| {
        let tools = list(count, |at, out| write!(out, r#"{{"name":"odd name {at}","input_schema":{{"type":"object"}}}}"#).unwrap());
        let turns = list(count, |at, out| {
            write!(out, r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"t{at}","name":"odd name {at}","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t{at}","content":"x"}}]}}"#).unwrap();
        });
        cross(&AnthropicMessages, &OpenAiChat, &format!(r#"{{"model":"m","max_tokens":9,"messages":{turns},"tools":{tools}}}"#));
    });
    linear("bytes", 2 << 20, |bytes| {
        let url = "A".repeat(bytes);
        let part = format!(r#"[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{url}"}}}}]}}]"#);
        cross(&OpenAiChat, &AnthropicMessages, &chat(part, ""));
    });
}

#[test]
fn f030_scans_of_many_members() {
    let capabilities = Capabilities::default();
    let patch = |body: String| {
        let body = Bytes::from(body);
        let members = Members::scan(&body).unwrap();
        let mut edits = Edits::default();
        OpenAiChat.patch_request(&body, &members, &target(&capabilities), &mut edits);
        assert!(edits.apply(&body).concat().len() > body.len() / 2);
    };
    linear("members", 200, |count| {
        let members: String = (0..count).map(|at| format!(r#","x{at}":[{at},"y"]"#)).collect();
        for _ in 0..50 {
            patch(format!(r#"{{"model":"m","messages":[]{members}}}"#));
        }
    });
    linear("long text", 1 << 20, |length| patch(format!(r#"{{"model":"m","x":"{}"}}"#, "\\\\\\\"é".repeat(length / 8))));
    linear("long lists", 1 << 18, |length| patch(format!(r#"{{"model":"m","x":[{}0]}}"#, "{\"a\":[1]},".repeat(length / 8))));
}

/// Sends `stream` through the pipe between two dialects in chunks of `chunk`.
fn pipe(provider: &'static dyn Dialect, caller: &'static dyn Dialect, stream: &str, chunk: usize) {
    let stamp = Stamp { id: "G-01".into(), created: 1_700_000_000, model: "m".into() };
    let exchange = Exchange { renamed_tools: Vec::new(), output_tool: None };
    let options = AnswerOptions { include_usage: true, rich_usage: true, notes: None };
    let mut pipe: Box<dyn portcullis::dialect::Pipe> = match provider.name() == caller.name() {
        true => caller.relay(stamp, options),
        false => Box::new(Crossing::new(provider, caller, &exchange, stamp, options)),
    };
    let (mut seen, mut out, mut written) = (Seen::default(), BytesMut::new(), 0);
    let mut frames = Sse::new(Limits::default());
    for piece in stream.as_bytes().chunks(chunk) {
        frames.feed(piece, &mut |frame| pipe.frame(frame, &mut out, &mut seen)).unwrap();
        written += out.split().len();
    }
    frames.finish(&mut |frame| pipe.frame(frame, &mut out, &mut seen)).unwrap();
    pipe.finish(&mut out, &mut seen).unwrap();
    written += out.len();
    assert!(written > 1_000);
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

#[test]
fn f030_streams_of_many_events() {
    let chat = |deltas: &mut dyn Iterator<Item = String>| {
        let body: String = deltas.map(|delta| chunk(&delta, "null")).collect();
        format!("{}{body}{}data: [DONE]\n\n", chunk(r#"{"role":"assistant","content":""}"#, "null"), chunk("{}", "\"stop\""))
    };
    let call = |at: usize, arguments: &str| {
        format!(r#"{{"tool_calls":[{{"index":{at},"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#)
    };
    let piece = |at: usize| format!(r#"{{"tool_calls":[{{"index":{at},"function":{{"arguments":" "}}}}]}}"#);
    for caller in [&AnthropicMessages as &'static dyn Dialect, &OpenAiChat] {
        let name = caller.name();
        linear(&format!("deltas to {name}"), 1_000, |count| {
            pipe(&OpenAiChat, caller, &chat(&mut (0..count).map(|at| format!(r#"{{"content":"x{at}"}}"#))), 1 << 14);
        });
        linear(&format!("byte by byte to {name}"), 200, |count| {
            pipe(&OpenAiChat, caller, &chat(&mut (0..count).map(|at| format!(r#"{{"content":"x{at}"}}"#))), 1);
        });
        linear(&format!("arguments to {name}"), 1_000, |count| {
            pipe(&OpenAiChat, caller, &chat(&mut std::iter::once(call(0, "{")).chain((0..count).map(|_| piece(0)))), 1 << 14);
        });
        linear(&format!("one call after the other to {name}"), 300, |count| {
            pipe(&OpenAiChat, caller, &chat(&mut (0..count).map(|at| call(at, "{}"))), 1 << 14);
        });
        // As many calls as are sensible, told in turns.
        linear(&format!("calls in turns to {name}"), 1_000, |count| {
            let opened = (0..50).map(|at| call(at, "{"));
            pipe(&OpenAiChat, caller, &chat(&mut opened.chain((0..count).map(|at| piece(at % 50)))), 1 << 14);
        });
        linear(&format!("a long event to {name}"), 1 << 17, |length| {
            pipe(&OpenAiChat, caller, &chat(&mut std::iter::once(format!(r#"{{"content":"{}"}}"#, "x\\n".repeat(length / 3)))), 100);
        });
        linear(&format!("comments to {name}"), 20_000, |count| {
            let quiet = ": alive\n\n".repeat(count);
            let mut frames = Sse::new(Limits::default());
            frames.feed(quiet.as_bytes(), &mut |_| Ok(())).unwrap();
        });
    }
    linear("blocks to chat", 500, |count| {
        let event = |data: String| format!("data: {data}\n\n");
        let mut stream = event(r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#.into());
        for at in 0..count {
            let block = match at % 3 {
                0 => [r#"{"type":"text","text":""}"#.to_owned(), r#"{"type":"text_delta","text":"x"}"#.to_owned()],
                1 => [
                    format!(r#"{{"type":"tool_use","id":"t{at}","name":"f","input":{{}}}}"#),
                    r#"{"type":"input_json_delta","partial_json":"{}"}"#.to_owned(),
                ],
                _ => [
                    r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
                    r#"{"type":"thinking_delta","thinking":"x"}"#.to_owned(),
                ],
            };
            stream += &event(format!(r#"{{"type":"content_block_start","index":{at},"content_block":{}}}"#, block[0]));
            stream += &event(format!(r#"{{"type":"content_block_delta","index":{at},"delta":{}}}"#, block[1]));
            stream += &event(format!(r#"{{"type":"content_block_stop","index":{at}}}"#));
        }
        stream += &event(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#.into(),
        );
        stream += &event(r#"{"type":"message_stop"}"#.into());
        for caller in [&OpenAiChat as &'static dyn Dialect, &AnthropicMessages] {
            pipe(&AnthropicMessages, caller, &stream, 1 << 14);
        }
    });
}
