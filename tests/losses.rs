//! The documents that are made of the loss table say what the table says. `UPDATE_DOCS=1` rewrites them.

use std::{fmt::Write, fs, path::Path};

use portcullis::dialect::{ALL, Dialect, Fate, Loss, Side, loss};

fn concerns(loss: &Loss, from: &dyn Dialect, to: &dyn Dialect) -> bool {
    loss.to == to.name() && (loss.from.is_empty() || loss.from.contains(&from.name()))
}

/// What a cell loses: the request on its way to the provider, the answer on its way to the caller.
fn cell(caller: &dyn Dialect, provider: &dyn Dialect) -> Vec<&'static Loss> {
    let on_the_way = |loss: &&Loss| match loss.side {
        Side::Request => concerns(loss, caller, provider),
        Side::Answer => concerns(loss, provider, caller),
    };
    loss::table().filter(on_the_way).collect()
}

/// One line of a cell for people.
fn summary(caller: &dyn Dialect, provider: &dyn Dialect) -> String {
    if caller.name() == provider.name() {
        return "untouched".into();
    }
    let cell = cell(caller, provider);
    let count = |fate| cell.iter().filter(|loss| loss.fate == fate).count();
    let fates = [Fate::Approximated, Fate::Renamed, Fate::Dropped, Fate::Refused];
    let counts = fates.iter().filter(|fate| count(**fate) > 0).map(|fate| format!("{} {fate}", count(*fate)));
    format!("translated: {}", counts.collect::<Vec<_>>().join(", "))
}

fn matrix() -> String {
    let mut text = String::from("| caller speaks | ");
    ALL.iter().for_each(|provider| write!(text, "provider speaks {} | ", provider.title()).unwrap());
    text.push_str("\n| --- |");
    ALL.iter().for_each(|_| text.push_str(" --- |"));
    for caller in ALL {
        write!(text, "\n| {} |", caller.title()).unwrap();
        ALL.iter().for_each(|provider| write!(text, " {} |", summary(*caller, *provider)).unwrap());
    }
    text.push_str("\n\nThe numbers are entries of the [loss table](LOSSES.md).\n");
    text.replace("| \n", "|\n")
}

fn losses() -> String {
    let mut text = String::from(
        "# What translation loses\n\nGenerated from the loss table in the code. `approximated`: carried with a changed value; `renamed`: carried under another\nname that the answer maps back; `dropped`: not carried, and reported; `refused`: a 400, since leaving it out would\nchange what the request means. In strict mode every entry of a request is refused.\n",
    );
    for caller in ALL {
        for provider in ALL.iter().filter(|provider| provider.name() != caller.name()) {
            write!(
                text,
                "\n## {} in, {} out\n\n| on the way | what | becomes | why |\n| --- | --- | --- | --- |\n",
                caller.title(),
                provider.title()
            )
            .unwrap();
            for loss in cell(*caller, *provider) {
                let side = if loss.side == Side::Request { "request" } else { "answer" };
                writeln!(text, "| {side} | {} | {} | {} |", loss.what.replace('|', "\\|"), loss.fate, loss.why.replace('|', "\\|"))
                    .unwrap();
            }
        }
    }
    text
}

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(path, expected).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), expected, "{name} is not what the table says: UPDATE_DOCS=1 rewrites it");
}

#[test]
fn the_loss_table_is_documented() {
    check("LOSSES.md", &losses());
}

#[test]
fn the_readme_has_the_matrix() {
    const BEGIN: &str = "<!-- matrix: generated, see tests/losses.rs -->\n";
    const END: &str = "<!-- /matrix -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the matrix begins");
    let (_, after) = rest.split_once(END).expect("the matrix ends");
    check("README.md", &format!("{before}{BEGIN}{}{END}{after}", matrix()));
}

/// An entry that no case meets may as well be wrong: each stands in the `losses.txt` of some fixture.
#[test]
fn every_entry_is_met_by_a_fixture() {
    fn collect(folder: &Path, met: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("the fixtures are there").map(|entry| entry.expect("readable").path()) {
            if entry.is_dir() {
                collect(&entry, met);
            } else if entry.ends_with("losses.txt") {
                let told = fs::read_to_string(&entry).expect("readable");
                met.extend(told.lines().filter_map(|line| line.split(' ').next_back()).map(str::to_owned));
            }
        }
    }
    let mut met = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut met);
    let unmet: Vec<_> = loss::table().map(|loss| loss.id).filter(|id| !met.iter().any(|met| met == id)).collect();
    assert!(unmet.is_empty(), "no fixture meets {unmet:?}");
    let unknown: Vec<_> = met.iter().filter(|id| !loss::table().any(|loss| loss.id == **id)).collect();
    assert!(unknown.is_empty(), "the table has no {unknown:?}");
}
