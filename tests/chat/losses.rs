//! Every row of this dialect's loss table is met by a fixture.

use std::{fs, path::Path};

use portcullis::dialect::{Dialect, openai_chat::OpenAiChat};

#[test]
fn every_row_is_reached() {
    let mut met = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut met);
    let unmet: Vec<_> = OpenAiChat.losses().iter().map(|loss| loss.id).filter(|id| !met.lines().any(|line| line.ends_with(id))).collect();
    assert!(unmet.is_empty(), "no fixture meets {unmet:?}");
}

#[test]
fn rows_are_named_once_and_in_order() {
    let ids: Vec<_> = OpenAiChat.losses().iter().map(|loss| loss.id).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    for loss in OpenAiChat.losses() {
        assert!(loss.to == "openai-chat" || loss.from == ["openai-chat"], "{}", loss.id);
        assert!(!loss.what.is_empty() && loss.why.starts_with(|c: char| c.is_lowercase() || !c.is_alphabetic()), "{}", loss.id);
    }
}

fn collect(folder: &Path, met: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, met);
        } else if path.ends_with("losses.txt") {
            met.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
