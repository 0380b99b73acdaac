//! The laws of translation, as functions that panic when one is broken.
//!
//! Property tests (`tests/laws.rs`), committed seeds (`tests/seeds.rs`) and fuzz targets (`fuzz/`) all call these. Each
//! takes plain bytes and says whether they were sound input, so that a generator or a corpus that only ever produces
//! refusals is noticed.

pub mod cell;
pub mod decoder;
pub mod fault;
pub mod framing;
pub mod key;
pub mod request;
pub mod scan;
pub mod splice;

use portcullis::dialect::{Dialect, named, scan::Members};

/// What a law made of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Sound, and the law held.
    Accepted,
    /// Refused with an error, as it should be.
    Refused,
}

/// A law on an input.
pub type Law = fn(&[u8]) -> Outcome;

/// Each fuzz target: its name, and its law.
pub static TARGETS: &[(&str, Law)] = &[
    ("cell_anthropic_anthropic", |answer| cell::law(dialect(MESSAGES), dialect(MESSAGES), answer)),
    ("cell_anthropic_openai_chat", |answer| cell::law(dialect(MESSAGES), dialect(CHAT), answer)),
    ("cell_openai_chat_anthropic", |answer| cell::law(dialect(CHAT), dialect(MESSAGES), answer)),
    ("cell_openai_chat_openai_chat", |answer| cell::law(dialect(CHAT), dialect(CHAT), answer)),
    ("decoder_anthropic", |answer| decoder::law(dialect(MESSAGES), answer)),
    ("decoder_openai_chat", |answer| decoder::law(dialect(CHAT), answer)),
    ("fault", fault::law),
    ("framing", framing::law),
    ("key", key::law),
    ("request", request::any),
    ("scan", scan::law),
    ("splice", splice::law),
];

/// The law of a target.
pub fn law(target: &str) -> Law {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    found.unwrap_or_else(|| panic!("no target is called {target}")).1
}

pub const CHAT: &str = "openai-chat";
pub const MESSAGES: &str = "anthropic-messages";

pub fn dialect(name: &str) -> &'static dyn Dialect {
    named(name).unwrap_or_else(|| panic!("no dialect is called {name}"))
}

/// Lengths of chunks, used over and over, that an input itself names: files stay plain, and a fuzzer still reaches
/// every cut.
pub fn cuts_of(input: &[u8]) -> Vec<usize> {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let most = [1, 3, 16, 200][(hash >> 60) as usize % 4];
    (0..5).map(|turn| 1 + (hash >> (turn * 11)) as usize % most).collect()
}

/// `input` in chunks of these lengths, over and over; in one if there are none.
pub fn chunks<'i>(input: &'i [u8], cuts: &[usize]) -> Vec<&'i [u8]> {
    let mut rest = input;
    let mut chunks = Vec::new();
    for cut in cuts.iter().cycle() {
        if rest.len() <= *cut {
            break;
        }
        let (chunk, more) = rest.split_at((*cut).max(1));
        chunks.push(chunk);
        rest = more;
    }
    chunks.push(rest);
    chunks
}

/// Asserts that `text` is one JSON object.
#[track_caller]
pub fn assert_object(text: &[u8], whose: &str) {
    let scanned = Members::scan(text);
    assert!(scanned.is_ok(), "{whose} wrote no JSON object ({scanned:?}): {}", String::from_utf8_lossy(text));
}
