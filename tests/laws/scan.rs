//! The scanner agrees with `serde_json` on what is JSON, and its spans are the members.

use portcullis::dialect::scan::{MAX_DEPTH, MAX_MEMBERS, Members, ScanError, elements};
use serde_json::{Value, value::RawValue};

use super::Outcome;

pub fn law(body: &[u8]) -> Outcome {
    let parsed = serde_json::from_slice::<&RawValue>(body);
    let members = match Members::scan(body) {
        Ok(members) => members,
        Err(error) => {
            assert!(error.offset() <= body.len());
            match error {
                ScanError::Syntax { offset } => {
                    assert!(parsed.is_err(), "refused sound JSON at {offset}");
                    // What comes before the named byte is not to blame: it only breaks off. (UTF-8 is looked at last.)
                    let before = Members::scan(&body[..offset]);
                    let breaks_off = matches!(before, Err(ScanError::Syntax { offset: at }) if at == offset);
                    assert!(
                        breaks_off || matches!(before, Ok(_) | Err(ScanError::NoObject)) || std::str::from_utf8(&body[..offset]).is_err()
                    );
                }
                ScanError::NoObject => assert!(!parsed.expect("refused sound JSON").get().starts_with('{')),
                ScanError::Depth { offset } => assert_eq!(depth(&body[..=offset]), MAX_DEPTH + 1),
                ScanError::TooMany { .. } => assert!(body.iter().filter(|&&byte| byte == b':').count() > MAX_MEMBERS),
            }
            return Outcome::Refused;
        }
    };
    let text = parsed.expect("took what is not JSON").get().trim_ascii();
    assert_eq!((body[members.start()], body[members.end()]), (b'{', b'}'));
    assert_eq!(&body[members.start()..=members.end()], text.as_bytes());
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        // Lone surrogates, numbers past all bounds: JSON, but beyond `Value`.
        return Outcome::Accepted;
    };
    for member in &members {
        let name: String = serde_json::from_slice(&body[member.name.clone()]).expect("a span is not a name");
        let value: Value = serde_json::from_slice(&body[member.value.clone()]).expect("a span is not a value");
        assert!(member.is(body, &name), "does not know its own name: {name}");
        let same = members.iter().rfind(|other| other.is(body, &name)).expect("found once");
        if same == member {
            assert_eq!(object[&name], value);
        }
        nested(body, &member.value, &value);
    }
    assert!(object.keys().all(|name| members.find(body, name).is_some()));
    Outcome::Accepted
}

/// Spans inside a value, read leniently, are those of its parts.
fn nested(body: &[u8], at: &std::ops::Range<usize>, value: &Value) {
    let read = |at: std::ops::Range<usize>| serde_json::from_slice::<Value>(&body[at]).expect("a span is not a value");
    let listed: Vec<Value> = elements(body, at).map(read).collect();
    assert_eq!(listed.as_slice(), value.as_array().map_or(&[][..], Vec::as_slice));
    let inner = Members::of(body, at);
    match value {
        Value::Object(object) => {
            assert_eq!(body[inner.end()], b'}');
            assert!(
                inner.iter().all(|member| object.values().any(|value| *value == read(member.value.clone())) || inner.len() > object.len())
            );
        }
        _ => assert!(inner.is_empty()),
    }
}

/// How deep the last bracket is, told by another way of counting.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match (byte, in_string, escaped) {
            (_, true, true) => escaped = false,
            (b'\\', true, _) => escaped = true,
            (b'"', ..) => in_string = !in_string,
            (b'{' | b'[', false, _) => depth += 1,
            (b'}' | b']', false, _) => depth -= 1,
            _ => {}
        }
    }
    depth
}
