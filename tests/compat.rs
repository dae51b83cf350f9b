//! docs/compat.md names a test for each row of the contract and each difference, SECURITY.md for each threat: every one of
//! them exists, and so does every file that is named beside them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

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
    let root = Path::new(ROOT);
    let mut files = Vec::new();
    for dir in ["src", "tests", "api/src", "api/tests", "fuzz/targets"] {
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

/// Rows, and what the last cell of each has in backticks, of the tables whose last column is called this.
fn named<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut out = Vec::new();
    let mut of_tests = false;
    for line in page.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            of_tests &= line.starts_with('|');
            continue;
        };
        let last = cells.rsplit(" | ").next().unwrap_or_default();
        if last == heading {
            of_tests = true;
        } else if of_tests && !last.starts_with("---") {
            out.push((cells, last.split('`').skip(1).step_by(2).collect()));
        }
    }
    out
}

/// Every row of these tables names a test, and whatever is named exists: a test, or a file or folder (its name has a dot or a
/// slash).
fn shown(page: &str, heading: &str, least: usize) {
    let page = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let (rows, tests) = (named(&page, heading), tests());
    assert!(rows.len() >= least, "only {} rows were found", rows.len());
    for (row, names) in rows {
        let (files, functions): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains(['/', '.']));
        assert!(!functions.is_empty(), "no test is named: {row}");
        for name in functions {
            assert!(tests.contains(name), "{name} does not exist, named by: {row}");
        }
        for file in files {
            assert!(Path::new(ROOT).join(file).exists(), "{file} does not exist, named by: {row}");
        }
    }
}

#[test]
fn every_row_of_the_contract_and_every_difference_has_a_test_that_exists() {
    shown("docs/compat.md", "test", 75);
}

#[test]
fn every_threat_has_a_test_that_exists() {
    shown("SECURITY.md", "shown by", 19);
}

#[test]
fn every_column_of_tests_is_read_and_a_page_without_one_has_no_rows() {
    let page = "| a | why | test |\n| --- | --- | --- |\n| x |  | `one`, `two` |\n\n| y | `none` |\n";
    assert_eq!(named(page, "test"), [("x |  | `one`, `two`", vec!["one", "two"])]);
    assert!(named(page, "shown by").is_empty());
}
