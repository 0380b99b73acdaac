use portcullis::dialect::{
    AnswerOptions, Usage,
    conversation::{Delta, Event, FinishReason, Opening},
};

use portcullis::dialect::{
    End, Exchange,
    conversation::{Answer, AnswerBlock},
};
use proptest::prelude::*;

use super::support::{data, encoded, events, noted};

fn start() -> Event<'static> {
    Event::Start { id: Some("chatcmpl-1".into()), model: Some("gpt-x".into()), created: None }
}

fn open(block: u32, opening: Opening<'static>) -> Event<'static> {
    Event::Open { block, choice: 0, opening }
}

fn call(block: u32, id: &'static str, name: &'static str) -> Event<'static> {
    open(block, Opening::ToolCall { id: id.into(), name: name.into() })
}

fn text(block: u32, text: &'static str) -> Event<'static> {
    Event::Delta { block, delta: Delta::Text(text.into()) }
}

fn arguments(block: u32, text: &'static str) -> Event<'static> {
    Event::Delta { block, delta: Delta::Arguments(text.into()) }
}

fn close(block: u32) -> Event<'static> {
    Event::Close { block }
}

fn finish(reason: FinishReason<'static>) -> Event<'static> {
    Event::Finish { choice: 0, reason, stop_sequence: None }
}

fn written(events: &[Event<'_>]) -> Vec<String> {
    data(&encoded(events, AnswerOptions::default()).0)
}

/// The events but the first and the last two.
fn middle(events: &[Event<'_>]) -> Vec<String> {
    let all = written(events);
    all[1..all.len() - 2].to_vec()
}

fn stop_reason(events: &[Event<'_>]) -> String {
    let all = written(events);
    let delta = &all[all.len() - 2];
    delta.split(r#""stop_reason":""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn oa_01_oa_02_one_message_start_with_counts() {
    let all = written(&[start(), start(), finish(FinishReason::Stop)]);
    assert_eq!(
        all[0],
        r#"{"type":"message_start","message":{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}"#
    );
    assert_eq!(all.len(), 3);
}

#[test]
fn an_answer_without_an_id_gets_one_from_the_call() {
    let all = written(&[Event::Start { id: None, model: None, created: None }, finish(FinishReason::Stop)]);
    assert!(all[0].contains(r#""id":"msg_01KTEST""#) && all[0].contains(r#""model":"some-model""#));
}

#[test]
fn oa_03_oa_04_oa_08_thinking_then_text() {
    let all = middle(&[
        start(),
        open(0, Opening::Reasoning),
        text(0, "Hm."),
        close(0),
        open(1, Opening::Text),
        text(1, "Hi "),
        text(1, "there"),
        close(1),
        finish(FinishReason::Stop),
    ]);
    assert_eq!(
        all,
        [
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi "}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"there"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
        ]
    );
}

#[test]
fn oa_05_oa_06_no_empty_text_block() {
    let all = middle(&[
        start(),
        open(0, Opening::Text),
        text(0, ""),
        call(1, "call_1", "f"),
        arguments(1, "{}"),
        close(1),
        close(0),
        finish(FinishReason::ToolCalls),
    ]);
    assert_eq!(
        all,
        [
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ]
    );
}

#[test]
fn oa_07_oa_09_calls_one_after_the_other() {
    let all = middle(&[
        start(),
        call(0, "a", "f"),
        arguments(0, r#"{"x":1}"#),
        close(0),
        call(1, "b", "g"),
        arguments(1, r#"{"y":2}"#),
        close(1),
        finish(FinishReason::ToolCalls),
    ]);
    let kinds: Vec<_> = all.iter().map(|event| event.split('"').nth(3).unwrap()).collect();
    let one = ["content_block_start", "content_block_delta", "content_block_stop"];
    assert_eq!(kinds, [one, one].concat());
}

#[test]
fn oa_10_interleaved_calls_are_put_in_a_row() {
    let all = middle(&[
        start(),
        call(0, "a", "f"),
        call(1, "b", "g"),
        arguments(0, "{\"x\""),
        arguments(1, "{\"y\""),
        arguments(0, ":1}"),
        arguments(1, ":2}"),
        close(1),
        close(0),
        finish(FinishReason::ToolCalls),
    ]);
    assert_eq!(
        all,
        [
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"y\":2}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
        ]
    );
}

#[test]
fn blocks_left_open_are_closed_in_order() {
    let all = middle(&[
        start(),
        open(0, Opening::Text),
        text(0, "a"),
        call(1, "b", "g"),
        arguments(1, "{}"),
        open(2, Opening::Text),
        finish(FinishReason::ToolCalls),
    ]);
    assert_eq!(all.iter().filter(|event| event.contains("content_block_stop")).count(), 2);
}

#[test]
fn oa_11_oa_12_oa_23_the_reason_agrees_with_what_was_told() {
    let called = |reason| stop_reason(&[start(), call(0, "a", "f"), close(0), finish(reason)]);
    assert_eq!(called(FinishReason::ToolCalls), "tool_use");
    assert_eq!(called(FinishReason::Stop), "tool_use");
    assert_eq!(called(FinishReason::Length), "max_tokens");
    let plain = |reason| stop_reason(&[start(), open(0, Opening::Text), text(0, "x"), close(0), finish(reason)]);
    assert_eq!(plain(FinishReason::Stop), "end_turn");
    assert_eq!(plain(FinishReason::ToolCalls), "end_turn");
    assert_eq!(plain(FinishReason::Length), "max_tokens");
    assert_eq!(plain(FinishReason::ContentFilter), "refusal");
    assert_eq!(plain(FinishReason::Pause), "pause_turn");
    assert_eq!(plain(FinishReason::ContextWindow), "model_context_window_exceeded");
    assert_eq!(stop_reason(&[start(), open(0, Opening::Refusal), text(0, "No."), close(0), finish(FinishReason::Stop)]), "refusal");
    let sequence = Event::Finish { choice: 0, reason: FinishReason::Stop, stop_sequence: Some("END".into()) };
    let all = written(&[start(), sequence]);
    assert!(all[1].contains(r#""stop_reason":"stop_sequence","stop_sequence":"END""#));
}

#[test]
fn oa_13_oa_14_usage_is_told_once_at_the_end() {
    let usage = Usage { input: 200, cache_read: 800, output: 31, reasoning: 9, ..Usage::default() };
    let all = written(&[start(), Event::Usage(Usage { output: 1, ..usage }), finish(FinishReason::Stop), Event::Usage(usage)]);
    assert_eq!(
        all[1],
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":200,"cache_creation_input_tokens":0,"cache_read_input_tokens":800,"output_tokens":31,"output_tokens_details":{"thinking_tokens":9}}}"#
    );
}

#[test]
fn oa_19_ids_conform_and_differ() {
    let all = middle(&[start(), call(0, "call:1", "f"), close(0), call(1, "call.1", "f"), close(1), finish(FinishReason::ToolCalls)]);
    let ids: Vec<_> = all.iter().filter_map(|event| event.split(r#""id":""#).nth(1)).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))));
}

#[test]
fn foreign_tokens_citations_choices_and_probabilities_are_reported() {
    let (text, losses) = encoded(
        &[
            start(),
            open(0, Opening::Reasoning),
            text(0, "Hm."),
            Event::Delta { block: 0, delta: Delta::Signature { signature: "x".into(), issuer: "openai".into() } },
            close(0),
            open(1, Opening::Redacted { data: "x".into(), issuer: "openai".into() }),
            close(1),
            open(2, Opening::Text),
            text(2, "Hi"),
            Event::Delta { block: 2, delta: Delta::Citation { dialect: "openai-chat", raw: "{}".into() } },
            close(2),
            Event::Open { block: 3, choice: 1, opening: Opening::Text },
            Event::Delta { block: 3, delta: Delta::Text("other".into()) },
            Event::Close { block: 3 },
            open(4, Opening::Unknown { kind: "video".into(), raw: "{}".into() }),
            close(4),
            Event::Logprobs { choice: 0, refusal: false, elements: "{}".into() },
            Event::Fingerprint("fp".into()),
            Event::ServiceTier("flex".into()),
            Event::Unknown { kind: "x".into(), raw: "1".into() },
            finish(FinishReason::Other("odd".into())),
            Event::Finish { choice: 1, reason: FinishReason::Stop, stop_sequence: None },
        ],
        AnswerOptions::default(),
    );
    assert!(!text.contains("other") && !text.contains("signature_delta") && !text.contains("redacted"));
    assert_eq!(
        losses,
        [
            "anthropic.answer.reasoning_token",
            "anthropic.answer.citation",
            "anthropic.answer.choices",
            "anthropic.answer.block",
            "anthropic.answer.logprobs",
            "anthropic.answer.fingerprint",
            "anthropic.answer.service_tier",
            "anthropic.answer.member",
            "anthropic.answer.finish_reason",
        ]
    );
}

#[test]
fn anthropics_own_tokens_and_blocks_pass() {
    let all = middle(&[
        start(),
        open(0, Opening::Reasoning),
        Event::Delta { block: 0, delta: Delta::Signature { signature: "c2ln".into(), issuer: "anthropic".into() } },
        close(0),
        open(1, Opening::Redacted { data: "aGk".into(), issuer: "anthropic".into() }),
        close(1),
        open(
            2,
            Opening::Unknown {
                kind: "server_tool_use".into(),
                raw: r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#.into(),
            },
        ),
        arguments(2, r#"{"query":"x"}"#),
        close(2),
        finish(FinishReason::Stop),
    ]);
    assert!(all[1].contains("signature_delta"));
    assert!(all[3].contains(r#"{"type":"redacted_thinking","data":"aGk"}"#));
    assert!(all[5].contains("server_tool_use") && all[6].contains("input_json_delta"));
}

#[test]
fn notes_stand_in_the_message_and_in_the_usage() {
    let usage = Usage { input: 2, output: 3, ..Usage::default() };
    let all = data(&encoded(&[start(), finish(FinishReason::Stop), Event::Usage(usage)], noted()).0);
    assert!(all[0].ends_with(r#","provider":"claude-shop","native_response_id":"chatcmpl-1"}}"#));
    assert!(all[1].ends_with(r#","output_tokens":3,"cost":{"total_nanos":5}},"meta":{"provider_model":"gpt-x"}}"#));
}

/// What may happen to one of a few blocks.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open(u32, u8),
    Grow(u32, &'static str),
    Sign(u32),
    Close(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let block = 0u32..5;
    prop_oneof![
        3 => (block.clone(), 0u8..5).prop_map(|(block, kind)| Step::Open(block, kind)),
        6 => (block.clone(), prop_oneof![Just(""), Just("a"), Just("\"\n"), Just("ö😀")]).prop_map(|(block, text)| Step::Grow(block, text)),
        1 => block.clone().prop_map(Step::Sign),
        2 => block.prop_map(Step::Close),
    ]
}

/// A sound sequence of events: blocks are opened once, grow by their own deltas, and are closed once or never.
fn told(steps: Vec<Step>) -> Vec<Event<'static>> {
    let mut kinds = [None; 5];
    let mut told = vec![start()];
    for step in steps {
        match step {
            Step::Open(block, kind) if kinds[block as usize].is_none() => {
                kinds[block as usize] = Some((kind, true));
                told.push(match kind {
                    0 => open(block, Opening::Text),
                    1 => open(block, Opening::Reasoning),
                    2 => call(block, ["a", "b", "c", "d", "e"][block as usize], "f"),
                    3 => open(block, Opening::Redacted { data: "x".into(), issuer: "anthropic".into() }),
                    _ => open(block, Opening::Refusal),
                });
            }
            Step::Grow(block, more) => match kinds[block as usize] {
                Some((0 | 1 | 4, true)) => told.push(text(block, more)),
                Some((2, true)) => told.push(arguments(block, more)),
                _ => {}
            },
            Step::Sign(block) if kinds[block as usize] == Some((1, true)) => {
                told.push(Event::Delta { block, delta: Delta::Signature { signature: "s".into(), issuer: "anthropic".into() } });
            }
            Step::Close(block) => {
                if let Some((kind, true)) = kinds[block as usize] {
                    kinds[block as usize] = Some((kind, false));
                    told.push(close(block));
                }
            }
            _ => {}
        }
    }
    told.push(finish(FinishReason::Length));
    told
}

/// What a block says, whatever it is called and in whatever order it came.
fn said(answer: Answer<'_>) -> Vec<String> {
    let blocks = answer.choices.into_iter().flat_map(|choice| choice.blocks);
    let mut said: Vec<String> = blocks
        .filter_map(|block| match block {
            AnswerBlock::Text { text, .. } | AnswerBlock::Refusal(text) => (!text.is_empty()).then(|| format!("text {text}")),
            AnswerBlock::Reasoning(it) if it.redacted.is_some() => Some("redacted".to_owned()),
            AnswerBlock::Reasoning(it) => {
                let signature = it.signature.unwrap_or_default();
                (!it.text.is_empty() || !signature.is_empty()).then(|| format!("thought {} {signature}", it.text))
            }
            AnswerBlock::ToolCall { id, arguments, .. } => {
                Some(format!("call {id} {}", if arguments.is_empty() { "{}" } else { &arguments }))
            }
            _ => None,
        })
        .collect();
    said.sort();
    said
}

proptest! {
    #[test]
    fn whatever_is_told_is_written_by_the_rules_and_read_back(steps in prop::collection::vec(step(), 0..40)) {
        let told = told(steps);
        let (text, _) = encoded(&told, AnswerOptions::default());
        let (read, end) = events(&text, &Exchange::default());
        prop_assert_eq!(end, Ok(End::Complete));
        prop_assert_eq!(said(Answer::fold(told)), said(Answer::fold(read)));
    }
}
