//! The checker takes what a strict client takes, and nothing else.

use portcullis::dialect::{Dialect, frame::Frame, openai_chat::OpenAiChat};

/// What the checker says of a stream of these data; `Ok` if nothing.
fn check(data: &[&str]) -> Result<(), String> {
    let mut grammar = OpenAiChat.grammar();
    for data in data {
        let frame = Frame { event: "", data: Some((*data).into()), raw: b"" };
        grammar.frame(&frame).map_err(|violation| violation.0)?;
    }
    grammar.finish().map_err(|violation| violation.0)
}

fn chunk(choices: &str) -> String {
    format!(r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{choices}]}}"#)
}

fn piece(delta: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#))
}

fn stop(reason: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}"#))
}

const ROLE: &str = r#"{"role":"assistant","content":""}"#;
const CALL: &str = r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#;

fn usage() -> String {
    chunk("").replace('}', r#","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#)
}

#[test]
fn sound_streams_pass() {
    let (role, text, call, stopped, called, usage) =
        (piece(ROLE), piece(r#"{"content":"Hi"}"#), piece(CALL), stop("stop"), stop("tool_calls"), usage());
    let more = piece(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#);
    let error = r#"{"error":{"message":"m"}}"#;
    for stream in [
        vec![&*role, &text, &stopped, "[DONE]"],
        vec![&role, &text, &stopped, &usage, "[DONE]"],
        vec![&role, &call, &more, &called, "[DONE]"],
        vec![&role, &text, error],
        vec![error],
    ] {
        assert_eq!(check(&stream), Ok(()), "{stream:?}");
    }
}

#[test]
fn each_rule_is_kept() {
    let (role, text, call, stopped, usage) = (piece(ROLE), piece(r#"{"content":"Hi"}"#), piece(CALL), stop("stop"), usage());
    let error = r#"{"error":{"message":"m"}}"#;
    let other = |from: &str, to: &str| text.replace(from, to);
    for (stream, rule) in [
        (vec![&*role, &text, &stopped], "the stream ends without [DONE] or an error"),
        (vec![&role, &text, "[DONE]"], "[DONE] comes before a choice's finish_reason"),
        (vec!["[DONE]"], "[DONE] comes before any choice"),
        (vec![&role, &stopped, "[DONE]", "[DONE]"], "something follows [DONE]"),
        (vec![&role, error, "[DONE]"], "something follows the error"),
        (vec![&text], "a choice begins without its role"),
        (vec![&role, &role], "the role is told twice"),
        (vec![&role, &other("\"id\":\"c\"", "\"id\":\"d\"")], "id changes"),
        (vec![&role, &other("\"created\":1", "\"created\":2")], "created changes"),
        (vec![&role, &other("\"model\":\"m\"", "\"model\":\"n\"")], "model changes"),
        (vec![&role, &other("completion.chunk", "completion")], "object is not chat.completion.chunk"),
        (vec![&role, &stopped, &text], "a finished choice goes on"),
        (vec![&role, &stop("bored")], "finish_reason is not one of the API's"),
        (vec![&role, &stop("tool_calls")], "finish_reason is tool_calls, and there are none"),
        (vec![&role, &usage], "usage comes before a choice's finish_reason"),
        (vec![&role, &stopped, &usage, &usage], "a chunk follows the usage"),
        (vec![&role, &call.replace("\"index\":0,\"id\"", "\"index\":1,\"id\"")], "tool calls are not numbered densely"),
        (vec![&role, &call.replace("\"name\":\"f\",", "")], "a tool call begins without id, type or name"),
        (vec![&role, &call, &call], "a tool call is named twice"),
        (vec![&role, &other("\"Hi\"", "7")], "chunk/choices/0/delta/content: expected a string"),
    ] {
        assert_eq!(check(&stream), Err(rule.to_owned()), "{stream:?}");
    }
}
