//! What single commands write: the status files, the support bundle, trust entries, credentials, and the reason of the exit.

use crate::{
    scene::{ALL, each_call, write},
    trace::{Fault, in_memory},
    world::World,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What a command may make of its files.
struct Files<'a> {
    /// Old content, `None`: not there; they are restored before each round.
    files: &'a [(PathBuf, Option<&'a str>)],
    /// Is this content a whole new one?
    new: &'a dyn Fn(&Path, &[u8]) -> bool,
    /// The command's exit codes where nothing befalls it, and where something fails.
    codes: (&'a [i32], &'a [i32]),
}

/// Runs the command with every fault at every call below `root`. Each file is old or new, nothing of ours lies beside it
/// unless we were killed, and the command run again makes every file new.
fn sweep(root: &Path, files: &Files<'_>, command: impl Fn() -> Command) {
    let prepare = || {
        for (path, old) in files.files {
            let _ = fs::remove_file(path);
            if let Some(old) = old {
                fs::write(path, old).unwrap();
            }
        }
        command()
    };
    each_call(root, ALL, files.codes.0, prepare, |case, fault, ended| {
        assert!(ended.code.is_none_or(|code| files.codes.1.contains(&code)), "{case}");
        for (path, old) in files.files {
            let now = fs::read(path).ok();
            let is_old = now.as_deref() == old.map(str::as_bytes);
            let is_new = now.as_ref().is_some_and(|now| (files.new)(path, now));
            assert!(is_old || is_new, "{case}: {} is {:?}", path.display(), now.map(String::from_utf8));
            let removal = matches!(ended.hit, Some((libc::SYS_unlinkat, _)));
            let beside = fs::read_dir(path.parent().unwrap()).unwrap().flatten();
            let temporary = beside.filter(|entry| entry.file_name().to_string_lossy().contains(".skill-init-")).count();
            assert!(temporary == 0 || fault == Fault::Kill || removal, "{case}: a temporary file stays");
        }
        let output = command().output().unwrap();
        let code = output.status.code().unwrap();
        assert!(files.codes.0.contains(&code), "{case}: then {output:?}");
        for (path, _) in files.files {
            assert!((files.new)(path, &fs::read(path).unwrap()), "{case}: {} is not new", path.display());
        }
        clear(root);
    });
}

/// What killed commands left: it would be counted again in the next round.
fn clear(root: &Path) {
    for (path, _) in crate::world::files(root) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".skill-init-")) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

#[test]
fn status_files_of_agents_are_old_or_new() {
    let world = World::new_in(in_memory()).and_old();
    let names = ["agent_status.json", "agent_sandbox.json"].map(|name| world.path("data").join(name));
    let files = names.map(|path| (path, Some("{\"old\": 1}")));
    let new = |_: &Path, bytes: &[u8]| json(bytes).to_string().contains("codex");
    let command = || world.command(&["agents", "check"]);
    sweep(&world.path("data"), &Files { files: &files, new: &new, codes: (&[0], &[0, 73]) }, command);

    let files = [(world.path("data/agent_auth_status.json"), None)];
    let new = |_: &Path, bytes: &[u8]| json(bytes)["codex"]["auth_ready"].is_boolean();
    let command = || world.command(&["agents", "auth"]);
    sweep(&world.path("data"), &Files { files: &files, new: &new, codes: (&[0], &[0, 73]) }, command);
}

#[test]
fn a_support_bundle_is_old_or_new() {
    let world = World::new_in(in_memory());
    for path in ["cache/agent-home", "data"] {
        fs::create_dir_all(world.path(path)).unwrap();
    }
    let files = [(world.path("out/bundle.json"), Some("the bundle of yesterday"))];
    fs::create_dir(world.path("out")).unwrap();
    let new = |_: &Path, bytes: &[u8]| json(bytes)["findings"].is_array();
    // Whether something is wrong with this machine is not the question.
    let command = || {
        let mut command = world.command(&["doctor", "--no-agents", "--bundle"]);
        command.arg(world.path("out/bundle.json"));
        command
    };
    sweep(&world.path("out"), &Files { files: &files, new: &new, codes: (&[0, 1], &[0, 1, 73]) }, command);
}

#[test]
fn trust_entries_are_collected_at_once_or_not_at_all() {
    let world = World::new_in(in_memory());
    let runs = world.path("data/runs");
    fs::create_dir_all(runs.join("live")).unwrap();
    let (live, gone) = (runs.join("live").display().to_string(), runs.join("gone").display().to_string());
    let trusted = |folder: &str| format!("\n[projects.\"{folder}\"]\ntrust_level = \"trusted\"\n");
    let codex = format!("# mine\nmodel = \"x\"\n{}{}", trusted(&live), trusted(&gone));
    let gemini = format!("{{ // mine\n  \"{live}\": \"TRUST_FOLDER\",\n  \"{gone}\": \"TRUST_FOLDER\"\n}}\n");
    for (engine, file, old) in
        [("codex", ".codex/config.toml", codex), ("gemini", ".gemini/trustedFolders.json", gemini)]
    {
        write(&world.path("cache/agent-home"), file, "");
        let path = world.path("cache/agent-home").join(file);
        let new = |_: &Path, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.contains("mine") && text.contains(&live) && !text.contains(&gone) && text.ends_with('\n')
        };
        let files = [(path, Some(old.as_str()))];
        let command = || {
            let mut command = world.command(&["trust", "gc", engine, "--active", &live]);
            command.arg(&runs);
            command
        };
        sweep(&world.path("cache/agent-home"), &Files { files: &files, new: &new, codes: (&[0], &[0, 1]) }, command);
    }
}

#[test]
fn credentials_that_are_imported_are_old_or_new() {
    let world = World::new_in(in_memory());
    let (old, source) = ("{\"OPENAI_API_KEY\":\"cli\"}", "{\"OPENAI_API_KEY\":\"operator\"}");
    write(&world.path(""), "import/codex/auth.json", source);
    write(&world.path(""), "cache/agent-home/.codex/auth.json", old);
    let files = [(world.path("cache/agent-home/.codex/auth.json"), Some(old))];
    let new = |_: &Path, bytes: &[u8]| bytes == source.as_bytes();
    let command = || world.command(&["agents", "import", "--force"]);
    sweep(&world.path("cache/agent-home/.codex"), &Files { files: &files, new: &new, codes: (&[0], &[0, 1]) }, command);
}

// It cannot be renamed into place: Kubernetes mounts this one file. So the container's exit code counts, and the file holds
// nothing or the whole line.
#[test]
fn the_reason_of_the_exit_is_nothing_or_the_whole_line() {
    let world = World::new_in(in_memory());
    let config = "[service.once]\ncommand = [\"/bin/true\"]\nrestart = \"never\"\nessential = true\n";
    write(&world.path(""), "init.toml", config);
    let log = world.path("log/termination-log");
    fs::create_dir(world.path("log")).unwrap();
    let prepare = || {
        fs::write(&log, "").unwrap();
        let mut command = world.command(&["local", "--dir"]);
        command.arg(world.path("")).env("SKILL_INIT_CONFIG", world.path("init.toml"));
        for (name, value) in [("API", "false"), ("GATEWAY", "false"), ("ENSURE", "off"), ("TTYD", "off")] {
            command.env(format!("SKILL_INIT_{name}"), value);
        }
        command.env("SKILL_INIT_TERMINATION_LOG", &log);
        command
    };
    each_call(&world.path("log"), ALL, &[0], prepare, |case, fault, ended| {
        assert!(fault == Fault::Kill || ended.code == Some(0), "{case}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(
            text.is_empty() || (text.starts_with("skill-init: exit 0: ") && text.ends_with('\n')),
            "{case}: {text:?}"
        );
    });
    assert!(fs::read_to_string(&log).unwrap().starts_with("skill-init: exit 0: "));
}
