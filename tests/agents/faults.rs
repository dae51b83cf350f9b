//! npm that fails, and npm that says it did not.

use crate::world::{NEW, OLD, World};
use std::{fs, io::Read, os::unix::fs::PermissionsExt, process::Stdio};

/// The upgrade fails for this reason and the old CLI stays; so does an install into an empty prefix, and the next brings it.
fn refused(mode: &str, reason: &str) {
    let world = World::with_old();
    world.npm(mode);
    let words = world.agents(&["upgrade", "codex"], false);
    assert!(words.contains(reason) && words.contains("codex-cli 1.0.0 stays"), "{mode}: {words}");
    assert_eq!(world.answer(), OLD, "{mode}");
    assert!(world.leftovers().is_empty(), "{mode}: {:?}", world.leftovers());
    world.npm("good");
    world.agents(&["upgrade", "codex"], true);
    assert_eq!(world.answer(), NEW, "{mode}");

    let world = World::new();
    world.npm(mode);
    let words = world.agents(&["ensure", "codex"], false);
    assert!(words.contains(reason) && words.contains("not installed"), "{mode}: {words}");
    assert!(world.status().contains("\"present\": false"), "{mode}: {}", world.status());
    let report = fs::read_to_string(world.path("data/agent_bootstrap_report.json")).unwrap();
    assert!(report.contains("install_failed") && report.contains(reason), "{mode}: {report}");
    world.agents(&["ensure", "codex", "--best-effort"], true);
    world.npm("good");
    world.agents(&["ensure", "codex"], true);
    assert_eq!(world.answer(), NEW, "{mode}");
}

#[test]
fn npms_own_words_are_the_reason() {
    refused("404", "E404");
}

#[test]
fn a_stub_behind_exit_0_is_not_let_in() {
    refused("stub", "npm ended with 0, but what it installed does not work");
}

#[test]
fn what_prints_another_version_than_its_package_is_not_let_in() {
    refused("liar", "its package.json says");
}

#[test]
fn one_that_fails_in_its_place_is_switched_back() {
    let world = World::with_old();
    world.npm("homesick");
    let words = world.agents(&["upgrade", "codex"], false);
    assert!(words.contains("not here"), "{words}");
    assert_eq!(world.answer(), OLD);
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
}

/// Who started the new one between the switch and the way back keeps its files; so does `rollback` its goal.
#[test]
fn one_whose_last_proof_is_killed_is_switched_back_and_stays_until_the_next_command() {
    let world = World::with_old();
    world.agents(&["upgrade", "codex"], true);
    world.agents(&["upgrade", "codex@1.5.0"], true);
    world.npm("slain");
    let words = world.agents(&["upgrade", "codex@3.0.0"], false);
    assert!(words.contains("it does not answer: signal 9"), "{words}");
    assert_eq!(world.answer(), "codex-cli 1.5.0");
    let store = world.path("cache/npm/.skill-init/codex");
    let kept = || {
        let mut names: Vec<String> = fs::read_dir(&store)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(kept(), ["2-2.0.0", "3-1.5.0", "4-3.0.0"]);
    world.agents(&["ensure", "codex"], true);
    assert_eq!(kept(), ["2-2.0.0", "3-1.5.0"]);
    world.agents(&["rollback", "codex"], true);
    assert_eq!(world.answer(), NEW);
}

#[test]
fn a_rollback_to_one_that_fails_in_its_place_changes_nothing() {
    let world = World::with_old();
    world.agents(&["upgrade", "codex"], true);
    let store = world.path("cache/npm/.skill-init/codex");
    fs::write(store.join("1-1.0.0/lib/node_modules/@openai/codex/homesick"), "").unwrap();
    let words = world.agents(&["rollback", "codex"], false);
    assert!(words.contains("nothing was changed"), "{words}");
    assert_eq!(world.answer(), NEW);
}

#[test]
fn too_little_room_is_told_before_npm_starts() {
    let world = World::with_old();
    fs::write(world.path("table.toml"), "[engine.codex]\ndisk_mib = 900000000\n").unwrap();
    fs::write(world.path("bin/argv"), "").unwrap();
    let words = world.agents(&["upgrade", "codex"], false);
    assert!(words.contains("MiB are needed"), "{words}");
    assert!(!fs::read_to_string(world.path("bin/argv")).unwrap().contains("npm install"));
    assert_eq!(world.answer(), OLD);
}

#[test]
fn the_status_says_what_is_missing_before_npm_has_ended() {
    let world = World::new();
    world.npm("stop-0");
    let mut child = world.start(&["ensure", "codex"]);
    let group = world.reached();
    assert!(world.status().contains("\"present\": false"), "{}", world.status());
    crate::world::kill_group(group);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn an_engine_that_nobody_can_install_costs_nothing_and_fails_nothing() {
    let world = World::new();
    let output = world.command(&["agents", "ensure"]).env("SKILL_INIT_ENGINES", "iflow").output().unwrap();
    let words = crate::world::words(&output);
    assert!(output.status.success() && words.contains("iflow: unavailable: the vendor ended the service"), "{words}");
    assert!(!world.path("bin/argv").exists(), "npm was asked for it");
}

// Each CLI answers only while the other is being asked: one after another, neither ever would.
#[test]
fn checks_run_at_the_same_time() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let bin = world.path("cache/npm/bin");
    fs::create_dir_all(&bin).unwrap();
    let fifos = world.path("bin").display().to_string();
    for (name, meet, line) in [
        ("codex", format!("echo x > {fifos}/reached; read -r _ < {fifos}/go"), "codex-cli 0.1.0"),
        ("gemini", format!("read -r _ < {fifos}/reached; echo x > {fifos}/go"), "0.2.0"),
    ] {
        fs::write(bin.join(name), format!("#!/bin/sh\n[ \"$1\" = --version ] || exit 1\n{meet}\necho {line}\n"))
            .unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = world.command(&["agents", "check"]).env("SKILL_INIT_ENGINES", "codex,gemini").output().unwrap();
    assert!(output.status.success(), "{}", crate::world::words(&output));
    assert_eq!(world.status().matches("\"present\": true").count(), 2, "{}", world.status());
}

#[test]
fn a_check_that_takes_long_counts_its_seconds_on_a_terminal() {
    let world = World::new();
    let cli = world.path("cache/npm/bin/codex");
    fs::create_dir_all(cli.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\nread -r _ < '{}'\necho codex-cli 1.0.0\n", world.path("bin/go").display());
    fs::write(&cli, script).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut child = world.command(&["agents", "auth"]).stdout(Stdio::null()).stderr(pty.slave).spawn().unwrap();
    let (mut terminal, mut seen, mut released) = (fs::File::from(pty.master), String::new(), false);
    let mut buffer = [0; 1024];
    // EIO: nobody has the other end any more.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if !released && seen.contains(" CLIs, 2 s") {
            fs::write(world.path("bin/go"), "\n").unwrap();
            released = true;
        }
    }
    child.wait().unwrap();
    let (before, after) = seen.rsplit_once(" CLIs, ").unwrap();
    assert!(before.contains("checking ") && after.contains(" s\u{1b}[K\r\u{1b}[K"), "{seen:?}");
}
