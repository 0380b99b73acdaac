//! Input for the laws: JSON text, streams of lines, and what callers and providers of each dialect plausibly say.

pub mod answer;
pub mod request;

use proptest::prelude::*;

/// JSON text with white space and escapes of all kinds.
pub fn json(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        4 => string(),
        2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        1 => prop_oneof!["true", "false", "null"],
    ];
    leaf.prop_recursive(depth, 24, 5, |value| prop_oneof![array(value.clone()), object(value)]).boxed()
}

pub fn string() -> impl Strategy<Value = String> {
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

pub fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
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
pub fn damaged(text: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
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
pub fn stream() -> impl Strategy<Value = Vec<u8>> {
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
pub fn plan() -> impl Strategy<Value = (String, Vec<u8>)> {
    (object(json(2)), prop::collection::vec(any::<u8>(), 0..16))
}

/// A key in plain text.
pub fn key() -> impl Strategy<Value = Vec<u8>> {
    "aistats_v1_(k|sk|mk)_[0-9A-Za-z]{12}_[0-9A-Za-z_]{1,60}".prop_map(String::into_bytes)
}
