//! The laws, on generated input: mostly sound, sometimes damaged.

#[allow(dead_code, reason = "each test file uses its part")]
#[path = "laws/mod.rs"]
mod laws;

use laws::Outcome;
use proptest::prelude::*;

/// JSON text with white space and escapes of all kinds.
fn json(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        4 => string(),
        2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        1 => prop_oneof!["true", "false", "null"],
    ];
    leaf.prop_recursive(depth, 24, 5, |value| prop_oneof![array(value.clone()), object(value)]).boxed()
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{0,12}",
        1 => "[ -!#-\\[\\]-~]{30,90}",
        2 => prop_oneof![r#"\\""#, r"\\\\", r"\\[/bfnrt]", r"\\u[0-9a-fA-F]{4}"],
        1 => "[ä-ö€-₯一-丂😀-😄]{1,4}",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn array(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (prop::collection::vec(value, 0..5), blank())
        .prop_map(|(values, blank)| format!("[{blank}{}{blank}]", values.join(&format!("{blank},"))))
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (prop::collection::vec((name(), value), 0..6), blank()).prop_map(|(members, blank)| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{blank}{name}{blank}:{value}")).collect();
        format!("{{{}{blank}}}", members.join(&format!("{blank},")))
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => r#""(model|stream|mod\\u0065l|\\u0073tream|usage|a)""#, 1 => string()]
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t ")]
}

/// Some bytes replaced, removed or added.
fn damaged(text: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[]:,0-\r\n \x00\x1f\xff\xc3u".to_vec())];
    (text, prop::collection::vec((any::<prop::sample::Index>(), byte, 0..3_u8), 0..3)).prop_map(|(mut text, damage)| {
        for (at, byte, how) in damage {
            let at = at.index(text.len() + 1);
            match how {
                0 if at < text.len() => text[at] = byte,
                1 if at < text.len() => drop(text.remove(at)),
                _ => text.insert(at, byte),
            }
        }
        text
    })
}

/// A stream of lines with ends of all kinds.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "data: ?[a-zä€😀 :]{0,12}",
        2 => prop_oneof!["data", "event: [a-z]{0,4}", "event", ":[ a-z]{0,9}", "id: 1", "retry: 2", "[a-z]{1,5}", "\u{feff}?data:x"],
        4 => Just(String::new()),
    ];
    let end = prop_oneof![4 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r")];
    prop::collection::vec((line, end), 0..24)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line.into_bytes(), end.as_bytes().to_vec()].concat()).collect())
}

/// A body and what to do to it.
fn plan() -> impl Strategy<Value = (String, Vec<u8>)> {
    (object(json(2)), prop::collection::vec(any::<u8>(), 0..16))
}

/// A key in plain text.
fn key() -> impl Strategy<Value = Vec<u8>> {
    "aistats_v1_(k|sk|mk)_[0-9A-Za-z]{12}_[0-9A-Za-z_]{1,60}".prop_map(String::into_bytes)
}

/// Bytes that a failure prints readably.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Runs `law` on `cases` inputs; gives how many of them were taken.
#[track_caller]
fn check(cases: u32, input: impl Strategy<Value = Vec<u8>>, law: impl Fn(&[u8]) -> Outcome) -> u32 {
    let accepted = std::cell::Cell::new(0);
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&input.prop_map(Bytes), |input| {
        accepted.set(accepted.get() + u32::from(law(&input.0) == Outcome::Accepted));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    accepted.get()
}

/// As [`check`]; most inputs must be taken.
#[track_caller]
fn check_most(cases: u32, input: impl Strategy<Value = Vec<u8>>, law: impl Fn(&[u8]) -> Outcome) {
    let accepted = check(cases, input, law);
    assert!(accepted * 2 > cases, "only {accepted} of {cases} were sound");
}

#[test]
fn scan_takes_what_a_parser_takes() {
    check_most(1500, object(json(4)).prop_map(String::into_bytes), laws::scan::law);
}

#[test]
fn scan_refuses_what_a_parser_refuses() {
    check(3000, damaged(prop_oneof![3 => object(json(3)), 1 => json(2)].prop_map(String::into_bytes)), laws::scan::law);
}

#[test]
fn framing_does_not_depend_on_cuts() {
    check_most(1500, stream(), laws::framing::law);
}

#[test]
fn framing_takes_any_bytes() {
    check(1500, damaged(stream()), laws::framing::law);
}

#[test]
fn edits_leave_sound_json() {
    let input = plan().prop_map(|(body, plan)| [body.replace(['\r', '\n'], " ").into_bytes(), b"\n".to_vec(), plan].concat());
    check_most(1500, input, laws::splice::law);
}

#[test]
fn f002_keys_have_one_reading() {
    check_most(1000, key(), laws::key::law);
}

#[test]
fn f002_keys_take_any_bytes() {
    check(3000, damaged(key()), laws::key::law);
}
