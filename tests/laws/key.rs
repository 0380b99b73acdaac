//! Keys: what is read as one is made of exactly its parts, and nobody else's text is.

use portcullis::{
    auth::{KeyFormat, KeyHash, Pepper},
    stage::KeyKind,
};

use super::Outcome;

pub fn law(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused };
    let format = KeyFormat::default();
    let Some(key) = format.parse(text) else { return Outcome::Refused };

    let (kid, secret) = (key.kid(), key.secret());
    let tags: &[&str] = match key.kind() {
        KeyKind::Inference => &["k", "sk"],
        KeyKind::Management => &["mk"],
    };
    assert!(tags.iter().any(|tag| format!("aistats_v1_{tag}_{kid}_{secret}") == text));
    assert!(kid.len() == 12 && kid.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // It can stand in a header, and a list of two never passes for one.
    assert!(secret.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));

    // It has no other reading: not with more around it, not as another host's.
    for other in [format!(" {text}"), format!("{text} "), format!("{text}\n"), format!("{text},{text}"), format!("x{text}")] {
        assert_eq!(format.parse(&other), None);
    }
    assert_eq!(KeyFormat::new("other", "v1").expect("letters and digits").parse(text), None);
    if let Some(longer) = format.parse(&format!("{text}_x")) {
        assert_eq!((longer.kid(), longer.secret().strip_suffix("_x")), (kid, Some(secret)));
    }
    assert_eq!(format!("{key:?}"), format!("ParsedKey({kid}, <redacted>)"));

    let hash = Pepper::new("pepper-for-tests").expect("long enough").hash(secret);
    assert_eq!(hash.to_string().parse::<KeyHash>(), Ok(hash));
    Outcome::Accepted
}
