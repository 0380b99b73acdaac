//! What a call must have used where nobody said.

use memchr::{memchr, memmem};

use crate::{
    dialect::{Seen, Usage},
    stage::{CallFacts, Operation, Payload},
};

/// Bytes of text that make a token, on average over languages and code.
const BYTES_PER_TOKEN: u64 = 4;
/// What an attached image or document counts, whatever its size.
const ATTACHMENT_TOKENS: u64 = 1_000;
/// Smaller payloads are not searched for attachments: the search would cost more than the error.
const SEARCHED_FROM: usize = 128 * 1024;
/// A string that follows `base64` and is longer than this is an attachment.
const ATTACHMENT_BYTES: usize = 1024;

/// About how many input tokens a payload is: four bytes each, attachments at a flat count.
pub(super) fn prompt_tokens(payload: &Payload) -> u64 {
    let Some(bytes) = payload.whole() else { return 0 };
    let (mut text, mut attachments) = (bytes.len(), 0);
    if bytes.len() >= SEARCHED_FROM {
        let mut rest = &bytes[..];
        while let Some(at) = memmem::find(rest, b"base64") {
            rest = rest.get(at + b"base64".len()..).unwrap_or_default();
            // In a data URL the data follows at once; in an object of Anthropic's, a few strings later.
            for _ in 0..16 {
                let length = memchr(b'"', rest).unwrap_or(rest.len());
                rest = rest.get(length + 1..).unwrap_or_default();
                if length > ATTACHMENT_BYTES {
                    (text, attachments) = (text - length, attachments + 1);
                    break;
                }
            }
        }
    }
    text as u64 / BYTES_PER_TOKEN + attachments * ATTACHMENT_TOKENS
}

/// What an attempt that was sent must have used, by what came back.
pub(super) fn usage(call: &CallFacts, prompt_tokens: u64, seen: &Seen) -> Usage {
    let none = Usage::default();
    match call.operation {
        Operation::Chat => Usage { input: prompt_tokens, output: output_tokens(seen), ..none },
        Operation::Embeddings => Usage { input: prompt_tokens, ..none },
        Operation::Images => Usage { images: seen.images.max(1), ..none },
        Operation::Moderations => Usage { requests: 1, ..none },
    }
}

/// About how many output tokens came.
pub(super) fn output_tokens(seen: &Seen) -> u64 {
    seen.output_bytes.div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: String) -> u64 {
        prompt_tokens(&Payload::Whole(text.into()))
    }

    #[test]
    fn four_bytes_are_a_token() {
        assert_eq!(tokens("x".repeat(400)), 100);
    }

    #[test]
    fn an_attachment_counts_the_same_whatever_its_size() {
        let data = "A".repeat(1 << 20);
        let url = format!(r#"{{"image_url":{{"url":"data:image/png;base64,{data}"}},"text":"hello"}}"#);
        let object = format!(r#"{{"source":{{"type":"base64","media_type":"image/png","data":"{data}"}},"text":"hello"}}"#);
        for payload in [url, object] {
            assert!((1_000..1_050).contains(&tokens(payload.clone())), "{}", tokens(payload));
        }
    }

    #[test]
    fn a_word_at_the_very_end_is_no_attachment() {
        assert_eq!(tokens(format!("{}base64", " ".repeat(1 << 20))), (1 << 18) + 1);
    }
}
