//! The scripts take the arguments that are documented for them, and hand them to skill-init as they should.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A PATH of stubs that write down how they were called, and of nothing else but a few tools.
pub(crate) struct Stubs(tempfile::TempDir);

impl Stubs {
    pub(crate) fn new(names: &[&str]) -> Self {
        let stubs = Self(tempfile::tempdir().unwrap());
        for tool in ["sh", "dirname", "mkdir", "sed", "cat", "mv", "rm", "env", "python3"] {
            let found = ["/usr/bin", "/bin", "/usr/local/bin"].map(|dir| Path::new(dir).join(tool));
            if let Some(path) = found.iter().find(|path| path.exists()) {
                symlink(path, stubs.path(tool)).unwrap();
            }
        }
        for name in names {
            let script = format!(
                "#!/bin/sh\necho \"{name} $*\" >> \"{0}/calls\"\necho \"${{SKILL_INIT_ENGINES-}}\" >> \"{0}/engines\"\n\
                 echo 'from {name}'\nexit \"$(cat {0}/code)\"\n",
                stubs.0.path().display()
            );
            fs::write(stubs.path(name), script).unwrap();
            fs::set_permissions(stubs.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        stubs.code(0);
        stubs
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// What every stub ends with.
    fn code(&self, code: i32) {
        fs::write(self.path("code"), code.to_string()).unwrap();
    }
    fn run(&self, program: &[&str], args: &[&str]) -> Output {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        let mut command = self.command(program[0]);
        command.args(&program[1..program.len() - 1]).arg(scripts.join(program[program.len() - 1])).args(args);
        command.output().unwrap()
    }
    /// A program that finds nothing but the stubs.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", self.0.path()).env("HOME", self.0.path());
        // Its default is in the source tree.
        command.env("SKILL_RUNNER_DATA_DIR", self.path("data"));
        command
    }
    /// The calls since the last look.
    pub(crate) fn calls(&self) -> String {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls
    }
}

/// The two forms of the old manager.
const MANAGER: [&[&str]; 2] = [&["/bin/sh", "agent_manager.sh"], &["python3", "agent_manager.py"]];

#[test]
fn the_old_managers_arguments_mean_what_they_meant() {
    let stubs = Stubs::new(&["skill-init"]);
    let dir = stubs.0.path().display().to_string();
    for program in MANAGER {
        if program[0] == "python3" && !stubs.path("python3").exists() {
            crate::skips::skip("agent_manager.py, there is no python3");
            continue;
        }
        let manager = |args: &[&str]| stubs.run(program, args);
        for (args, calls) in [
            (&[][..], "agents check --best-effort"),
            (&["--check"], "agents check --best-effort"),
            (&["--check-auth"], "agents auth"),
            (&["--ensure"], "agents ensure --best-effort"),
            (&["--upgrade"], "agents upgrade"),
            (&["--upgrade-engine", "codex"], "agents upgrade codex"),
            (&["--upgrade-engine=codex"], "agents upgrade codex"),
            (&["--status-file", "/s", "--ensure"], "agents --status-file /s ensure --best-effort"),
            (&["--import-credentials", "/no/such", "--check"], "agents check --best-effort"),
        ] {
            let output = manager(args);
            assert!(output.status.success(), "{args:?}: {output:?}");
            assert_eq!(stubs.calls(), format!("skill-init {calls}\n"), "{args:?}");
        }
        assert!(manager(&["--import-credentials", &dir, "--upgrade"]).status.success());
        assert_eq!(stubs.calls(), format!("skill-init agents import {dir}\nskill-init agents upgrade\n"));
        for wrong in [
            &["--check", "--upgrade"][..],
            &["--upgrade", "--upgrade-engine", "codex"],
            &["--frobnicate"],
            &["--status-file"],
            &["--upgrade-engine", "codex@1.0.0"],
        ] {
            assert_eq!(manager(wrong).status.code(), Some(2), "{wrong:?}");
            assert_eq!(stubs.calls(), "", "{wrong:?}");
        }
        stubs.code(1);
        assert_eq!(manager(&["--upgrade"]).status.code(), Some(1));
        stubs.code(0);
        stubs.calls();
    }
}

#[test]
fn the_later_releases_arguments_choose_engines_and_place_the_report() {
    let stubs = Stubs::new(&["skill-init"]);
    let report = stubs.path("report.json");
    let args = ["--ensure", "--engines", "opencode,codex", "--bootstrap-report-file", report.to_str().unwrap()];
    assert!(stubs.run(MANAGER[0], &args).status.success());
    assert_eq!(stubs.calls(), "skill-init agents list\nskill-init agents ensure --best-effort --json\n");
    assert!(fs::read_to_string(stubs.path("engines")).unwrap().lines().all(|line| line == "opencode,codex"));
    assert_eq!(fs::read_to_string(&report).unwrap(), "from skill-init\n");
    stubs.code(78);
    assert_eq!(stubs.run(MANAGER[0], &["--engines", "nobody"]).status.code(), Some(2));
}

#[test]
fn upgrades_and_logins_are_asked_for_here_or_in_the_running_service() {
    for (script, ours) in [("upgrade_agents.sh", "agents upgrade"), ("check_agent_auth.sh", "agents auth")] {
        let stubs = Stubs::new(&["skill-init", "docker"]);
        for args in [&[][..], &["local"]] {
            assert!(stubs.run(&["/bin/sh", script], args).status.success());
            assert_eq!(stubs.calls(), format!("skill-init {ours}\n"), "{script}");
        }
        // The stub prints something, so the service counts as running.
        assert!(stubs.run(&["/bin/sh", script], &["container"]).status.success());
        assert!(stubs.calls().ends_with(&format!("docker compose exec -T api skill-init {ours}\n")), "{script}");
        fs::write(
            stubs.path("docker"),
            format!("#!/bin/sh\necho \"docker $*\" >> {}\n", stubs.path("calls").display()),
        )
        .unwrap();
        assert!(stubs.run(&["/bin/sh", script], &["container"]).status.success());
        let calls = stubs.calls();
        assert!(calls.ends_with(&format!("docker compose run --rm --no-deps api skill-init {ours}\n")), "{calls}");
        fs::remove_file(stubs.path("docker")).unwrap();
        let output = stubs.run(&["/bin/sh", script], &["container"]);
        assert_eq!(output.status.code(), Some(1), "{script}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("docker is missing"));
    }
}

#[test]
fn a_local_deployment_needs_node_and_npm_and_says_so() {
    let stubs = Stubs::new(&["skill-init", "node", "npm", "ttyd"]);
    let deploy = |args: &[&str]| stubs.run(&["/bin/sh", "deploy_local.sh"], args);
    fs::remove_file(stubs.path("npm")).unwrap();
    let output = deploy(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("npm is missing"), "{output:?}");
    assert_eq!(stubs.calls(), "");
    fs::copy(stubs.path("node"), stubs.path("npm")).unwrap();
    assert!(deploy(&["--dir", "/somewhere"]).status.success());
    assert_eq!(stubs.calls(), "skill-init local --dir /somewhere\n");
    assert!(stubs.path(".local/share/skill-runner/agent-cache").is_dir());
}
