//! Replays the committed fuzz seeds: every law holds on every seed, and each target takes some of its seeds.

#[path = "laws/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod laws;

use std::{fs, path::PathBuf};

use laws::{Outcome, TARGETS};

#[test]
fn every_target_takes_some_of_its_seeds() {
    for (target, law) in TARGETS {
        let seeds = seeds(target);
        let accepted = seeds.iter().filter(|(_, seed)| law(seed) == Outcome::Accepted).count();
        assert!(accepted > 0, "{target} refuses all of its {} seeds", seeds.len());
    }
}

/// A target that nobody runs, or whose seeds nobody replays, would rot.
#[test]
fn targets_are_the_same_everywhere() {
    let named = |folder: &str| {
        let mut names: Vec<String> = fs::read_dir(fuzz().join(folder))
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").path().file_stem().expect("named").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    targets.sort();
    assert_eq!(named("fuzz_targets"), targets);
    assert_eq!(named("seeds"), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest is there");
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is not in fuzz/Cargo.toml");
    }
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(fuzz().join("seeds").join(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
    entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            let bytes = fs::read(&path).expect("readable");
            (path, bytes)
        })
        .collect()
}

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}
