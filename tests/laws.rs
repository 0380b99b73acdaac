//! The laws, on generated input: mostly sound, sometimes damaged.
//!
//! The same input every time; `LAWS_FACTOR=20 cargo test --test laws` looks twenty times as long, elsewhere each time.

mod generate;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "laws/mod.rs"]
mod laws;

use generate::{answer, damaged, json, key, object, plan, request, stream, string};
use laws::Outcome;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

/// Bytes that a failure prints readably.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Runs `law` on `cases` inputs; gives which part of them was taken.
#[track_caller]
fn check(cases: u32, input: impl Strategy<Value = Vec<u8>>, law: impl Fn(&[u8]) -> Outcome) -> f64 {
    let factor: Option<u32> = std::env::var("LAWS_FACTOR").ok().and_then(|factor| factor.parse().ok());
    let cases = cases * factor.unwrap_or(1);
    let accepted = std::cell::Cell::new(0);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = match factor {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let result = runner.run(&input.prop_map(Bytes), |input| {
        accepted.set(accepted.get() + u32::from(law(&input.0) == Outcome::Accepted));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    f64::from(accepted.get()) / f64::from(cases)
}

/// As [`check`]; most inputs must be taken.
#[track_caller]
fn check_most(cases: u32, input: impl Strategy<Value = Vec<u8>>, law: impl Fn(&[u8]) -> Outcome) {
    let accepted = check(cases, input, law);
    assert!(accepted > 0.5, "only {accepted:.2} of the inputs were sound");
}

#[test]
fn scan_takes_what_a_parser_takes() {
    check_most(800, object(json(4)).prop_map(String::into_bytes), laws::scan::law);
}

#[test]
fn scan_refuses_what_a_parser_refuses() {
    check(1500, damaged(prop_oneof![3 => object(json(3)), 1 => json(2)].prop_map(String::into_bytes)), laws::scan::law);
}

#[test]
fn framing_does_not_depend_on_cuts() {
    check_most(800, stream(), laws::framing::law);
}

#[test]
fn framing_takes_any_bytes() {
    check(800, damaged(stream()), laws::framing::law);
}

#[test]
fn edits_leave_sound_json() {
    let input = plan().prop_map(|(body, plan)| [body.replace(['\r', '\n'], " ").into_bytes(), b"\n".to_vec(), plan].concat());
    check_most(800, input, laws::splice::law);
}

/// Answers of a provider that speaks Chat Completions, streamed and whole.
fn chat_answers() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => answer::script().prop_map(|script| script.chat()), 1 => answer::script().prop_map(|script| script.chat_whole())]
}

/// Answers of a provider that speaks Messages, streamed and whole.
fn messages_answers() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => answer::script().prop_map(|script| script.messages()), 1 => answer::script().prop_map(|script| script.messages_whole())]
}

#[test]
fn decoders_take_plausible_answers() {
    check_most(250, chat_answers(), laws::law("decoder_openai_chat"));
    check_most(250, messages_answers(), laws::law("decoder_anthropic"));
}

#[test]
fn decoders_take_any_bytes() {
    for (target, answers) in [("decoder_openai_chat", chat_answers().boxed()), ("decoder_anthropic", messages_answers().boxed())] {
        check(250, damaged(answers), laws::law(target));
        check(100, damaged(stream()), laws::law(target));
    }
}

#[test]
fn cell_chat_to_chat() {
    check_most(150, chat_answers(), laws::law("cell_openai_chat_openai_chat"));
    check(150, damaged(chat_answers()), laws::law("cell_openai_chat_openai_chat"));
}

#[test]
fn cell_chat_to_messages() {
    check_most(150, chat_answers(), laws::law("cell_openai_chat_anthropic"));
    check(150, damaged(chat_answers()), laws::law("cell_openai_chat_anthropic"));
}

#[test]
fn cell_messages_to_chat() {
    check_most(150, messages_answers(), laws::law("cell_anthropic_openai_chat"));
    check(150, damaged(messages_answers()), laws::law("cell_anthropic_openai_chat"));
}

#[test]
fn cell_messages_to_messages() {
    check_most(150, messages_answers(), laws::law("cell_anthropic_anthropic"));
    check(150, damaged(messages_answers()), laws::law("cell_anthropic_anthropic"));
}

#[test]
fn requests_read_back_as_written() {
    let (chat, messages) = (laws::dialect(laws::CHAT), laws::dialect(laws::MESSAGES));
    check_most(150, request::chat(), |body| laws::request::law(chat, body));
    check_most(150, request::messages(), |body| laws::request::law(messages, body));
    check(150, damaged(request::chat()), laws::request::any);
    check(150, damaged(request::messages()), laws::request::any);
}

#[test]
fn faults_are_rendered_soundly() {
    check(250, object(json(3)).prop_map(String::into_bytes), laws::fault::law);
    check(250, prop::collection::vec(any::<u8>(), 0..60), laws::fault::law);
    let message = (100..600_u16, "[ -~\n\u{0}-\u{1f}ä€😀]{0,30}", string());
    let error = message.prop_map(|(status, text, kind)| {
        let error = serde_json::json!({"type": "error", "error": {"type": text, "message": text, "code": 7, "param": null}});
        format!("{status} 30\n{}", error.to_string().replace("null", &kind)).into_bytes()
    });
    check_most(250, error, laws::fault::law);
}

#[test]
fn f002_keys_have_one_reading() {
    check_most(1000, key(), laws::key::law);
}

#[test]
fn f002_keys_take_any_bytes() {
    check(1500, damaged(key()), laws::key::law);
}
