use super::support::{grammar, sse};

const START: &str = r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#;
const CLOSE: &str = r#"{"type":"content_block_stop","index":0}"#;
const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;
const PING: &str = r#"{"type":"ping"}"#;
const ERROR: &str = r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#;

#[test]
fn accepts_what_the_api_sends() {
    for stream in [
        &[START, TEXT, DELTA, CLOSE, END, STOP][..],
        &[PING, START, PING, TEXT, PING, DELTA, CLOSE, END, PING, STOP],
        &[START, END, STOP],
        &[START, TEXT, DELTA, ERROR],
        &[ERROR],
    ] {
        assert_eq!(grammar(&sse(stream)), Ok(()), "{stream:?}");
    }
}

#[test]
fn refuses_what_breaks_a_client() {
    let misnumbered = TEXT.replace(r#""index":0"#, r#""index":1"#);
    let thinking = DELTA.replace("text_delta", "thinking_delta").replace(r#""text":"x""#, r#""thinking":"x""#);
    let countless = START.replace(r#""input_tokens":1,"#, "");
    let headless = TEXT.replace(r#","text":"""#, "");
    let pointless = END.replace(r#""end_turn""#, "null");
    for stream in [
        &[][..],
        &[TEXT],
        &[START, START, END, STOP],
        &[START, &misnumbered],
        &[START, TEXT, TEXT],
        &[START, TEXT, &thinking],
        &[START, TEXT, END],
        &[START, TEXT, DELTA, CLOSE, CLOSE],
        &[START, DELTA],
        &[START, END, END, STOP],
        &[START, END, TEXT],
        &[START, STOP],
        &[START, END],
        &[START, END, STOP, PING],
        &[ERROR, STOP],
        &[&countless, END, STOP],
        &[START, &headless],
        &[START, &pointless, STOP],
        &[START, r#"{"type":"newer"}"#, END, STOP],
    ] {
        assert!(grammar(&sse(stream)).is_err(), "{stream:?}");
    }
    assert!(grammar(&format!("event: ping\ndata: {STOP}\n\n")).is_err(), "the name and the type differ");
    assert!(grammar(&format!("data: {START}\n\n")).is_err(), "clients read the name first");
}

#[test]
fn a_violation_stays() {
    let broken = sse(&[STOP, START, END, STOP]);
    assert!(grammar(&broken).is_err());
}
