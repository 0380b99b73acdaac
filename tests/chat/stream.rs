//! What the machines do with whatever comes.

use bytes::{Bytes, BytesMut};
use portcullis::dialect::{
    AnswerOptions, Dialect, Exchange, Losses, Pipe, Seen, Stamp, StreamError,
    conversation::{Answer, Event},
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
    openai_chat::OpenAiChat,
};
use proptest::prelude::*;

fn stamp() -> Stamp {
    Stamp { id: "G-01".into(), created: 1, model: "m".into() }
}

/// A frame of one datum.
fn frame(data: &str) -> Frame<'_> {
    Frame { event: "", data: Some(data.into()), raw: b"" }
}

fn whole(body: &str) -> Answer<'_> {
    let mut events = Vec::new();
    OpenAiChat.decoder(&Exchange::default()).whole(body, &mut |event| events.push(event)).unwrap();
    Answer::fold(events)
}

#[test]
fn what_is_written_whole_is_read_back() {
    let body = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"reasoning_content":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"c2ln","format":"anthropic-claude-v1","index":0}],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1.50}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    let answer = whole(body);
    let mut out = BytesMut::new();
    OpenAiChat.encode_answer(&answer, &stamp(), &AnswerOptions::default(), &mut out, &mut Losses::default());
    let again = String::from_utf8(out.to_vec()).unwrap();
    let again = whole(&again);
    assert_eq!(again.choices, answer.choices);
    assert_eq!(again.usage, answer.usage);
}

#[test]
fn what_is_streamed_folds_into_the_whole() {
    let chunks = [
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"m."}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"content":"H"}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"content":"i"}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}}]}"#,
        r#"{"id":"x","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"x","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    ];
    let body = r#"{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning_content":"Hmm.","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let mut decoder = OpenAiChat.decoder(&Exchange::default());
    let mut events: Vec<Event<'_>> = Vec::new();
    for chunk in chunks {
        decoder.frame(&frame(chunk), &mut |event| events.push(event.into_owned())).unwrap();
    }
    assert_eq!(Answer::fold(events), whole(body));
}

#[test]
fn an_error_sticks() {
    let mut decoder = OpenAiChat.decoder(&Exchange::default());
    let mut sink = |_: Event<'_>| {};
    let error = decoder.frame(&frame("{"), &mut sink).unwrap_err();
    assert_eq!(decoder.frame(&frame("[DONE]"), &mut sink), Err(error.clone()));
    assert_eq!(decoder.finish(&mut |_| {}), Err(error));
}

#[test]
fn messages_of_errors_hold_no_content() {
    let mut decoder = OpenAiChat.decoder(&Exchange::default());
    let secret = r#"{"choices":[{"delta":{"content":{"secret":"prompt"}}}]}"#;
    let error = decoder.frame(&frame(secret), &mut |_| {}).unwrap_err();
    assert!(!error.message.contains("secret") && !error.message.contains("prompt"), "{error}");
}

/// Pieces of streams, sound and broken.
fn stream() -> impl Strategy<Value = String> {
    let text = prop_oneof![Just(""), Just("Hi"), Just("ü\\n\\\""), Just("[DONE]")];
    let delta = prop_oneof![
        text.clone().prop_map(|text| format!(r#"{{"content":"{text}"}}"#)),
        text.clone().prop_map(|text| format!(r#"{{"role":"assistant","refusal":"{text}"}}"#)),
        text.prop_map(|text| format!(r#"{{"reasoning":"{text}","reasoning_content":"{text}"}}"#)),
        (0..3_u8, prop_oneof![Just("null"), Just("\"\""), Just("\"f\"")], prop_oneof![Just("null"), Just("\"a\""), Just("\"\"")]).prop_map(
            |(index, name, id)| {
                format!(r#"{{"tool_calls":[{{"index":{index},"id":{id},"function":{{"name":{name},"arguments":"{{"}}}}]}}"#)
            }
        ),
        Just(r#"{"reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","index":0},{"type":"reasoning.encrypted","data":"d"}]}"#.to_owned()),
        Just(r#"{"annotations":[{"type":"url_citation"}],"function_call":{"name":"g","arguments":""}}"#.to_owned()),
        Just("null".to_owned()),
        Just("{}".to_owned()),
    ];
    let finish =
        prop_oneof![4 => Just("null"), 1 => Just("\"stop\""), 1 => Just("\"\""), 1 => Just("\"tool_calls\""), 1 => Just("\"odd\"")];
    let chunk = (0..2_u8, delta, finish, any::<bool>()).prop_map(|(index, delta, finish, logprobs)| {
        let logprobs = if logprobs { r#"{"content":[{"token":"a"}],"refusal":[]}"# } else { "null" };
        format!(
            r#"{{"id":"x","model":"m","choices":[{{"index":{index},"delta":{delta},"logprobs":{logprobs},"finish_reason":{finish}}}]}}"#
        )
    });
    let datum = prop_oneof![
        12 => chunk,
        1 => Just("[DONE]".to_owned()),
        1 => Just(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":-1,"total_tokens":1e99}}"#.to_owned()),
        1 => Just(r#"{"choices":[],"id":"","usage":null}"#.to_owned()),
        1 => Just(r#"{"error":"gone"}"#.to_owned()),
        1 => "[ -~]{0,12}",
    ];
    prop::collection::vec(datum, 0..14).prop_map(|data| data.iter().map(|datum| format!("data: {datum}\n\n")).collect())
}

/// Runs a pipe over `bytes`; gives what came of it.
fn run(mut pipe: Box<dyn Pipe>, bytes: &[u8]) -> (String, Result<(), StreamError>) {
    let (mut out, mut seen, mut sse) = (BytesMut::new(), Seen::default(), Sse::new(Limits::default()));
    let fed = sse
        .feed(bytes, &mut |frame| pipe.frame(frame, &mut out, &mut seen))
        .and_then(|()| sse.finish(&mut |frame| pipe.frame(frame, &mut out, &mut seen)))
        .and_then(|()| pipe.finish(&mut out, &mut seen).map(drop));
    (String::from_utf8(out.to_vec()).unwrap(), fed)
}

proptest! {
    /// In debug builds a crossing checks what its encoder writes: whatever comes, that is sound or nothing.
    #[test]
    fn whatever_comes_what_goes_out_is_sound(stream in stream()) {
        let crossing = portcullis::dialect::Crossing::new(&OpenAiChat, &OpenAiChat, &Exchange::default(), stamp(), AnswerOptions { include_usage: true, ..AnswerOptions::default() });
        let _ = run(Box::new(crossing), stream.as_bytes());
    }

    #[test]
    fn a_bare_relay_changes_nothing(stream in stream()) {
        let (out, result) = run(OpenAiChat.relay(stamp(), AnswerOptions { include_usage: true, ..AnswerOptions::default() }), stream.as_bytes());
        if result.is_ok() {
            prop_assert!(stream.starts_with(&out));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in "\\PC{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = OpenAiChat.decoder(&Exchange::default()).whole(&body, &mut |_| {});
        let _ = OpenAiChat.decode_request(&body, &mut Losses::default());
        let _ = OpenAiChat.relay(stamp(), AnswerOptions::default()).whole(&Bytes::from(bytes.clone()), &mut Seen::default());
        let _ = OpenAiChat.decode_fault(http::StatusCode::BAD_REQUEST, &http::HeaderMap::new(), &Bytes::from(bytes));
    }
}
