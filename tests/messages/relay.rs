use bytes::Bytes;
use portcullis::dialect::{AnswerOptions, End, Pipe, Seen};

use super::support::{MESSAGES, grammar, noted, piped, sse, stamp};

const START: &str = r#"{"type":"message_start", "message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}} }"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi, \"you\"!"}}"#;
const CLOSE: &str = r#"{"type":"content_block_stop","index":0}"#;
const END: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7, "unknown" : 1.50 } }"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn relay(options: AnswerOptions) -> Box<dyn Pipe> {
    MESSAGES.relay(stamp(), options)
}

fn all() -> String {
    format!(": hello\n\n{}", sse(&[START, TEXT, r#"{"type":"ping"}"#, DELTA, CLOSE, END, STOP]))
        .replace("event: message_stop\n", "event:message_stop\r\n")
}

#[test]
fn without_notes_every_byte_passes() {
    let (out, seen, end) = piped(&mut *relay(AnswerOptions::default()), &all());
    assert_eq!(end, Ok(End::Complete));
    assert_eq!(out, all());
    assert_eq!(
        (seen.id.as_deref(), seen.model.as_deref(), seen.finish_reason.as_deref()),
        (Some("msg_1"), Some("claude-x"), Some("end_turn"))
    );
    assert!(seen.content && seen.finished && seen.ended);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input, usage.output, seen.output_bytes), (10, 7, 12));
}

#[test]
fn with_notes_only_the_additions_differ() {
    let (out, _, end) = piped(&mut *relay(noted()), &all());
    assert_eq!(end, Ok(End::Complete));
    let expected = all()
        .replace(r#""output_tokens":1}} }"#, r#""output_tokens":1},"provider":"claude-shop","native_response_id":"msg_1"} }"#)
        .replace(r#""unknown" : 1.50 } }"#, r#""unknown" : 1.50,"cost":{"total_nanos":17} },"meta":{"provider_model":"claude-x"} }"#);
    assert_eq!(out, expected);
    assert_eq!(grammar(&out), Ok(()));
}

#[test]
fn f073_odd_counts_take_back_what_the_start_told() {
    for odd in [r#"{"output_tokens":"many"}"#, r#"{"output_tokens":-1}"#, r#"{"output_tokens":[7]}"#, "[7]"] {
        let end = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{odd}}}"#);
        let text = sse(&[START, TEXT, DELTA, CLOSE, &end, STOP]);
        let (out, seen, end) = piped(&mut *relay(noted()), &text);
        assert_eq!((end, seen.usage, seen.finished), (Ok(End::Complete), None, true), "{odd}");
        assert!(!out.contains("cost"), "{out}");
    }
}

#[test]
fn what_is_no_object_gains_nothing() {
    let text = sse(&[r#"{"type":"message_start","message":null}"#, r#"{"type":"message_delta","delta":{},"usage":null}"#]);
    let noted_text = text.replace(r#""usage":null}"#, r#""usage":null,"meta":{"provider_model":""}}"#);
    assert_eq!(piped(&mut *relay(noted()), &text).0, noted_text);
    let body = r#"{"id":"msg_1","content":[],"stop_reason":"end_turn","usage":null}"#;
    let parts = relay(noted()).whole(&Bytes::from_static(body.as_bytes()), &mut Seen::default()).unwrap().concat();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&parts).unwrap()["usage"], serde_json::Value::Null);
}

#[test]
fn no_member_comes_twice() {
    let start = START.replace(r#""role""#, r#""provider":"other","native_response_id":"other","role""#);
    let end = END.replace(r#""output_tokens":7"#, r#""cost":0,"output_tokens":7"#);
    let (out, _, _) = piped(&mut *relay(noted()), &sse(&[&start, TEXT, DELTA, CLOSE, &end, STOP]));
    assert!(out.contains(r#""provider":"claude-shop","native_response_id":"msg_1","role""#), "{out}");
    assert!(out.contains(r#"{"cost":{"total_nanos":17},"output_tokens":7"#), "{out}");
    let body = r#"{"id":"msg_1","provider":"other","content":[],"stop_reason":"end_turn","usage":{"cost":0}}"#;
    let parts = relay(noted()).whole(&Bytes::from_static(body.as_bytes()), &mut Seen::default()).unwrap().concat();
    let body = String::from_utf8(parts).unwrap();
    assert_eq!((body.matches(r#""provider""#).count(), body.matches(r#""cost""#).count()), (1, 1), "{body}");
}

#[test]
fn a_datum_in_several_lines_goes_out_in_one() {
    let text = all().replace(r#"{"type":"message_start", "message""#, "{\"type\":\"message_start\",\ndata: \"message\"");
    let (out, _, end) = piped(&mut *relay(noted()), &text);
    assert_eq!(end, Ok(End::Complete));
    assert!(out.contains(r#""provider":"claude-shop""#));
    assert_eq!(grammar(&out), Ok(()));
}

#[test]
fn an_error_inside_is_noted_and_not_forwarded() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (out, seen, end) = piped(&mut *relay(AnswerOptions::default()), &sse(&[START, TEXT, DELTA, error, STOP]));
    assert_eq!(end, Ok(End::Truncated));
    assert_eq!(out, sse(&[START, TEXT, DELTA]));
    assert_eq!(seen.error.unwrap().status, Some(529));
}

#[test]
fn f042_a_stream_that_breaks_off_is_truncated() {
    let (_, seen, end) = piped(&mut *relay(AnswerOptions::default()), &sse(&[START, TEXT, DELTA, CLOSE, END]));
    assert_eq!(end, Ok(End::Truncated));
    assert!(seen.finished && !seen.ended);
}

#[test]
fn nothing_follows_the_end() {
    let (out, ..) = piped(&mut *relay(AnswerOptions::default()), &sse(&[START, END, STOP, START]));
    assert_eq!(out, sse(&[START, END, STOP]));
}

#[test]
fn what_is_no_json_is_an_error_that_sticks() {
    let (_, _, end) = piped(&mut *relay(AnswerOptions::default()), &sse(&[START, "{", STOP]));
    assert!(end.is_err());
}

#[test]
fn a_whole_message_gains_the_named_members_only() {
    let body = r#"{"id":"msg_1", "type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":2,"output_tokens":3} }"#;
    let pass = |options| {
        let mut seen = Seen::default();
        let parts = relay(options).whole(&Bytes::from_static(body.as_bytes()), &mut seen).unwrap();
        (String::from_utf8(parts.concat()).unwrap(), seen)
    };
    let (bare, seen) = pass(AnswerOptions::default());
    assert_eq!(bare, body);
    assert!(seen.content && seen.finished && seen.ended);
    assert_eq!((seen.output_bytes, seen.usage.unwrap().output), (2, 3));
    let (rich, _) = pass(noted());
    let expected = body.replace(
        r#""output_tokens":3} }"#,
        r#""output_tokens":3,"cost":{"total_nanos":5}},"provider":"claude-shop","native_response_id":"msg_1","meta":{"provider_model":"claude-x"} }"#,
    );
    assert_eq!(rich, expected);
}

#[test]
fn a_whole_error_is_noted() {
    let mut seen = Seen::default();
    let body = Bytes::from_static(br#"{"type":"error","error":{"type":"api_error","message":"Internal"}}"#);
    assert!(relay(noted()).whole(&body, &mut seen).unwrap().is_empty());
    assert_eq!(seen.error.unwrap().message, "Internal");
    assert!(relay(noted()).whole(&Bytes::from_static(b"<html>"), &mut Seen::default()).is_err());
    assert!(relay(noted()).whole(&Bytes::from_static(b"{}"), &mut Seen::default()).is_err());
}
