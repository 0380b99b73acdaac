use bytes::BytesMut;
use portcullis::dialect::{
    AnswerOptions, Exchange, Losses, Usage,
    conversation::{Answer, AnswerBlock, Choice, FinishReason, Reasoning},
};

use super::support::{MESSAGES, ids, noted, stamp, whole};

fn written(answer: &Answer<'_>, options: &AnswerOptions) -> (String, Vec<&'static str>) {
    let (mut out, mut losses) = (BytesMut::new(), Losses::default());
    MESSAGES.encode_answer(answer, &stamp(), options, &mut out, &mut losses);
    let text = String::from_utf8(out.to_vec()).unwrap();
    portcullis::dialect::scan::Members::scan(text.as_bytes()).unwrap();
    (text, ids(&losses))
}

fn answer(blocks: Vec<AnswerBlock<'static>>, reason: FinishReason<'static>) -> Answer<'static> {
    Answer {
        id: Some("chatcmpl-1".into()),
        model: Some("gpt-x".into()),
        choices: vec![Choice { blocks, finish_reason: Some(reason), ..Choice::default() }],
        usage: Some(Usage { input: 200, cache_read: 800, output: 5, ..Usage::default() }),
        ..Answer::default()
    }
}

fn call(arguments: &'static str) -> AnswerBlock<'static> {
    AnswerBlock::ToolCall { id: "call_1".into(), name: "f".into(), arguments: arguments.into() }
}

#[test]
fn a_message_with_all_its_members() {
    let blocks = vec![
        AnswerBlock::Reasoning(Reasoning { text: "Hm.".into(), ..Reasoning::default() }),
        AnswerBlock::Text { text: "Hi".into(), citations: Vec::new() },
        call(r#"{"a": 1}"#),
    ];
    let (text, losses) = written(&answer(blocks, FinishReason::ToolCalls), &AnswerOptions::default());
    assert_eq!(
        text,
        r#"{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt-x","content":[{"type":"thinking","thinking":"Hm.","signature":""},{"type":"text","text":"Hi"},{"type":"tool_use","id":"call_1","name":"f","input":{"a": 1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":200,"cache_creation_input_tokens":0,"cache_read_input_tokens":800,"output_tokens":5}}"#
    );
    assert!(losses.is_empty());
}

#[test]
fn notes_stand_beside() {
    let (text, _) = written(&answer(Vec::new(), FinishReason::Stop), &noted());
    assert!(text.ends_with(
        r#""output_tokens":5,"cost":{"total_nanos":205}},"provider":"claude-shop","native_response_id":"chatcmpl-1","meta":{"provider_model":"gpt-x"}}"#
    ));
}

#[test]
fn arguments_are_always_an_object() {
    for (arguments, input, lossy) in [
        ("", "{}", false),
        (" {\"a\":1e400}\n", "{\"a\":1e400}", false),
        ("{\"a\":", r#"{"input":"{\"a\":"}"#, true),
        ("[1]", r#"{"input":"[1]"}"#, true),
        ("{} {}", r#"{"input":"{} {}"}"#, true),
    ] {
        let (text, losses) = written(&answer(vec![call(arguments)], FinishReason::ToolCalls), &AnswerOptions::default());
        assert!(text.contains(&format!(r#""input":{input}}}"#)), "{text}");
        assert_eq!(!losses.is_empty(), lossy);
    }
}

#[test]
fn a_refusal_is_text_and_a_reason() {
    let (text, _) = written(&answer(vec![AnswerBlock::Refusal("No.".into())], FinishReason::Stop), &AnswerOptions::default());
    assert!(text.contains(r#"[{"type":"text","text":"No."}],"stop_reason":"refusal""#));
}

#[test]
fn a_message_read_and_written_is_the_same_message() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"redacted_thinking","data":"aGk"},{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"text","text":"Hi","citations":[{"type":"char_location","cited_text":"x"}]}],"stop_reason":"stop_sequence","stop_sequence":"END","usage":{"input_tokens":1,"cache_creation_input_tokens":7,"cache_read_input_tokens":2,"output_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"service_tier":"priority"}}"#;
    let folded = Answer::fold(whole(body, &Exchange::default()).unwrap());
    let (text, losses) = written(&folded, &AnswerOptions::default());
    assert_eq!(text, body);
    assert!(losses.is_empty());
}
