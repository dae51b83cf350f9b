//! Volumes that refuse, and volumes that lie: links, FIFOs, folders in place of files, owners, read-only mounts.

use crate::{
    IFLOW, KEY,
    volume::{Volume, is_root},
};
use std::os::unix::fs::symlink;

#[test]
fn links_planted_in_the_agent_home_lead_nowhere() {
    let v = Volume::new();
    v.apply(0);
    v.write("victim/config.toml", "precious = true\n");
    for name in [".codex/config.toml", ".gemini/settings.json", ".gemini/trustedFolders.json"] {
        v.remove(&format!("cache/agent-home/{name}"));
        symlink(v.path("victim/config.toml"), v.path(&format!("cache/agent-home/{name}"))).unwrap();
    }
    std::fs::remove_dir_all(v.path("cache/agent-home/.iflow")).unwrap();
    symlink(v.path("victim"), v.path("cache/agent-home/.iflow")).unwrap();
    v.write("import/iflow/oauth_creds.json", "{\"access_token\":\"a\"}");
    v.write("import/codex/auth.json", KEY);
    let out = v.apply(1);
    assert_eq!(v.read("victim/config.toml"), "precious = true\n");
    assert_eq!(std::fs::read_dir(v.path("victim")).unwrap().count(), 1);
    assert_eq!(v.home(".codex/auth.json"), KEY);
    assert!(out.contains(".iflow") && out.contains("symbolic link"), "{out}");
}

#[test]
fn folders_fifos_and_huge_files_in_place_of_files_stop_nothing_else() {
    let v = Volume::new();
    std::fs::create_dir_all(v.path("cache/agent-home/.codex/config.toml/sub")).unwrap();
    std::fs::create_dir_all(v.path("cache/agent-home/.gemini")).unwrap();
    nix::unistd::mkfifo(&v.path("cache/agent-home/.gemini/settings.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    v.write("cache/agent-home/.gemini/trustedFolders.json", "");
    std::fs::File::options()
        .write(true)
        .open(v.path("cache/agent-home/.gemini/trustedFolders.json"))
        .unwrap()
        .set_len(1 << 33)
        .unwrap();
    v.write("cache/agent-home/.opencode", "a file where a folder belongs");
    let out = v.apply(1);
    assert_eq!(v.home(".iflow/settings.json"), IFLOW);
    for why in ["a folder stands where a file belongs", "FIFO", "larger than", "it is a regular file, not a folder"] {
        assert!(out.contains(why), "{why}: {out}");
    }
    assert!(v.path("cache/agent-home/.codex/config.toml/sub").is_dir());
}

#[test]
fn a_data_folder_that_cannot_be_made_ends_with_73_and_one_line() {
    let v = Volume::new();
    v.write("data", "a file");
    let out = v.apply(73);
    assert_eq!(out.matches("it is a regular file, not a folder").count(), 2, "{out}");
    // The rest was done all the same.
    assert_eq!(v.home(".iflow/settings.json"), IFLOW);
}

#[test]
fn a_start_that_ends_with_73_says_why_however_little_is_logged() {
    let v = Volume::new();
    v.write("data", "a file");
    let ended = v.command("entrypoint").env("SKILL_INIT_LOG", "error").assert().code(73);
    let said = String::from_utf8_lossy(&ended.get_output().stderr).into_owned();
    assert!(said.contains("it is a regular file, not a folder") && said.contains("the start ends here"), "{said}");
}

#[test]
fn an_agent_home_that_cannot_be_made_is_said_once_and_the_start_goes_on() {
    let v = Volume::new();
    v.write("cache", "a file");
    let out = v.apply(1);
    assert_eq!(out.lines().filter(|line| line.contains("skill-init:")).count(), 1, "{out}");
    assert!(v.path("data/runs").is_dir());
}

#[test]
fn a_broken_engine_table_is_a_configuration_mistake_and_nothing_is_touched() {
    let v = Volume::new();
    v.write("table.toml", "[engine.codex]\npakage = 1\n");
    v.command("apply").env("SKILL_INIT_CATALOGUE", v.path("table.toml")).assert().code(78);
    assert!(!v.exists("data"));
}

#[test]
fn an_engine_that_there_is_not_is_a_configuration_mistake_and_nothing_is_touched() {
    let v = Volume::new();
    v.write("init.toml", "[agents]\nengines = [\"gemini\", \"codx\"]\n");
    let told = |command: &str, env: &[(&str, &str)], check: &[&str]| {
        let assert = v.command(command).args(check).envs(env.iter().copied()).assert().code(78);
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    let file = v.path("init.toml");
    let file = file.to_str().unwrap();
    for (command, check) in [("apply", &[][..]), ("plan", &[]), ("config", &["--check"])] {
        let words = told(command, &[("SKILL_INIT_CONFIG", file)], check);
        assert!(words.contains(&format!("{file}:2: no engine is called \"codx\"; known are")), "{words}");
        for variable in ["SKILL_INIT_ENGINES", "SKILL_RUNNER_BOOTSTRAP_ENGINES"] {
            let words = told(command, &[(variable, "codx")], check);
            assert!(words.contains(&format!("env {variable}: no engine is called \"codx\"")), "{words}");
        }
    }
    assert!(!v.exists("data"));
}

#[test]
fn started_as_root_with_a_user_the_volumes_become_that_users() {
    if !is_root() {
        return crate::skips::skip("only root gives files away");
    }
    let v = Volume::new();
    v.write("import/codex/auth.json", KEY);
    v.apply(0);
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    for path in
        ["data", "data/runs", "cache", "cache/agent-home/.codex/config.toml", "cache/agent-home/.codex/auth.json"]
    {
        assert_eq!(v.owner(path), (10001, 10002), "{path}");
    }
    assert_eq!(v.owner("import/codex/auth.json").0, 0);
    let before = v.stamps();
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    assert_eq!(v.stamps(), before);
    // What is made later belongs to the user from the start.
    v.remove("cache/agent-home/.gemini/settings.json");
    v.write("cache/agent-home/.gemini/trustedFolders.json", "{");
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    for path in [".gemini/settings.json", ".gemini/trustedFolders.json"] {
        let owner = v.owner(&format!("cache/agent-home/{path}"));
        assert!(owner == (10001, 10002) || path.ends_with("trustedFolders.json"), "{path} {owner:?}");
    }
}

#[test]
fn without_root_an_unwritable_volume_names_the_command_that_mends_it() {
    if !is_root() {
        return crate::skips::skip("only root can become another user for this test");
    }
    let v = Volume::new();
    v.apply(0);
    v.open_to_all();
    v.chmod("cache", 0o755);
    for path in ["data", "data/runs"] {
        std::os::unix::fs::chown(v.path(path), Some(10001), Some(10001)).unwrap();
    }
    v.remove("cache/agent-home/.iflow/settings.json");
    let out = v.as_user(10001, "apply", 1);
    assert!(out.contains("chown -R 10001:10001"), "{out}");
    let out = {
        std::os::unix::fs::chown(v.path("data"), Some(0), Some(0)).unwrap();
        v.chmod("data", 0o700);
        v.as_user(10001, "apply", 73)
    };
    assert!(out.contains("ermission denied") && out.contains("chown -R 10001:10001"), "{out}");
}

/// Applies with this folder of the volume mounted read-only, in a mount namespace of its own; `None`: not allowed here.
fn apply_read_only(v: &Volume, folder: &str) -> Option<(i32, String)> {
    let folder = v.path(folder);
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" || exit 99; exec \"$1\" apply";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&folder).arg(assert_cmd::cargo::cargo_bin("skill-init"));
    let output = command.env_clear().envs(v.env()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().ok()?;
    let code = output.status.code()?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    let refused = code == 99 || text.starts_with("unshare:");
    (!refused).then_some((code, text))
}

#[test]
fn a_read_only_volume_is_said_with_what_mends_it() {
    let empty = || {
        let v = Volume::new();
        std::fs::create_dir(v.path("data")).unwrap();
        std::fs::create_dir(v.path("cache")).unwrap();
        v
    };
    let v = empty();
    let Some((code, out)) = apply_read_only(&v, "data") else {
        return crate::skips::skip("no mount namespace here");
    };
    assert_eq!(code, 73, "{out}");
    assert_eq!(out.lines().filter(|line| line.contains("skill-init:")).count(), 1, "{out}");
    assert!(out.contains("Read-only file system") && out.contains("mount a writable volume"), "{out}");
    // The rest was done all the same.
    assert_eq!(v.home(".iflow/settings.json"), IFLOW);

    let v = empty();
    let (code, out) = apply_read_only(&v, "cache").unwrap();
    assert!(code == 1 && out.contains("Read-only file system"), "{out}");
    assert!(v.path("data/runs").is_dir() && v.read("data/bootstrap_report.json").contains("partial_failure"));

    // Prepared before: nothing is to be made, and yet no worker could write a run.
    let v = Volume::new();
    v.apply(0);
    let (code, out) = apply_read_only(&v, "data").unwrap();
    assert!(code == 73 && out.contains("mount a writable volume"), "{out}");
    let before = v.stamps();
    let (code, out) = apply_read_only(&v, "cache").unwrap();
    assert_eq!((code, v.stamps()), (0, before), "{out}");
}

#[test]
fn a_prepared_volume_of_somebody_else_ends_with_73_and_the_command_that_mends_it() {
    if !is_root() {
        return crate::skips::skip("only root can become another user for this test");
    }
    let v = Volume::new();
    v.apply(0);
    v.command("apply").env("SKILL_INIT_USER", "10001").assert().success();
    v.open_to_all();
    for path in ["data", "data/runs"] {
        std::os::unix::fs::chown(v.path(path), Some(0), Some(0)).unwrap();
    }
    let out = v.as_user(10001, "apply", 73);
    assert!(out.contains("Permission denied") && out.contains("chown -R 10001:10001"), "{out}");
}
