//! A prepared volume in a temporary folder, and the real binary on it.

use assert_cmd::Command;
use serde_json::Value;
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
};

pub(crate) struct Volume(tempfile::TempDir);

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

impl Volume {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        // The resolved name, as the CLIs know it.
        self.0.path().canonicalize().unwrap().join(path)
    }
    pub(crate) fn runs(&self) -> String {
        self.path("data/runs").to_str().unwrap().to_owned()
    }
    pub(crate) fn env(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("PATH", "/usr/bin:/bin".into()),
            ("SKILL_RUNNER_RUNTIME_MODE", "container".into()),
            ("SKILL_RUNNER_DATA_DIR", self.path("data")),
            ("SKILL_RUNNER_AGENT_CACHE_DIR", self.path("cache")),
            ("SKILL_INIT_APP_DIR", self.path("app")),
            ("SKILL_INIT_IMPORT_DIR", self.path("import")),
        ]
    }
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::cargo_bin("skill-init").unwrap();
        command.arg(name).env_clear().envs(self.env());
        command
    }
    /// Runs apply, expects this exit code, gives stdout and stderr.
    pub(crate) fn apply(&self, code: i32) -> String {
        let output = self.command("apply").output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    }
    pub(crate) fn as_user(&self, uid: u32, name: &str, code: i32) -> String {
        let program = self.path("skill-init");
        fs::copy(assert_cmd::cargo::cargo_bin("skill-init"), &program).unwrap();
        let mut command = std::process::Command::new(program);
        command.arg(name).env_clear().envs(self.env()).uid(uid).gid(uid);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    }
    pub(crate) fn plan(&self) -> Value {
        let output = self.command("plan").arg("--json").output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
    pub(crate) fn open_to_all(&self) {
        fs::set_permissions(self.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
    }
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
    pub(crate) fn home(&self, path: &str) -> String {
        self.read(&format!("cache/agent-home/{path}"))
    }
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }
    pub(crate) fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    pub(crate) fn mode(&self, path: &str) -> u32 {
        self.path(path).symlink_metadata().unwrap().mode() & 0o7777
    }
    pub(crate) fn owner(&self, path: &str) -> (u32, u32) {
        let meta = self.path(path).symlink_metadata().unwrap();
        (meta.uid(), meta.gid())
    }
    /// Paths below the volume that begin with this file's name and a suffix.
    pub(crate) fn beside(&self, file: &str, suffix: &str) -> Vec<String> {
        let full = format!("cache/agent-home/{file}{suffix}");
        self.all().into_iter().filter(|path| path.starts_with(&full)).collect()
    }
    pub(crate) fn aside(&self, file: &str) -> Vec<String> {
        self.beside(file, ".corrupt-")
    }
    pub(crate) fn all(&self) -> Vec<String> {
        let root = self.path("");
        let mut found = Vec::new();
        walk(&root, &mut |path| found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()));
        found.sort();
        found
    }
    /// Each path with its mode.
    pub(crate) fn tree(&self) -> Vec<String> {
        self.all().into_iter().map(|path| format!("{path} {:o}", self.mode(&path))).collect()
    }
    /// Everything that a write would change: inode, size, times, owner and mode of every path.
    pub(crate) fn stamps(&self) -> Vec<String> {
        let stamp = |path: &String| {
            let m = self.path(path).symlink_metadata().unwrap();
            format!(
                "{path} {} {} {}.{} {}.{} {}:{} {:o}",
                m.ino(),
                m.size(),
                m.mtime(),
                m.mtime_nsec(),
                m.ctime(),
                m.ctime_nsec(),
                m.uid(),
                m.gid(),
                m.mode()
            )
        };
        self.all().iter().map(stamp).collect()
    }
}

fn walk(dir: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        each(&entry.path());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), each);
        }
    }
}
