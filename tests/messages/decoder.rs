use portcullis::dialect::{
    End, Exchange, StreamErrorKind,
    conversation::{Answer, AnswerBlock, Delta, Event, FinishReason, Opening},
};

use super::support::{events, sse, whole};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}"#;
const END_TURN: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn told(body: &[&str]) -> (Vec<Event<'static>>, Result<End, StreamErrorKind>) {
    told_for(body, &Exchange::default())
}

fn told_for(body: &[&str], exchange: &Exchange) -> (Vec<Event<'static>>, Result<End, StreamErrorKind>) {
    let (events, end) = events(&sse(body), exchange);
    (events, end.map_err(|error| error.kind))
}

fn arguments(events: &[Event<'_>]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        Event::Delta { delta: Delta::Arguments(more), .. } => Some(more.to_string()),
        _ => None,
    });
    deltas.collect()
}

#[test]
fn a_stream_and_the_whole_answer_tell_the_same() {
    let stream = [
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"aGlkZGVu"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Let me "}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"look."}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"x"}}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#,
        STOP,
    ];
    let (streamed, end) = told(&stream);
    assert_eq!(end, Ok(End::Complete));
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[
        {"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"redacted_thinking","data":"aGlkZGVu"},
        {"type":"text","text":"Let me look.","citations":[{"type":"char_location","cited_text":"x"}]},
        {"type":"tool_use","id":"toolu_1","name":"look","input":{"at":1}}],
        "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":9}}"#;
    let whole = whole(body, &Exchange::default()).unwrap();
    assert_eq!(Answer::fold(streamed), Answer::fold(whole));
}

#[test]
fn as_04_the_opening_input_is_a_placeholder() {
    let (events, _) = told(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
    ]);
    assert_eq!(arguments(&events), r#"{"a":1}"#);
}

#[test]
fn as_05_a_call_without_deltas_has_the_input_it_began_with() {
    for (input, expected) in [("{}", "{}"), (r#"{"a": 1}"#, r#"{"a": 1}"#)] {
        let start = format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"t","name":"f","input":{input}}}}}"#
        );
        let (events, _) = told(&[
            START,
            &start,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ]);
        assert_eq!(arguments(&events), expected);
        let deltas = events.iter().filter(|event| matches!(event, Event::Delta { .. }));
        assert_eq!(deltas.count(), 1);
    }
}

#[test]
fn as_12_an_error_event_is_the_providers_error() {
    let (events, end) = told(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#]);
    assert_eq!(end, Ok(End::Truncated));
    let [Event::Error(error)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((error.status, error.kind.as_deref(), error.message.as_str()), (Some(529), Some("overloaded_error"), "Overloaded"));
    assert!(error.raw.as_ref().is_some_and(|raw| raw.starts_with(b"{")));
}

#[test]
fn cp_16_an_error_in_place_of_an_answer() {
    let events = whole(r#"{"type":"error","error":{"type":"api_error","message":"Internal"},"request_id":"req_1"}"#, &Exchange::default());
    assert!(matches!(events.as_deref(), Ok([Event::Error(error)]) if error.status == Some(500)));
}

#[test]
fn as_14_a_second_message_start() {
    let other = START.replace("msg_1", "msg_2");
    let (events, end) = told(&[START, START, END_TURN, STOP]);
    assert_eq!(end, Ok(End::Complete));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Start { .. })).count(), 1);
    assert_eq!(told(&[START, &other, END_TURN, STOP]).1, Err(StreamErrorKind::Order));
}

#[test]
fn as_21_a_stream_that_breaks_off_is_truncated() {
    let text = [START, r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}"#];
    let (events, end) = told(&text);
    assert_eq!(end, Ok(End::Truncated));
    assert!(matches!(events.last(), Some(Event::Close { block: 0 })));
    // With a reason to stop, but no message_stop.
    assert_eq!(told(&[START, END_TURN]).1, Ok(End::Truncated));
    assert_eq!(told(&[]).1, Ok(End::Truncated));
}

#[test]
fn what_is_out_of_order_is_an_error_that_sticks() {
    let text = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let thinking = r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}"#;
    for stream in [
        &[text][..],
        &[START, thinking],
        &[START, text, thinking],
        &[START, text, text],
        &[START, r#"{"type":"content_block_stop","index":0}"#],
        &[START, STOP],
        &[END_TURN],
        &[START, END_TURN, text],
    ] {
        assert_eq!(told(stream).1, Err(StreamErrorKind::Order), "{stream:?}");
    }
    assert_eq!(told(&["{"]).1, Err(StreamErrorKind::Malformed));
    assert_eq!(told(&["[1]"]).1, Err(StreamErrorKind::Malformed));
}

#[test]
fn nothing_is_read_after_the_end() {
    let (events, end) = told(&[START, END_TURN, STOP, START, "nonsense"]);
    assert_eq!(end, Ok(End::Complete));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Start { .. })).count(), 1);
}

#[test]
fn every_stop_reason() {
    for (said, meant) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("pause_turn", FinishReason::Pause),
        ("refusal", FinishReason::Refusal),
        ("model_context_window_exceeded", FinishReason::ContextWindow),
        ("newer", FinishReason::Other("newer".into())),
    ] {
        let (events, _) = told(&[START, &END_TURN.replace("end_turn", said), STOP]);
        assert!(events.iter().any(|event| matches!(event, Event::Finish { reason, .. } if *reason == meant)), "{said}");
    }
}

#[test]
fn us_04_us_05_usage_is_set_and_a_zero_takes_nothing_back() {
    let end = END_TURN.replace(r#""output_tokens":7"#, r#""input_tokens":0,"output_tokens":7"#);
    let (events, _) = told(&[START, &end, STOP]);
    let last = events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    });
    let usage = last.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (10, 5, 7));
}

#[test]
fn f073_odd_counts_take_back_what_the_start_told() {
    for odd in [r#"{"output_tokens":"many"}"#, r#"{"output_tokens":-1}"#, "[7]"] {
        let (events, end) = told(&[START, &END_TURN.replace(r#"{"output_tokens":7}"#, odd), STOP]);
        let last = events.iter().rev().find_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        });
        assert_eq!((end, last.unwrap().believed()), (Ok(End::Complete), None), "{odd}");
    }
}

#[test]
fn as_20_server_tools_are_nobody_elses_calls() {
    let (events, end) = told(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        END_TURN,
        STOP,
    ]);
    assert_eq!(end, Ok(End::Complete));
    let kinds: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Open { opening: Opening::Unknown { kind, .. }, .. } => Some(kind.to_string()),
            Event::Open { .. } => panic!("{event:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["server_tool_use", "web_search_tool_result"]);
}

#[test]
fn ar_35_only_the_output_tool_becomes_text() {
    let exchange = Exchange { output_tool: Some("answer".into()), ..Exchange::default() };
    let call = |name: &str| {
        format!(r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"t","name":"{name}","input":{{}}}}}}"#)
    };
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#;
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let end = END_TURN.replace("end_turn", "tool_use");
    let folded = |name| Answer::fold(told_for(&[START, &call(name), delta, stop, &end, STOP], &exchange).0).choices.remove(0);
    let output = folded("answer");
    assert_eq!(output.finish_reason, Some(FinishReason::Stop));
    assert!(matches!(output.blocks.as_slice(), [AnswerBlock::Text { text, .. }] if text == r#"{"a":1}"#));
    let tool = folded("search");
    assert_eq!(tool.finish_reason, Some(FinishReason::ToolCalls));
    assert!(matches!(tool.blocks.as_slice(), [AnswerBlock::ToolCall { arguments, .. }] if arguments == r#"{"a":1}"#));
}

#[test]
fn tl_02_renamed_tools_get_their_names_back() {
    let exchange = Exchange { renamed_tools: vec![("a_b_1".into(), "a.b".into())], ..Exchange::default() };
    let body = r#"{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"tool_use","id":"t","name":"a_b_1","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let events = whole(body, &exchange).unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Open { opening: Opening::ToolCall { name, .. }, .. } if name == "a.b")));
}

#[test]
fn what_is_unknown_passes_as_unknown() {
    let (events, end) = told(&[
        &START.replace(r#""usage""#, r#""container":{"id":"c1"},"diagnostics":null,"usage""#),
        r#"{"type":"newer_event","x":1}"#,
        END_TURN,
        STOP,
    ]);
    assert_eq!(end, Ok(End::Complete));
    let unknown: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Unknown { kind, raw } => Some((kind.as_ref(), raw.as_ref())),
            _ => None,
        })
        .collect();
    assert_eq!(unknown, [("container", r#"{"id":"c1"}"#), ("newer_event", r#"{"type":"newer_event","x":1}"#)]);
}
