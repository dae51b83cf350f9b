//! A prefix, an npm that obeys, and the real binary on them.

use nix::{
    sys::{
        signal::{Signal, killpg},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) const OLD: &str = "codex-cli 1.0.0";
pub(crate) const NEW: &str = "codex-cli 2.0.0";

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    /// An empty prefix.
    pub(crate) fn new() -> Self {
        Self::new_in(tempfile::tempdir().unwrap())
    }

    /// The same in this folder.
    pub(crate) fn new_in(dir: tempfile::TempDir) -> Self {
        let world = Self { dir };
        fs::create_dir(world.path("bin")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/npm.sh");
        fs::copy(script, world.path("bin/npm")).unwrap();
        fs::set_permissions(world.path("bin/npm"), fs::Permissions::from_mode(0o755)).unwrap();
        for fifo in ["bin/reached", "bin/go"] {
            mkfifo(&world.path(fifo), Mode::S_IRWXU).unwrap();
        }
        fs::write(world.path("table.toml"), "[engine.codex]\ndisk_mib = 1\n").unwrap();
        world.npm("good");
        fs::write(world.path("bin/latest"), "2.0.0\n").unwrap();
        world
    }

    /// A prefix with the old version in it.
    pub(crate) fn with_old() -> Self {
        Self::new().and_old()
    }

    /// The same with the old version in its prefix.
    pub(crate) fn and_old(self) -> Self {
        self.agents(&["upgrade", "codex@1.0.0"], true);
        assert_eq!(self.answer(), OLD);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How npm behaves from now on.
    pub(crate) fn npm(&self, mode: &str) {
        fs::write(self.path("bin/mode"), mode).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skill-init"));
        command
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display()))
            .env("SKILL_RUNNER_RUNTIME_MODE", "container")
            .env("SKILL_RUNNER_DATA_DIR", self.path("data"))
            .env("SKILL_RUNNER_AGENT_CACHE_DIR", self.path("cache"))
            .env("SKILL_INIT_IMPORT_DIR", self.path("import"))
            .env("SKILL_INIT_CATALOGUE", self.path("table.toml"))
            .env("SKILL_INIT_ENGINES", "codex")
            .env("SKILL_INIT_CHECK_TIMEOUT", "10m")
            .stdin(Stdio::null());
        command
    }

    /// Runs `skill-init agents ARGS`; stdout and stderr.
    pub(crate) fn agents(&self, args: &[&str], success: bool) -> String {
        let output = self.command(&["agents"]).args(args).output().unwrap();
        let words = words(&output);
        assert_eq!(output.status.success(), success, "agents {args:?}: {}\n{words}", output.status);
        words
    }

    /// Starts `skill-init agents ARGS` in a group of its own.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(&["agents"]);
        command.args(args).process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Waits until npm has come to its stage and init has noted it in the lock; npm's process group.
    pub(crate) fn reached(&self) -> Pid {
        let group = fs::read_to_string(self.path("bin/reached")).unwrap().trim().to_owned();
        let noted = || fs::read_to_string(self.path("cache/npm/.skill-init/lock")).unwrap_or_default();
        let end = Instant::now() + Duration::from_secs(300);
        while noted().split_whitespace().nth(2) != Some(group.as_str()) {
            assert!(Instant::now() < end, "init never noted npm's group {group}: {}", noted());
            std::thread::yield_now();
        }
        Pid::from_raw(group.parse().unwrap())
    }

    /// What `--version` of the managed CLI prints; its status where it fails.
    pub(crate) fn answer(&self) -> String {
        match Command::new(self.path("cache/npm/bin/codex")).arg("--version").output() {
            Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            Ok(output) => words(&output),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) fn status(&self) -> String {
        fs::read_to_string(self.path("data/agent_status.json")).unwrap()
    }

    /// What must never stay behind: staging and trash, and what npm moves aside.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let prefix = self.path("cache/npm");
        let inside = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let aside = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".codex-"));
        let mut found: Vec<PathBuf> =
            ["staging", "trash"].into_iter().flat_map(|dir| inside(prefix.join(".skill-init").join(dir))).collect();
        found.extend(inside(prefix.join("lib/node_modules/@openai")).filter(aside));
        found
    }
}

pub(crate) fn words(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

pub(crate) fn kill_group(group: Pid) {
    killpg(group, Signal::SIGKILL).unwrap();
}

/// Every regular file below a folder, with its content.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    found
}
