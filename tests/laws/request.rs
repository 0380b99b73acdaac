//! A request that is taken is written soundly for every provider, and what was written reads back as the same.

use bytes::{Bytes, BytesMut};
use portcullis::dialect::{
    ALL, Capabilities, Dialect, Edits, LengthMember, Losses, ReasoningStyle, Sampling, StructuredOutput, Target, scan::Members,
};
use serde_json::Value;

use super::{Outcome, assert_object};

/// Any caller's request.
pub fn any(body: &[u8]) -> Outcome {
    let taken = ALL.iter().filter(|caller| law(**caller, body) == Outcome::Accepted).count();
    if taken > 0 { Outcome::Accepted } else { Outcome::Refused }
}

/// A request in the words of `caller`.
pub fn law(caller: &'static dyn Dialect, body: &[u8]) -> Outcome {
    let Ok(members) = Members::scan(body) else { return Outcome::Refused };
    let text = std::str::from_utf8(body).expect("scanned");
    if members.repeated(body, &["model", "stream"]).is_some() {
        return Outcome::Refused;
    }
    for capabilities in capabilities() {
        patched(caller, body, &members, &target(&capabilities));
    }
    let mut losses = Losses::default();
    let request = match caller.decode_request(text, &mut losses) {
        Ok(request) => request,
        Err(details) => {
            assert!(!details.is_empty(), "{} refuses and does not say why: {text}", caller.name());
            details.iter().for_each(|detail| pointer(&detail.path));
            return Outcome::Refused;
        }
    };
    for &provider in ALL {
        for capabilities in capabilities() {
            let target = target(&capabilities);
            let (mut out, mut losses) = (BytesMut::new(), losses.clone());
            match provider.encode_request(&request, &target, &mut out, &mut losses) {
                Ok(_) => written(provider, &target, &out),
                Err(details) => {
                    assert!(!details.is_empty(), "{} refuses and does not say why: {text}", provider.name());
                    details.iter().for_each(|detail| pointer(&detail.path));
                }
            }
            for lost in losses.iter() {
                pointer(&lost.path);
                let ours = provider.losses().iter().chain(caller.losses()).any(|loss| loss.id == lost.loss.id);
                assert!(ours, "{} is in no table", lost.loss.id);
            }
        }
    }
    Outcome::Accepted
}

/// What was written is sound, asks for the target's model, and reads back as what it says: read and written again it
/// settles at once.
fn written(provider: &'static dyn Dialect, target: &Target<'_>, out: &[u8]) {
    assert_object(out, provider.name());
    let text = std::str::from_utf8(out).expect("scanned");
    let members = Members::scan(out).expect("scanned");
    for member in &members {
        let name: String = serde_json::from_str(&text[member.name.clone()]).expect("scanned");
        assert!(members.repeated(out, &[&name]).is_none(), "`{name}` is written twice: {text}");
    }
    assert_eq!(model(out), target.model, "{text}");
    let second = again(provider, target, text);
    let third = again(provider, target, &second);
    assert_eq!(second, third, "{} does not settle: {text}", provider.name());
    // Neighbours may have become one message, a file have got a name: but nothing is said less or in another order. What
    // is only carried may be JSON and yet no Unicode text (`\ud800`): that cannot be compared.
    let (Some(before), Some(after)) = (said(text), said(&second)) else { return };
    let mut rest = after.iter();
    assert!(
        before.iter().all(|said| rest.any(|other| other == said)),
        "{} writes what it read differently:\n{text}\n{second}",
        provider.name()
    );
}

/// `text` read and written once more.
fn again(provider: &'static dyn Dialect, target: &Target<'_>, text: &str) -> String {
    let request = provider.decode_request(text, &mut Losses::default());
    let request = request.unwrap_or_else(|details| panic!("{} refuses what it wrote ({details:?}): {text}", provider.name()));
    let mut out = BytesMut::new();
    let encoded = provider.encode_request(&request, target, &mut out, &mut Losses::default());
    assert!(encoded.is_ok(), "{} refuses what it wrote ({encoded:?}): {text}", provider.name());
    String::from_utf8(out.to_vec()).expect("JSON")
}

/// All that a request says, in order: its strings and numbers, but the words that only make up its frame. `None` if it is
/// beyond [`Value`].
fn said(text: &str) -> Option<Vec<String>> {
    fn collect(value: &Value, said: &mut Vec<String>) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| collect(value, said)),
            Value::Object(members) => {
                let words = members.iter().filter(|(name, _)| !matches!(name.as_str(), "role" | "type"));
                words.for_each(|(_, value)| collect(value, said));
            }
            Value::Null => {}
            Value::String(text) => said.push(text.clone()),
            other => said.push(other.to_string()),
        }
    }
    let mut list = Vec::new();
    collect(&serde_json::from_str(text).ok()?, &mut list);
    Some(list)
}

/// A patched request is the caller's own but for the model and the members that a patch may touch.
fn patched(caller: &'static dyn Dialect, body: &[u8], members: &Members, target: &Target<'_>) {
    let body = Bytes::copy_from_slice(body);
    let mut edits = Edits::default();
    caller.patch_request(&body, members, target, &mut edits);
    let out = edits.apply(&body).concat();
    assert_object(&out, caller.name());
    let after = Members::scan(&out).expect("scanned");
    if members.find(&body, "model").is_some() {
        assert_eq!(model(&out), target.model, "{}", String::from_utf8_lossy(&out));
    }
    for name in ["models", "provider", "session_id", "meta"] {
        assert!(after.find(&out, name).is_none(), "`{name}` goes up: {}", String::from_utf8_lossy(&out));
    }
    let texts = |of: &Members, body: &[u8]| -> Vec<(String, Vec<u8>)> {
        let texts =
            of.iter().map(|member| (String::from_utf8_lossy(&body[member.name.clone()]).into_owned(), body[member.value.clone()].to_vec()));
        texts.collect()
    };
    let before = texts(members, &body);
    for (name, value) in texts(&after, &out) {
        let touched =
            ["\"model\"", "\"stream_options\"", "\"max_tokens\"", "\"max_completion_tokens\"", "\"messages\""].contains(&name.as_str());
        assert!(
            touched || name.contains('\\') || before.contains(&(name.clone(), value)),
            "{name} is changed: {}",
            String::from_utf8_lossy(&out)
        );
    }
}

fn model(body: &[u8]) -> String {
    let members = Members::scan(body).expect("scanned");
    let model = members.find(body, "model").map(|model| serde_json::from_slice(&body[model.value.clone()]));
    match model {
        Some(Ok(Value::String(model))) => model,
        other => panic!("no model ({other:?}): {}", String::from_utf8_lossy(body)),
    }
}

/// Asserts that `path` is a JSON Pointer.
fn pointer(path: &str) {
    assert!(path.is_empty() || path.starts_with('/'), "{path:?} is no JSON Pointer");
}

fn target(capabilities: &Capabilities) -> Target<'_> {
    Target { model: "a-model", issuer: "anthropic", capabilities, want_usage: true }
}

/// What a provider's model may be like: everything, little, and in between.
fn capabilities() -> [Capabilities; 3] {
    let all = Capabilities::default();
    let little = Capabilities {
        length: LengthMember::MaxTokens,
        reasoning: ReasoningStyle::None,
        sampling: Sampling::OneOf,
        max_temperature_tenths: 10,
        structured_output: StructuredOutput::Emulated,
        strict_tools: false,
        stream_usage: false,
        developer_role: false,
        ..all.clone()
    };
    let between = Capabilities {
        length: LengthMember::MaxCompletionTokens,
        reasoning: ReasoningStyle::Budget,
        sampling: Sampling::Fixed,
        structured_output: StructuredOutput::JsonObject,
        ..all.clone()
    };
    [all, little, between]
}
