//! Trust files under many writers at once: our own processes, and stand-ins for the CLIs with their own manners.
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

const OURS: usize = 12;
const THEIRS: usize = 40;

fn start(root: &Path, action: &str, engine: &str, folder: &Path) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("skill-init"));
    command.args(["trust", action, engine]).arg(folder).env_clear().env("SKILL_RUNNER_RUNTIME_MODE", "container");
    command.env("SKILL_RUNNER_DATA_DIR", root.join("data")).env("SKILL_RUNNER_AGENT_CACHE_DIR", root.join("cache"));
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = (0..OURS).map(|n| root.join(format!("data/runs/r{n}"))).collect();
    folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    folders
}

/// Every process adds its entry at the same time; all must succeed.
fn add_all(root: &Path, engine: &str, folders: &[PathBuf]) {
    let children: Vec<Child> = folders.iter().map(|folder| start(root, "add", engine, folder)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

/// Writes as codex does: whole file to a temporary name, renamed into place, without any lock.
fn write_like_codex(path: &Path, text: &str) {
    let temp = path.with_extension("theirs");
    fs::write(&temp, text).unwrap();
    fs::rename(&temp, path).unwrap();
}

#[test]
fn many_processes_lose_no_entry_of_each_other() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let folders = folders(&root);
    for (engine, file) in [("codex", ".codex/config.toml"), ("gemini", ".gemini/trustedFolders.json")] {
        add_all(&root, engine, &folders);
        let text = fs::read_to_string(root.join("cache/agent-home").join(file)).unwrap();
        for folder in &folders {
            assert!(text.contains(&format!("\"{}\"", folder.display())), "{engine} lost {}", folder.display());
        }
        let children: Vec<Child> = folders.iter().map(|folder| start(&root, "remove", engine, folder)).collect();
        children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
        let text = fs::read_to_string(root.join("cache/agent-home").join(file)).unwrap();
        assert!(!text.contains("/runs/"), "{engine}: {text}");
    }
}

/// The text behind this beginning. Between our exchange and the look at what it brought, an older one may be seen for
/// a moment; one that stays is a write that we lost.
fn rest_after(file: &Path, beginning: &str) -> String {
    for _ in 0..100_000 {
        if let Some(rest) = fs::read_to_string(file).unwrap().strip_prefix(beginning) {
            return rest.to_owned();
        }
        std::thread::yield_now();
    }
    panic!("a write of codex was lost: {beginning:?} is not in {:?}", fs::read_to_string(file))
}

// codex takes no lock: what it wrote must never be overwritten by what we had read before.
#[test]
fn what_codex_writes_without_a_lock_is_never_lost() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let folders = folders(&root);
    let file = root.join("cache/agent-home/.codex/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "count = 0\n").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                add_all(&root, "codex", &folders[..3]);
                for folder in &folders[..3] {
                    assert!(start(&root, "remove", "codex", folder).wait().unwrap().success());
                }
            }
        });
        for n in 1..=THEIRS {
            let rest = rest_after(&file, &format!("count = {}\n", n - 1));
            write_like_codex(&file, &format!("count = {n}\n{rest}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    rest_after(&file, &format!("count = {THEIRS}\n"));
}

// gemini's proper-lockfile: mkdir FILE.lock, read, change, rename, rmdir.
#[test]
fn gemini_and_we_lose_nothing_of_each_other() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let folders = folders(&root);
    let file = root.join("cache/agent-home/.gemini/trustedFolders.json");
    let lock = root.join("cache/agent-home/.gemini/trustedFolders.json.lock");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{}").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..THEIRS {
                while fs::create_dir(&lock).is_err() {
                    std::thread::yield_now();
                }
                let text = fs::read_to_string(&file).unwrap();
                let mut folders: serde_json::Value = serde_json::from_str(&text).unwrap();
                folders[format!("/theirs/{n}")] = "TRUST_FOLDER".into();
                write_like_codex(&file, &serde_json::to_string_pretty(&folders).unwrap());
                fs::remove_dir(&lock).unwrap();
            }
        });
        add_all(&root, "gemini", &folders);
    });
    let text = fs::read_to_string(&file).unwrap();
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(all.len(), OURS + THEIRS, "{text}");
    assert!(!lock.exists());
}
