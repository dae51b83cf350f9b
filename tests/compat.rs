//! docs/compat.md names a test for each row of the contract and each difference: every one of them exists.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Names of the functions behind `#[test]` (other attributes may stand between) or in `proptest!`.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "tests", "api/src", "api/tests"] {
        sources(&root.join(dir), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for part in text.split("#[test]").skip(1) {
            let name = part.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name);
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// The last cell of each row of a table whose heading ends with `test`.
fn named(page: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut of_tests = false;
    for line in page.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            of_tests &= line.starts_with('|');
            continue;
        };
        let last = cells.rsplit(" | ").next().unwrap_or_default();
        if last == "test" {
            of_tests = true;
        } else if of_tests && !last.starts_with("---") {
            out.push((cells.to_owned(), last.to_owned()));
        }
    }
    out
}

#[test]
fn every_row_of_the_contract_and_every_difference_has_a_test_that_exists() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compat.md")).unwrap();
    let (rows, tests) = (named(&page), tests());
    assert!(rows.len() > 40, "only {} rows were found", rows.len());
    for (row, cell) in rows {
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test is named: {row}");
        for name in names {
            assert!(tests.contains(name), "{name} does not exist, named by: {row}");
        }
    }
}
