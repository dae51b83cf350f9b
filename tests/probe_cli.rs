//! `skill-init probe`, the real program on this very machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;

fn probe(args: &[&str]) -> String {
    let output = Command::cargo_bin("skill-init").unwrap().arg("probe").args(args).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn json_agrees_with_what_the_kernel_shows() {
    let facts: Value = serde_json::from_str(&probe(&["--json"])).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(facts["kernel"]["release"]["value"], release.trim());
    assert_eq!(facts["privileges"]["uid"]["value"], nix::unistd::getuid().as_raw());
    assert_eq!(facts["container"]["is_pid1"], false);
    let cpus = facts["cpu"]["effective"]["reading"]["value"].as_u64().unwrap();
    assert!(cpus >= 1 && cpus <= facts["cpu"]["online"]["reading"]["value"].as_u64().unwrap());
    let memory = facts["memory"]["limit"]["reading"]["value"].as_u64().unwrap();
    assert!(memory <= facts["memory"]["host_total"]["reading"]["value"].as_u64().unwrap());
    // Every bound says where it came from.
    for bound in
        [&facts["memory"]["limit"], &facts["cpu"]["effective"], &facts["tasks"]["limit"], &facts["descriptors"]["soft"]]
    {
        assert!(bound["from"].as_str().is_some_and(|from| !from.is_empty()), "{bound}");
    }
    // The three signals of Landlock agree with the verdict.
    let landlock = &facts["landlock"];
    assert_eq!(
        landlock["usable"],
        landlock["abi"]["value"].as_u64() >= Some(1) && landlock["child"] == "works",
        "{landlock}"
    );
}

#[test]
fn the_table_is_for_people() {
    let table = probe(&[]);
    for line in ["kernel ", "landlock ", "memory limit ", "cpus ", "tasks limit ", "PATH"] {
        assert_eq!(table.lines().filter(|found| found.starts_with(line)).count(), 1, "{line}:\n{table}");
    }
}

#[test]
fn a_wrong_setting_is_told_before_anything_is_probed() {
    let output =
        Command::cargo_bin("skill-init").unwrap().arg("probe").env("SKILL_RUNNER_CPU_FACTOR", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("SKILL_RUNNER_CPU_FACTOR"));
}
