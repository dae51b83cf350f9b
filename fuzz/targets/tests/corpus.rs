//! Every input of the corpus through its target: what the fuzzer once found stays found, without a fuzzer.
//!
//! `fuzz/corpus/TARGET/NAME`: seeds are named after what they are, regressions after what they guard.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use fuzz_targets::{TARGETS, Target};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// Inputs of a target: its folder's files, or for roots the captured ones.
fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![corpus().join(target.name)];
    if target.name == "root" {
        folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/roots"));
    }
    let mut found: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn every_input_of_the_corpus_passes_its_target() {
    let mut failed = Vec::new();
    for target in &TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 3, "{} has hardly a corpus: {} inputs", target.name, inputs.len());
        for (path, bytes) in inputs {
            if catch_unwind(|| (target.run)(&bytes)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "inputs that a target does not survive: {failed:#?}");
}

/// Not the fuzzer's reach, but the cheap half of it: each input cut off at each place, up to a bound.
#[test]
fn every_input_may_end_anywhere() {
    let mut failed = Vec::new();
    for target in TARGETS.iter().filter(|target| !matches!(target.name, "root" | "gateway" | "terminal" | "zip")) {
        for (path, bytes) in inputs(target) {
            let step = (bytes.len() / 64).max(1);
            for end in (0..bytes.len()).step_by(step) {
                if catch_unwind(|| (target.run)(&bytes[..end])).is_err() {
                    failed.push((path.clone(), end));
                }
            }
        }
    }
    assert!(failed.is_empty(), "inputs that a target does not survive when cut: {failed:#?}");
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    let known: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let there: BTreeSet<_> =
        fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, known);
}

/// The targets can fail: each kind of broken promise is noticed.
#[test]
fn an_archive_with_a_link_or_a_way_out_is_refused_and_a_bomb_stays_within_its_bounds() {
    let archive = |entries: &[(&str, u32, &[u8])]| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, mode, content) in entries {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let zip = TARGETS.iter().find(|target| target.name == "zip").unwrap();
    let bomb = vec![0; 8 << 20];
    for bytes in [
        archive(&[("../../escaped", 0o644, b"x")]),
        archive(&[("/etc/escaped", 0o644, b"x")]),
        archive(&[("bomb", 0o644, &bomb)]),
        archive(&[("a", 0o755, b"x"), ("b/c", 0o644, b"y")]),
    ] {
        (zip.run)(&bytes);
    }
}
