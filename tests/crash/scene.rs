//! A volume, the commands that change it, and what must hold after each of their calls was cut off or failed.

use crate::trace::{Ended, Fault, Trace, in_memory};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::AtomicBool,
};

/// A volume at one and the same path in every round, so that contents can be compared.
pub(crate) struct Scene {
    pub(crate) root: PathBuf,
    _temp: tempfile::TempDir,
    prepare: fn(&Path),
    pub(crate) args: &'static [&'static [&'static str]],
}

pub(crate) type Tree = BTreeMap<String, (u32, Option<Vec<u8>>)>;

impl Scene {
    pub(crate) fn new(prepare: fn(&Path), args: &'static [&'static [&'static str]]) -> Self {
        let temp = in_memory();
        Self { root: temp.path().canonicalize().unwrap().join("v"), _temp: temp, prepare, args }
    }
    pub(crate) fn reset(&self) {
        let _ = fs::remove_dir_all(&self.root);
        fs::create_dir(&self.root).unwrap();
        (self.prepare)(&self.root);
    }
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("skill-init"));
        command.args(args.iter().map(|arg| arg.replace('@', self.root.to_str().unwrap()))).env_clear();
        for (name, path) in [("DATA_DIR", "data"), ("AGENT_CACHE_DIR", "cache")] {
            command.env(format!("SKILL_RUNNER_{name}"), self.root.join(path));
        }
        command.env("SKILL_INIT_APP_DIR", self.root.join("app")).env("SKILL_INIT_IMPORT_DIR", self.root.join("import"));
        command.env("SKILL_RUNNER_RUNTIME_MODE", "container");
        command
    }
    pub(crate) fn finish(&self) {
        for args in self.args {
            let output = self.command(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut todo = vec![self.root.clone()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                let meta = path.symlink_metadata().unwrap();
                let name = path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned();
                let content = meta.is_file().then(|| fs::read(&path).unwrap());
                tree.insert(name, (meta.permissions().mode() & 0o7777, content));
                if meta.is_dir() {
                    todo.push(path);
                }
            }
        }
        tree
    }
}

/// Ways in which a file system fails.
pub(crate) const ERRORS: &[Fault] = &[
    Fault::Fail(libc::ENOSPC),
    Fault::Fail(libc::EIO),
    Fault::Fail(libc::EROFS),
    Fault::Fail(libc::EACCES),
    Fault::Short,
];

/// Every way in which a call can be cut off or fail.
pub(crate) const ALL: &[Fault] = &[Fault::Kill, ERRORS[0], ERRORS[1], ERRORS[2], ERRORS[3], ERRORS[4]];

/// Does every fault to every call of a program that can change something below `root`. `command` prepares the same scene
/// each time, and ends with one of `codes` where nothing befalls it; `check` looks at what it left, under the name of the case.
pub(crate) fn each_call(
    root: &Path,
    faults: &[Fault],
    codes: &[i32],
    mut command: impl FnMut() -> Command,
    mut check: impl FnMut(&str, Fault, &Ended),
) {
    let (armed, counts) = (AtomicBool::new(true), |path: &Path| path.starts_with(root));
    let mut rounds = 0;
    for &fault in faults {
        for n in 1.. {
            let mut command = command();
            let trace = Trace { fault, n, counts: &counts, armed: &armed, started: None };
            let Some(ended) = trace.run(&mut command) else {
                return crate::skips::skip("ptrace is not allowed here");
            };
            let Some((_, path)) = &ended.hit else {
                assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{command:?}: {ended:?}");
                assert!(n > 2 || fault == Fault::Short, "{command:?}: the harness sees nothing");
                break;
            };
            let args: Vec<_> = command.get_args().collect();
            let case = format!("{args:?}, {fault:?} at call {n} on {}, {ended:?}", path.display());
            assert_eq!(fault == Fault::Kill, ended.code.is_none(), "{case}");
            check(&case, fault, &ended);
            rounds += 1;
        }
    }
    eprintln!("{rounds} faults");
}

/// Writes a file of a scene, and the folders above it.
pub(crate) fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
