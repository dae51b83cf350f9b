//! Crash consistency of everything that `apply`, `import` and `trust` write: the real binary under ptrace(2).
//!
//! For every system call that changes a file system, in turn: the process is killed right before it, or the
//! call fails with ENOSPC, EIO, EROFS or EACCES, or a write is cut short. Afterwards every file of the user is the old one or
//! the new one, what was kept aside is whole, and the next start completes to the same tree as if nothing had
//! happened. Between two such calls nothing on the disk changes, so these are all the states there are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "ptrace(2)")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, reason = "a test")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What happens to the n-th call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Kill,
    Fail(i32),
    Short,
}

/// How the process ended, and how many calls there were.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    calls: usize,
    hit: Option<i64>,
}

fn changes_files(regs: &libc::user_regs_struct) -> bool {
    let creates = |flags: u64| flags & libc::O_CREAT as u64 != 0;
    match regs.orig_rax as i64 {
        libc::SYS_openat => creates(regs.rdx),
        libc::SYS_write => regs.rdi > 2,
        libc::SYS_mkdirat | libc::SYS_unlinkat | libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => true,
        libc::SYS_fchmod | libc::SYS_fchown | libc::SYS_fchownat | libc::SYS_fsync | libc::SYS_flock => true,
        _ => false,
    }
}

/// Runs the command under ptrace and does `fault` to the call number `n`; `None`: ptrace is not allowed here.
fn traced(command: &mut Command, fault: Fault, n: usize) -> Option<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: ptrace(2) is async-signal-safe; nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let pid = match command.spawn() {
        Ok(child) => child.id() as i32,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
        Err(error) => panic!("{error}"),
    };
    let wait = || {
        let mut status = 0;
        // SAFETY: our own child, a local status.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
        status
    };
    // SAFETY: (all of them) the tracee is stopped, `regs` is the kernel's own type.
    let get = || unsafe {
        let mut regs: libc::user_regs_struct = std::mem::zeroed();
        assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &mut regs), 0);
        regs
    };
    // SAFETY: as above.
    let set = |regs: &libc::user_regs_struct| unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SETREGS, pid, 0, regs), 0);
    };
    assert!(libc::WIFSTOPPED(wait()), "exec stops a traced child");
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    // SAFETY: the child is stopped.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) }, 0);
    let (mut calls, mut hit, mut entering, mut failing, mut signal) = (0, None, true, None, 0);
    loop {
        // SAFETY: the child is stopped, or was killed just now, which `wait` tells.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal) };
        signal = 0;
        let status = wait();
        if libc::WIFEXITED(status) {
            return Some(Ended { code: Some(libc::WEXITSTATUS(status)), calls, hit });
        }
        if libc::WIFSIGNALED(status) {
            return Some(Ended { code: None, calls, hit });
        }
        if libc::WSTOPSIG(status) != libc::SIGTRAP | 0x80 {
            signal = libc::WSTOPSIG(status);
            continue;
        }
        if entering {
            let mut regs = get();
            if changes_files(&regs) {
                calls += 1;
                if calls == n {
                    hit = Some(regs.orig_rax as i64);
                    match fault {
                        // SAFETY: our own child.
                        Fault::Kill => unsafe {
                            libc::kill(pid, libc::SIGKILL);
                        },
                        Fault::Fail(errno) => {
                            regs.orig_rax = u64::MAX;
                            set(&regs);
                            failing = Some(errno);
                        }
                        Fault::Short if regs.orig_rax as i64 == libc::SYS_write && regs.rdx > 1 => {
                            regs.rdx /= 2;
                            set(&regs);
                        }
                        Fault::Short => {}
                    }
                }
            }
        } else if let Some(errno) = failing.take() {
            let mut regs = get();
            regs.rax = (-i64::from(errno)) as u64;
            set(&regs);
        }
        entering = !entering;
    }
}

/// A volume at one and the same path in every round, so that contents can be compared.
struct Scene {
    root: PathBuf,
    _temp: tempfile::TempDir,
    prepare: fn(&Path),
    args: &'static [&'static [&'static str]],
}

type Tree = BTreeMap<String, (u32, Option<Vec<u8>>)>;

impl Scene {
    fn new(prepare: fn(&Path), args: &'static [&'static [&'static str]]) -> Self {
        // In memory where there is such a place: thousands of fsyncs.
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { root: temp.path().canonicalize().unwrap().join("v"), _temp: temp, prepare, args }
    }
    fn reset(&self) {
        let _ = fs::remove_dir_all(&self.root);
        fs::create_dir(&self.root).unwrap();
        (self.prepare)(&self.root);
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("skill-init"));
        command.args(args.iter().map(|arg| arg.replace('@', self.root.to_str().unwrap()))).env_clear();
        for (name, path) in [("DATA_DIR", "data"), ("AGENT_CACHE_DIR", "cache")] {
            command.env(format!("SKILL_RUNNER_{name}"), self.root.join(path));
        }
        command.env("SKILL_INIT_APP_DIR", self.root.join("app")).env("SKILL_INIT_IMPORT_DIR", self.root.join("import"));
        command.env("SKILL_RUNNER_RUNTIME_MODE", "container");
        command
    }
    fn finish(&self) {
        for args in self.args {
            let output = self.command(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    fn tree(&self) -> Tree {
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

/// What is not the user's: it may differ from run to run, but it must be whole.
fn ours(name: &str) -> bool {
    name == "data/bootstrap_report.json"
        || name.starts_with("cache/locks")
        || name.ends_with("trustedFolders.json.lock")
}
fn temporary(name: &str) -> bool {
    name.contains(".skill-init-")
}
/// `FILE.corrupt-TIME`, `FILE.replaced-TIME`, `FILE.not-imported-TIME` -> FILE.
fn kept(name: &str) -> Option<&str> {
    [".corrupt-", ".replaced-", ".not-imported-"].iter().find_map(|mark| name.find(mark)).map(|at| &name[..at])
}

/// Every file is old or new; what was kept is whole.
fn assert_old_or_new(case: &str, now: &Tree, old: &Tree, new: &Tree, sources: &[Vec<u8>]) {
    for (name, (mode, content)) in now {
        if temporary(name) {
            let secret = name.contains("auth.json") || name.contains("import-state");
            assert!(!secret || mode & 0o077 == 0, "{case}: {name} is open to others");
        } else if name == "data/bootstrap_report.json" {
            serde_json::from_slice::<serde_json::Value>(content.as_ref().unwrap())
                .unwrap_or_else(|e| panic!("{case}: {name}: {e}"));
        } else if name == "cache/import-state.json" {
            serde_json::from_slice::<serde_json::Value>(content.as_ref().unwrap())
                .unwrap_or_else(|e| panic!("{case}: {name}: {e}"));
            assert_eq!(*mode, 0o600, "{case}: {name}");
        } else if ours(name) {
        } else if let Some(file) = kept(name) {
            let whole = old.get(file).map(|(_, c)| c) == Some(content)
                || content.as_ref().is_some_and(|content| sources.contains(content));
            assert!(whole, "{case}: {name} is not what {file} was");
        } else if let Some(content) = content {
            let is = |tree: &Tree| tree.get(name).is_some_and(|(_, c)| c.as_ref() == Some(content));
            assert!(is(old) || is(new), "{case}: {name} is neither old nor new: {}", String::from_utf8_lossy(content));
        }
    }
    for (name, (_, content)) in old {
        if content.is_some() && !ours(name) && !temporary(name) {
            assert!(now.contains_key(name), "{case}: {name} is lost");
        }
    }
}

/// The same files with the same content and mode, nothing of ours left over.
fn assert_complete(case: &str, now: &Tree, new: &Tree) {
    let users = |tree: &Tree| -> Tree {
        let users = |name: &str| !ours(name) && kept(name).is_none() && name != "cache/import-state.json";
        tree.iter().filter(|(name, _)| users(name)).map(|(name, entry)| (name.clone(), entry.clone())).collect()
    };
    let (now, new) = (users(now), users(new));
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&now), names(&new), "{case}");
    for (name, entry) in &new {
        assert_eq!(now.get(name), Some(entry), "{case}: {name}");
    }
}

fn sweep(prepare: fn(&Path), args: &'static [&'static [&'static str]], faults: &[Fault]) {
    let scene = Scene::new(prepare, args);
    scene.reset();
    let old = scene.tree();
    scene.finish();
    let new = scene.tree();
    let sources: Vec<Vec<u8>> =
        old.iter().filter(|(name, _)| name.starts_with("import/")).filter_map(|(_, (_, c))| c.clone()).collect();
    let mut rounds = 0;
    for (index, args) in scene.args.iter().enumerate() {
        for &fault in faults {
            for n in 1.. {
                scene.reset();
                for before in &scene.args[..index] {
                    assert!(scene.command(before).output().unwrap().status.success());
                }
                let Some(ended) = traced(&mut scene.command(args), fault, n) else {
                    eprintln!("SKIPPED: ptrace is not allowed here");
                    return;
                };
                if ended.hit.is_none() {
                    assert!(ended.code == Some(0), "{ended:?}");
                    assert!(n > 3, "{args:?} made {} calls: the harness sees nothing", ended.calls);
                    break;
                }
                let case = format!("{args:?}, {fault:?} at call {n} ({ended:?})");
                match fault {
                    Fault::Kill => assert_eq!(ended.code, None, "{case}"),
                    _ => assert!(matches!(ended.code, Some(0 | 1 | 73)), "{case}"),
                }
                let now = scene.tree();
                assert_old_or_new(&case, &now, &old, &new, &sources);
                if fault != Fault::Kill && ended.hit != Some(libc::SYS_unlinkat) {
                    assert!(!now.keys().any(|name| temporary(name)), "{case}: a temporary file stays");
                }
                scene.finish();
                assert_complete(&case, &scene.tree(), &new);
                rounds += 1;
            }
        }
    }
    eprintln!("{rounds} faults, {} commands", scene.args.len());
}

const ERRORS: &[Fault] = &[
    Fault::Fail(libc::ENOSPC),
    Fault::Fail(libc::EIO),
    Fault::Fail(libc::EROFS),
    Fault::Fail(libc::EACCES),
    Fault::Short,
];

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Nothing but credentials to import.
fn empty(root: &Path) {
    write(root, "import/codex/auth.json", "{\"OPENAI_API_KEY\":\"synthetic\"}");
    write(root, "import/opencode/auth.json", "{\"p\":{\"type\":\"api\",\"key\":\"k\"}}");
}

/// Everything there, and everything wrong with it.
fn broken(root: &Path) {
    empty(root);
    fs::create_dir_all(root.join("data/runs")).unwrap();
    let home = |path: &str, content: &str| write(root, &format!("cache/agent-home/{path}"), content);
    home(".codex/config.toml", "# mine\nprojects = 3\n");
    home(".codex/auth.json", "{ corrupt");
    home(".gemini/settings.json", "{\"a\": 1,}");
    home(".gemini/trustedFolders.json", "");
    home(".iflow/settings.json", "{\"selectedAuthType\": \"iflow\", \"mine\": 1}");
    home(".config/opencode/opencode.json", "{");
    home(
        ".local/share/opencode/auth.json",
        "{\"mine\":{\"type\":\"api\",\"key\":\"m\"},\"p\":{\"type\":\"api\",\"key\":\"old\"}}",
    );
}

/// A prepared home whose credentials are overruled by force.
fn logged_in(root: &Path) {
    empty(root);
    write(root, "cache/agent-home/.codex/auth.json", "{\"OPENAI_API_KEY\":\"another\"}");
    write(root, "cache/agent-home/.codex/config.toml", "# mine\nmodel = 'x'\n");
    write(root, "cache/agent-home/.gemini/trustedFolders.json", "{ // mine\n  \"/x\": \"TRUST_FOLDER\"\n}\n");
    fs::create_dir_all(root.join("data/runs/r1")).unwrap();
}

#[test]
fn a_first_start_killed_at_any_call_is_completed_by_the_next() {
    sweep(empty, &[&["apply"]], &[Fault::Kill]);
}

#[test]
fn a_repair_killed_at_any_call_loses_nothing_and_is_completed_by_the_next() {
    sweep(broken, &[&["apply"]], &[Fault::Kill]);
}

#[test]
fn a_first_start_on_a_failing_file_system_leaves_old_or_new() {
    sweep(empty, &[&["apply"]], ERRORS);
}

#[test]
fn a_repair_on_a_failing_file_system_leaves_old_or_new() {
    sweep(broken, &[&["apply"]], ERRORS);
}

#[test]
fn import_and_trust_killed_or_failing_at_any_call_leave_old_or_new() {
    let args: &[&[&str]] = &[
        &["import", "--force"],
        &["trust", "add", "codex", "@/data/runs/r1"],
        &["trust", "add", "gemini", "@/data/runs/r1"],
    ];
    sweep(logged_in, args, &[Fault::Kill, Fault::Fail(libc::ENOSPC), Fault::Fail(libc::EIO), Fault::Short]);
}
