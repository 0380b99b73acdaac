//! What must not hurt a gateway, as a list, and which tests show that it does not.
//!
//! A test names its cases: `f021_...`, or `f025_f032_...`. A case that no test can name so, since it is a property of
//! many inputs or of a file, names its tests here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// How a case is covered.
enum Shown {
    /// By the tests that carry its number.
    Named,
    /// By these tests.
    By(&'static [&'static str]),
    /// In part: by these tests or those with its number, and this is open.
    Partly(&'static [&'static str], &'static str),
    /// By a check that is no test.
    Outside(&'static str),
    /// Not yet: what it waits for.
    Waits(&'static str),
}

use Shown::{By, Named, Outside, Partly, Waits};

/// Every case, numbered from 1.
const CASES: &[(&str, Shown)] = &[
    ("no credential, or one that is too long or no text", Named),
    ("a credential in another format", Named),
    ("two credentials that differ", Named),
    ("hostile text in credentials", Named),
    ("a key that is changed while it is used", Named),
    ("an old secret within and after its overlap", Named),
    ("an inference key at the doors of administration, and the reverse", Named),
    ("members that nobody may set in a key", Waits("key administration over HTTP")),
    ("another workspace's records and objects", Partly(&[], "files, batches and jobs are not built")),
    ("a model outside the scopes, by any of its names", Named),
    ("the time that a key check takes", Partly(&["wrong_secrets_and_unknown_ids_cost_one_read_too"], "time itself is not measured")),
    ("guessing keys from one address", Waits("request limits")),
    ("paths that are spelled another way", Partly(&["below_a_prefix_and_nowhere_else", "the_table"], "raw requests behind the listener")),
    ("framing that two servers read differently", Waits("a corpus of raw requests, with a proxy in front")),
    ("upgrades and tunnels", Partly(&["f047_a_redirect_is_an_answer_and_an_upgrade_none"], "the caller's side")),
    ("a refusal while the body still arrives", Named),
    (
        "control characters in headers and names",
        Partly(&["only_the_listed_headers_go_up", "f010_scopes_hold_on_what_the_name_resolved_to"], "arbitrary bytes"),
    ),
    ("too many, too long headers and URIs", Named),
    ("a slow head", Named),
    ("a slow body", Named),
    ("a body past the limit, honest and lying", Named),
    ("a body announced with `expect`, and refused", Named),
    ("floods of HTTP/2 frames", Waits("scripts of frames against the listener")),
    ("too many connections", Named),
    ("packed request bodies", Named),
    ("deep nesting", By(&["each_mistake_is_named", "depth_is_counted_from_the_object"])),
    ("repeated control members, escaped ones too", By(&["each_mistake_is_named"])),
    ("text that is not UTF-8", Named),
    ("odd numbers in requests", Partly(&["each_mistake_is_named"], "properties of control members")),
    ("very many messages, very large parts", Partly(&["large_bodies_never_mix"], "that cost grows with size and no faster is for benches")),
    ("what is not known to us", By(&["what_is_unknown_passes_as_unknown"])),
    ("wrong content types", Named),
    ("what another dialect cannot say", Named),
    ("a provider that cannot be connected to", Named),
    ("a resting connection that closes at the race", Named),
    ("a provider that never answers", Named),
    ("a provider that falls silent", Named),
    ("a provider that never ends", Named),
    ("lines and events without end", By(&["limits_hold_and_errors_stick"])),
    ("a stream cut anywhere", By(&["framing_does_not_depend_on_cuts", "f041_the_commit_point_does_not_depend_on_cuts"])),
    ("an error inside a good status", Named),
    ("an answer that breaks off", Named),
    ("a page instead of an answer", Named),
    ("an answer too large, packed, or of another length", Named),
    ("broken binary frames", Waits("Bedrock")),
    ("hostile headers of a provider", Named),
    ("a redirection", Named),
    ("limits of a provider, with and without a time", Named),
    ("every provider down", Named),
    ("everybody at once when a provider returns", Named),
    ("a provider's refusal of our credential", Named),
    ("our credential in a provider's words", Named),
    ("a caller who closes in the middle", Named),
    ("a caller who never reads", Named),
    ("a caller who leaves before the head", Named),
    ("a caller who leaves before the usage", Named),
    ("a future dropped at every await", Named),
    ("a panic anywhere", Named),
    ("a shutdown while streams run", Named),
    ("a process killed at any moment", Named),
    ("power lost at any moment", Waits("a file system that forgets what was not synced")),
    ("a store that is locked, full or gone", Named),
    ("two processes on one store", Named),
    ("older, newer and half-made schemas", Named),
    ("a store that stops answering", Partly(&[], "PostgreSQL")),
    ("one settlement many times", Named),
    ("counters that are lost", Waits("Redis")),
    ("clocks that step", Waits("budget windows")),
    ("a price that is missing or changes", Named),
    ("a budget asked for by many at once", Waits("budgets")),
    ("a reservation that nobody settles", Waits("budgets")),
    ("the largest cost of a call", Waits("budgets")),
    ("odd usage", Named),
    ("one noisy key", Waits("request limits")),
    ("names that callers make up", Named),
    ("answers kept for others", Waits("the cache")),
    ("scripts in names", Waits("the console")),
    ("forged requests to the console", Waits("the console")),
    ("a secret shown again", Partly(&[], "the console")),
    ("questions over a year of records", Waits("analytics")),
    ("secrets anywhere but where they belong", Named),
    ("prompts in logs", Named),
    ("line breaks in logs", Waits("a log format of ours")),
    ("weak secrets and open doors in a configuration", Named),
    ("dependencies with known holes", Outside("`deny.toml`, asked before each change")),
    ("layers in another order", Named),
    ("a day under load", Waits("a machine of its own")),
];

#[test]
fn every_case_is_shown_or_says_what_it_waits_for() {
    let tests = tests();
    let numbered = numbered(&tests);
    let mut counts = [0; 3];
    for (at, (case, shown)) in CASES.iter().enumerate() {
        let number = at + 1;
        let named = numbered.contains_key(&number);
        let all = |names: &[&str]| names.iter().for_each(|name| assert!(tests.contains(*name), "case {number}, {case}: no test `{name}`"));
        let kind = match shown {
            Named => {
                assert!(named, "case {number}, {case}: no test carries its number");
                0
            }
            By(names) => {
                all(names);
                0
            }
            Outside(check) => {
                assert!(!check.is_empty());
                0
            }
            Partly(names, open) => {
                all(names);
                assert!(named || !names.is_empty(), "case {number}, {case}: nothing shows a part");
                assert!(!open.is_empty());
                1
            }
            Waits(what) => {
                assert!(!what.is_empty());
                // A first test may come before the whole.
                if named { 1 } else { 2 }
            }
        };
        counts[kind] += 1;
    }
    let [whole, part, waits] = counts;
    println!("{whole} cases are covered, {part} in part, {waits} wait");
    let last = numbered.keys().last().copied().unwrap_or_default();
    assert!(last <= CASES.len(), "a test carries number {last}; the list ends at {}", CASES.len());
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "benches", "examples"] {
        collect(&root.join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
            names.extend(functions.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned()));
        }
    }
}

/// The tests that carry each number.
fn numbered(tests: &BTreeSet<String>) -> BTreeMap<usize, Vec<&str>> {
    let mut numbered = BTreeMap::<usize, Vec<&str>>::new();
    for name in tests {
        let number = |part: &str| part.strip_prefix('f').filter(|digits| digits.len() == 3)?.parse().ok();
        for number in name.split('_').map_while(number) {
            numbered.entry(number).or_default().push(name);
        }
    }
    numbered
}
