//! Facts and concurrency on roots captured from real systems, and on the same roots with broken files.
//!
//! `tests/fixtures/roots/NAME.root` is what `tests/fixtures/capture.sh` printed there. New ones are picked up by themselves; review their
//! snapshot with `INSTA_UPDATE=always cargo test --test probe_fixtures` and git diff.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]

use proptest::prelude::*;
use skill_init::{
    cli::commands::probe::table,
    layout::Root,
    plan::concurrency::{Inputs, Policy, concurrency},
    probe::{self, Calls, Facts, UsagePaths},
    settings::{Environment, Settings},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Path on the system and content.
type Files = Vec<(String, Vec<u8>)>;

/// Every captured root by name.
fn roots() -> &'static [(String, Files)] {
    static ROOTS: OnceLock<Vec<(String, Files)>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roots");
        let mut found: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "root"))
            .map(|path| {
                (path.file_stem().unwrap().to_str().unwrap().to_owned(), parse(&fs::read_to_string(path).unwrap()))
            })
            .collect();
        found.sort();
        assert!(found.len() >= 10, "the captured roots are missing: {}", found.len());
        found
    })
}

fn parse(text: &str) -> Files {
    let mut files = Files::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("==> ") {
            files.push((path.to_owned(), Vec::new()));
        } else {
            let (_, content) = files.last_mut().expect("a root begins with ==>");
            content.extend_from_slice(line.as_bytes());
            content.push(b'\n');
        }
    }
    files
}

fn write(dir: &Path, files: &Files) {
    for (path, content) in files {
        put(dir, path, content);
    }
}

fn place(dir: &Path, path: &str) -> PathBuf {
    dir.join(path.strip_prefix('/').unwrap())
}

fn put(dir: &Path, path: &str, content: &[u8]) {
    let path = place(dir, path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn facts(dir: &Path) -> Facts {
    let root = Root::at(dir);
    probe::assemble(&root, &Environment::default(), &Calls::recorded(&root), Vec::new())
}

fn policy() -> Policy {
    Policy::new(&Settings::load(&Environment::default()).unwrap())
}

#[test]
fn every_captured_root_gives_the_facts_of_its_system() {
    for (name, files) in roots() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        let facts = facts(dir.path());
        let plan = concurrency(&Inputs::new(&facts, facts.privileges.uid.value() == Some(&0)), &policy());
        let mut text = table(&facts);
        text.push_str(&format!("\n{}\n", plan.summary()));
        for warning in plan.warnings() {
            text.push_str(&format!("warning: {warning}\n"));
        }
        insta::assert_snapshot!(name.as_str(), text);
    }
}

#[test]
fn one_root_in_full_is_the_documented_json() {
    let (_, files) = roots().iter().find(|(name, _)| name == "v2-6.1-crun").unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&facts(dir.path())).unwrap());
}

#[test]
fn any_single_file_may_be_broken_in_any_way() {
    let damages: [(&str, Option<&[u8]>); 8] = [
        ("missing", None),
        ("empty", Some(b"")),
        ("max", Some(b"max\n")),
        ("minus one", Some(b"-1\n")),
        ("huge number", Some(b"99999999999999999999999999999999999999\n")),
        ("zero", Some(b"0\n")),
        ("binary", Some(b"\xff\xfe\x00max 7:\n\n==")),
        ("long line", Some(&[b'0'; 70_000])),
    ];
    // One of each kind: the others differ in numbers only.
    let kinds = ["hybrid-machine", "docker-v1-limits", "v2-6.1-crun", "v2-6.1-nested"];
    for (name, files) in roots().iter().filter(|(name, _)| kinds.contains(&name.as_str())) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        for (path, content) in files {
            for (damage, broken) in damages {
                match broken {
                    Some(broken) => put(dir.path(), path, broken),
                    None => fs::remove_file(place(dir.path(), path)).unwrap(),
                }
                survives(dir.path(), &format!("{name}: {path} {damage}"));
            }
            // A folder where a file should be.
            fs::remove_file(place(dir.path(), path)).unwrap();
            fs::create_dir(place(dir.path(), path)).unwrap();
            survives(dir.path(), &format!("{name}: {path} is a folder"));
            fs::remove_dir(place(dir.path(), path)).unwrap();
            put(dir.path(), path, content);
        }
    }
}

/// Facts, usage and plan come out, and the plan keeps its bounds.
fn survives(dir: &Path, what: &str) {
    let facts = facts(dir);
    let plan = concurrency(&Inputs::new(&facts, false), &policy());
    assert!((1..=16).contains(&plan.max_concurrent), "{what}: {}", plan.max_concurrent);
    assert!(facts.cpu.effective.value().is_none_or(|cpus| *cpus >= 1), "{what}: no CPU");
    assert!(!table(&facts).is_empty(), "{what}");
    let _ = UsagePaths::find(&Root::at(dir)).read();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn several_files_may_hold_anything(
        which in 0..1000_usize,
        changes in proptest::collection::vec((0..1000_usize, proptest::collection::vec(any::<u8>(), 0..60)), 1..6),
    ) {
        let (name, files) = &roots()[which % roots().len()];
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        for (file, bytes) in &changes {
            put(dir.path(), &files[file % files.len()].0, bytes);
        }
        survives(dir.path(), name);
    }
}
