//! Verdicts of the real binary on sandboxes that work, refuse, leak, and lie; the real codex: tests/agents/sandbox.py.

use crate::world::{World, words};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

/// The verdict on a codex whose `sandbox -- COMMAND` does this, and what was said about it.
fn verdict(version: &str, sandbox: &str, mode: &str) -> (Value, String) {
    check(&with_codex(version, sandbox), mode)
}

fn with_codex(version: &str, sandbox: &str) -> World {
    let world = World::new();
    let bin = world.path("cache/npm/bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $1 in\n--version) echo 'codex-cli {version}' ;;\nsandbox) shift 2; {sandbox} ;;\n*) exit 2 ;;\nesac\n"
    );
    fs::write(bin.join("codex"), script).unwrap();
    fs::set_permissions(bin.join("codex"), fs::Permissions::from_mode(0o755)).unwrap();
    world
}

fn check(world: &World, mode: &str) -> (Value, String) {
    let said = words(&world.command(&["agents", "check"]).env("SKILL_INIT_SANDBOX", mode).output().unwrap());
    let text = fs::read_to_string(world.path("data/agent_sandbox.json")).unwrap();
    let published: Value = serde_json::from_str(&text).unwrap();
    (published["engines"]["codex"].clone(), said)
}

/// Runs the command with a target that nobody can write.
const WORKS: &str = r#"exec "$1" "$2" "$3" /proc/no/such/place"#;
const LEAKS: &str = r#"exec "$@""#;
const REFUSES: &str = "echo 'bwrap: No permissions to create a new namespace' >&2; exit 1";
const LIES: &str = "exit 0";

#[test]
fn a_sandbox_that_ran_the_command_and_refused_its_write_confines() {
    let (codex, said) = verdict("0.169.0", WORKS, "auto");
    assert_eq!(codex["confined"], true, "{codex}");
    assert_eq!(codex["flags"], serde_json::json!(["--sandbox", "workspace-write"]));
    assert!(!said.contains("WITHOUT"), "{said}");
    let (older, _) = verdict("0.122.0", WORKS, "auto");
    assert_eq!((&older["flags"][0], &older["full_auto"]), (&"--full-auto".into(), &true.into()), "{older}");
}

#[test]
fn one_that_refuses_leaks_or_lies_does_not_and_that_is_said() {
    for (sandbox, evidence) in
        [(REFUSES, "No permissions"), (LEAKS, "was not refused"), (LIES, "without having run the command")]
    {
        let (codex, said) = verdict("0.169.0", sandbox, "auto");
        assert_eq!(codex["confined"], false, "{codex}");
        assert_eq!(codex["flags"], serde_json::json!(["--yolo"]), "{codex}");
        assert!(codex["evidence"].as_str().unwrap().contains(evidence), "{codex}");
        assert!(said.contains("codex: runs WITHOUT a sandbox (flags: --yolo)"), "{said}");
    }
}

#[test]
fn required_confinement_that_cannot_be_had_makes_the_engine_unusable() {
    let (codex, said) = verdict("0.169.0", REFUSES, "require");
    assert_eq!((&codex["usable"], &codex["flags"]), (&false.into(), &serde_json::json!([])), "{codex}");
    assert!(said.contains("codex: is unusable (SKILL_INIT_SANDBOX=require)"), "{said}");
    let (free, _) = verdict("0.169.0", WORKS, "off");
    assert_eq!((&free["confined"], &free["flags"][0]), (&false.into(), &"--yolo".into()), "{free}");
}

/// Out of memory for a moment must not leave an engine unconfined, or unusable, until the container is made anew.
#[test]
fn a_trial_that_was_killed_is_tried_again_by_the_next_check_and_a_verdict_is_kept() {
    let tried = r#"echo >> "$(dirname "$0")/tried"; [ "$(wc -l < "$(dirname "$0")/tried")" -gt 1 ] || kill -9 $$"#;
    let world = with_codex("0.169.0", &format!("{tried}; {WORKS}"));
    let (killed, said) = check(&world, "auto");
    assert_eq!((&killed["confined"], &killed["settled"]), (&false.into(), &false.into()), "{killed}");
    assert!(said.contains("signal 9"), "{said}");
    for _ in 0..2 {
        let (codex, _) = check(&world, "auto");
        assert_eq!((&codex["confined"], &codex["settled"]), (&true.into(), &true.into()), "{codex}");
    }
    let tries = fs::read_to_string(world.path("cache/npm/bin/tried")).unwrap();
    assert_eq!(tries.len(), 2, "the verdict of the second check was not kept");
}
