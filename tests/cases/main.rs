//! What a gateway must get right, as two lists, and which tests show that it does.
//!
//! `faults` lists what must not hurt it, `facts` what peers got wrong between two dialects. A test, or a fixture's
//! folder, bears the ids of its cases: `f021_...`, `f025_f032_...`, `as_05_...`. A case that no test can bear so names its
//! tests in the list. `cargo nextest run --test cases --no-capture` prints who shows what.

mod facts;
mod faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// How a case is covered.
pub enum Shown {
    /// By the tests and fixtures that bear its id.
    Named,
    /// By these, and those with its id.
    By(&'static [&'static str]),
    /// In part: by these or those with its id, and this is open.
    Partly(&'static [&'static str], &'static str),
    /// By a check that is no test.
    Outside(&'static str),
    /// Not yet: what it waits for.
    Waits(&'static str),
}

#[test]
fn every_fault_is_shown_or_says_what_it_waits_for() {
    let proofs = Proofs::collect();
    let mut counts = Counts::default();
    for (at, (case, shown)) in faults::FAULTS.iter().enumerate() {
        counts.count(&proofs, &format!("f{:03}", at + 1), case, shown);
    }
    counts.print("faults");
    let last = proofs.bearing.keys().filter_map(|id| id.strip_prefix('f')).filter_map(|number| number.parse::<usize>().ok()).max();
    assert!(last <= Some(faults::FAULTS.len()), "a test bears f{last:?}; the list ends at {}", faults::FAULTS.len());
}

#[test]
fn every_fact_is_shown_or_says_what_it_waits_for() {
    let proofs = Proofs::collect();
    let mut counts = Counts::default();
    for chapter in facts::FACTS {
        let mut listed: Vec<u32> = chapter.facts.iter().map(|(number, ..)| *number).chain(chapter.vacant.iter().copied()).collect();
        listed.sort_unstable();
        let last = u32::try_from(listed.len()).unwrap();
        assert_eq!(listed, (1..=last).collect::<Vec<_>>(), "{}: numbers without a gap", chapter.prefix);
        assert!(chapter.facts.is_sorted_by_key(|(number, ..)| *number), "{}: in their order", chapter.prefix);
        for (number, fact, shown) in chapter.facts {
            counts.count(&proofs, &format!("{}_{number:02}", chapter.prefix), fact, shown);
        }
        for id in proofs.bearing.keys().filter(|id| id.starts_with(&format!("{}_", chapter.prefix))) {
            let number: u32 = id[3..].parse().unwrap();
            assert!(chapter.facts.iter().any(|(listed, ..)| *listed == number), "{:?} bear {id}, which is not listed", proofs.bearing[id]);
        }
    }
    counts.print("facts");
}

/// How many cases are covered, in part, and wait.
#[derive(Default)]
struct Counts([usize; 3]);

impl Counts {
    /// Checks that `shown` is so, and counts it.
    fn count(&mut self, proofs: &Proofs, id: &str, case: &str, shown: &Shown) {
        let bearing = proofs.bearing.get(id).map(Vec::as_slice).unwrap_or_default();
        let all = |names: &[&str]| names.iter().for_each(|name| assert!(proofs.names.contains(*name), "{id}, {case}: no `{name}`"));
        let (kind, named, note): (_, &[&str], _) = match shown {
            Shown::Named => {
                assert!(!bearing.is_empty(), "{id}, {case}: nothing bears its id");
                (0, &[], "")
            }
            Shown::By(names) => (0, names, ""),
            Shown::Outside(check) => (0, &[], *check),
            Shown::Partly(names, open) => {
                assert!(!bearing.is_empty() || !names.is_empty(), "{id}, {case}: nothing shows a part");
                (1, names, *open)
            }
            // A first test may come before the whole.
            Shown::Waits(what) => (if bearing.is_empty() { 2 } else { 1 }, &[], *what),
        };
        all(named);
        assert_eq!(note.is_empty(), matches!(shown, Shown::Named | Shown::By(_)), "{id}, {case}: says what is open");
        assert!(!matches!(shown, Shown::By(names) if names.is_empty()), "{id}, {case}: by whom?");
        self.0[kind] += 1;
        let shows: BTreeSet<&str> = bearing.iter().map(String::as_str).chain(named.iter().copied()).collect();
        println!("{id} {case}: {}{note}", shows.iter().map(|name| format!("{name} ")).collect::<String>());
    }

    fn print(&self, of: &str) {
        let [whole, part, waits] = self.0;
        println!("{of}: {whole} are covered, {part} in part, {waits} wait");
    }
}

/// Every test and fixture.
#[derive(Default)]
struct Proofs {
    names: BTreeSet<String>,
    /// Those that bear an id.
    bearing: BTreeMap<String, Vec<String>>,
}

impl Proofs {
    fn collect() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut proofs = Self::default();
        for folder in ["src", "tests", "benches", "examples"] {
            proofs.functions(&root.join(folder));
        }
        for cell in entries(&root.join("tests/fixtures")).filter(|path| path.is_dir()) {
            for case in ["requests", "answers"].iter().flat_map(|kind| entries(&cell.join(kind))) {
                proofs.add(case.file_name().unwrap().to_str().unwrap());
            }
        }
        proofs
    }

    fn functions(&mut self, folder: &Path) {
        for path in entries(folder) {
            if path.is_dir() {
                self.functions(&path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let functions = text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
                functions.filter_map(|rest| rest.split_once('(')).for_each(|(name, _)| self.add(name));
            }
        }
    }

    fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        let mut words = name.split('_');
        while let Some(word) = words.next() {
            let id = match (word.strip_prefix('f'), word.len()) {
                (Some(number), 4) if digits(number) => word.to_owned(),
                (_, 2) => match words.next() {
                    Some(number) if number.len() == 2 && digits(number) => format!("{word}_{number}"),
                    _ => break,
                },
                _ => break,
            };
            self.bearing.entry(id).or_default().push(name.to_owned());
        }
    }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path())
}
