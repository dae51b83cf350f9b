//! Crash consistency of what the worker writes: the real program under ptrace, killed or failing at every change of a file.
//!
//! Rounds of one scene: a folder is brought back to what it was, a worker works in it until its n-th call is hit, the next worker
//! starts in what is left. Then every file is whole, every request that was answered has ended, nothing is left that
//! nobody knows of, and a new job succeeds. SQLite's own files are left out of the count: what it promises is its own.
//!
//! A round is a third of a second and a run has two hundred calls, so `cargo test` takes every twentieth of the long scenes for
//! each fault (each fault begins elsewhere), and every call for kills of a package's installation; `CRASH_EVERY=1` takes them all.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "ptrace(2)")]

mod common;
#[path = "../../tests/crash/trace.rs"]
mod trace;

use common::{
    program::{Program, try_text},
    *,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};
use trace::{Ended, Fault, Trace, in_memory};

/// Every way in which a call can be cut off or fail.
const ALL: &[Fault] = &[
    Fault::Kill,
    Fault::Fail(libc::ENOSPC),
    Fault::Fail(libc::EIO),
    Fault::Fail(libc::EROFS),
    Fault::Fail(libc::EACCES),
    Fault::Short,
];

/// A worker that may die at any moment.
struct Doomed<'a> {
    address: SocketAddr,
    over: &'a AtomicBool,
}

impl Doomed<'_> {
    fn ask(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let text = try_text(self.address, method, path, "application/json", body.to_string().as_bytes())?;
        serde_json::from_str(&text).ok()
    }
    fn send(&self, path: &str, parts: &[(&str, &[u8])]) -> Option<Value> {
        let (kind, body) = form(parts);
        serde_json::from_str(&try_text(self.address, "POST", path, &kind, &body)?).ok()
    }
    /// Until this record has one of these states, or the worker is dead.
    fn until(&self, path: &str, states: &[&str]) {
        awaited("the end of the worker or of its work", || {
            let record = self.ask("GET", path, &json!({}));
            let ended = record.is_some_and(|record| record["status"].as_str().is_some_and(|s| states.contains(&s)));
            (ended || self.over.load(Ordering::SeqCst)).then_some(())
        });
    }
}

const ENDED: &[&str] = &["succeeded", "failed", "canceled"];

/// A folder in two copies: as it was, and as it is.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = in_memory();
        let script = format!(
            "mkdir -p artifacts; cat uploads/paper > artifacts/copy.txt\n{}",
            codex_says(r#"{"answer": 1, "__SKILL_DONE__": true}"#)
        );
        let live = tempfile::tempdir().unwrap();
        let setup = Setup::new_in(live).skill("demo").reader().cli("codex", &script);
        copy(setup.dir.path(), &dir.path().join("live"));
        let scene = Self { dir };
        scene.keep();
        scene
    }
    fn root(&self) -> PathBuf {
        self.dir.path().join("live")
    }
    /// What is there now is what every round begins with.
    fn keep(&self) {
        copy(&self.root(), &self.dir.path().join("kept"));
    }
    fn again(&self) {
        copy(&self.dir.path().join("kept"), &self.root());
    }
}

fn copy(from: &Path, to: &Path) {
    becomes("the copy of the last round goes", || !to.exists() || fs::remove_dir_all(to).is_ok());
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// When calls begin to count.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Start,
    Ready,
}

/// One life of a worker; `None`: ptrace is not allowed here.
fn life(root: &Path, fault: Fault, n: usize, from: From, work: &dyn Fn(&Doomed<'_>)) -> Option<Ended> {
    let (mut command, address, notify) = Program::command(root);
    let (armed, over) = (AtomicBool::new(from == From::Start), AtomicBool::new(false));
    let counts = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.starts_with(root) && !name.starts_with("skill_api.db") && name != "notify.sock"
    };
    let (started, pid) = mpsc::channel();
    std::thread::scope(|scope| {
        let tracer = scope.spawn(|| {
            let ended = Trace { fault, n, counts: &counts, armed: &armed, started: Some(started) }.run(&mut command);
            over.store(true, Ordering::SeqCst);
            ended
        });
        let Ok(pid) = pid.recv() else { return tracer.join().unwrap() };
        // SAFETY: no memory; the descriptor keeps the number from meaning anybody else. pidfd_open(2).
        let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        awaited("READY=1, or the end", || {
            let ready = notify.recv(&mut [0; 256]).is_ok();
            (ready || over.load(Ordering::SeqCst)).then_some(())
        });
        armed.store(true, Ordering::SeqCst);
        if !over.load(Ordering::SeqCst) {
            work(&Doomed { address, over: &over });
        }
        // SAFETY: as above; it may have ended. pidfd_send_signal(2), close(2).
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, process, libc::SIGTERM, 0, 0);
            libc::close(process as i32);
        }
        tracer.join().unwrap()
    })
}

/// Of a long scene every twentieth call is taken, beginning elsewhere for each fault.
fn long() -> usize {
    std::env::var("CRASH_EVERY").map_or(20, |every| every.parse().unwrap())
}

/// Every fault at every `every`th call.
fn sweep(
    scene: &Scene,
    (faults, every): (&[Fault], usize),
    from: From,
    work: &dyn Fn(&Doomed<'_>),
    check: &dyn Fn(&str, &Path),
) {
    let root = scene.root();
    let mut rounds = 0;
    for (number, &fault) in faults.iter().enumerate() {
        for n in (1 + number * every / faults.len()..).step_by(every) {
            scene.again();
            let Some(ended) = life(&root, fault, n, from, work) else {
                return skips::skip("ptrace is not allowed here");
            };
            let Some((_, path)) = &ended.hit else {
                assert_eq!(ended.code, Some(0), "{ended:?}");
                // A scene that writes nothing has nothing to write half.
                assert!(n > 2 || fault == Fault::Short, "the harness sees nothing");
                break;
            };
            let case = format!("{fault:?} at call {n} on {}, {ended:?}", path.display());
            assert_eq!(fault == Fault::Kill, ended.code.is_none(), "{case}");
            whole(&case, &root, check);
            rounds += 1;
        }
    }
    eprintln!("{rounds} faults");
}

/// The next worker starts, ends what was begun, and works.
fn whole(case: &str, root: &Path, check: &dyn Fn(&str, &Path)) {
    let program = Program::start(root);
    let ask = |method: &str, path: &str, body: &Value| program.try_json(method, path, body);
    settled(case, root);
    for file in files(root) {
        let (path, name) = (file.as_path(), file.file_name().unwrap().to_string_lossy().into_owned());
        let text = fs::read_to_string(path).unwrap_or_default();
        let left =
            [".tmp", "/.upload-"].iter().any(|mark| path.strip_prefix(root).unwrap().to_string_lossy().contains(mark));
        assert!(!left, "{case}: {} is left", path.display());
        let parses = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        match path.extension().and_then(|end| end.to_str()) {
            Some("json") => assert!(parses(&text), "{case}: {}: {text}", path.display()),
            Some("jsonl") => {
                assert!(
                    text.lines().all(parses) && (text.is_empty() || text.ends_with('\n')),
                    "{case}: {name}: {text}"
                );
            }
            Some("zip") => {
                zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap_or_else(|e| panic!("{case}: {name}: {e}"));
            }
            _ => {}
        }
    }
    check(case, root);
    // Nothing that has ended is left after a cleanup, and nothing that nobody knows of.
    ask("POST", "/v1/jobs/cleanup", &json!({})).unwrap_or_else(|| panic!("{case}: no cleanup"));
    for folder in ["data/runs", "data/requests", "data/skill_packages", "skills/.staging"] {
        let left: Vec<_> = fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|e| e.path()).collect();
        let left: Vec<_> = left.iter().filter(|path| !path.ends_with("latest_run_id")).collect();
        assert!(left.is_empty(), "{case}: {left:?}");
    }
    let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
    let id = ask("POST", "/v1/jobs", &body).unwrap_or_else(|| panic!("{case}: no new job"));
    let path = format!("/v1/jobs/{}", id["request_id"].as_str().unwrap());
    let status = awaited("the new job ends", || {
        let status = ask("GET", &path, &json!({}))?["status"].as_str()?.to_owned();
        ENDED.contains(&status.as_str()).then_some(status)
    });
    assert_eq!(status, "succeeded", "{case}");
}

/// Every run has ended and its log is whole, and every installation.
fn settled(case: &str, root: &Path) {
    let database = rusqlite::Connection::open(root.join("data/skill_api.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(1);
    becomes(&format!("{case}: all of it ends"), || {
        count("SELECT count(*) FROM runs WHERE finished_at IS NULL OR log_ended = 0") == 0
            && count("SELECT count(*) FROM skill_installs WHERE status IN ('queued', 'running')") == 0
    });
}

fn files(root: &Path) -> Vec<PathBuf> {
    ["data", "skills"]
        .into_iter()
        .flat_map(|below| {
            skill_api::files::list_files(&root.join(below)).into_iter().map(move |f| root.join(below).join(f))
        })
        .collect()
}

/// A job with an upload, from its creation to its end.
fn job(worker: &Doomed<'_>) {
    let Some(created) = worker.ask("POST", "/v1/jobs", &json!({"skill_id": "reader"})) else { return };
    let path = format!("/v1/jobs/{}", created["request_id"].as_str().unwrap());
    if worker.send(&format!("{path}/upload"), &[("file", &zip(&[("paper", b"hello")]))]).is_some() {
        worker.until(&path, ENDED);
    }
}

#[test]
fn a_run_that_is_cut_off_anywhere_ends_in_words_and_leaves_nothing() {
    sweep(&Scene::new(), (ALL, long()), From::Ready, &job, &|_, _| {});
}

#[test]
fn a_temporary_skill_that_is_cut_off_anywhere_leaves_nothing() {
    let work = |worker: &Doomed<'_>| {
        let Some(created) = worker.ask("POST", "/v1/temp-skill-runs", &json!({})) else { return };
        let path = format!("/v1/temp-skill-runs/{}", created["request_id"].as_str().unwrap());
        if worker.send(&format!("{path}/upload"), &[("skill_package", &package("passing", &json!({})))]).is_some() {
            worker.until(&path, ENDED);
        }
    };
    sweep(&Scene::new(), (ALL, long()), From::Ready, &work, &|_, _| {});
}

#[test]
fn a_package_that_is_cut_off_anywhere_leaves_the_old_skill_or_the_new_one() {
    let work = |worker: &Doomed<'_>| {
        let new = package("demo", &json!({"version": "2.0.0"}));
        let Some(accepted) = worker.send("/v1/skill-packages/install", &[("file", &new)]) else { return };
        let path = format!("/v1/skill-packages/{}", accepted["request_id"].as_str().unwrap());
        worker.until(&path, &["succeeded", "failed"]);
    };
    let check = |case: &str, root: &Path| {
        let skill = fs::read_to_string(root.join("skills/demo/assets/runner.json")).unwrap_or_default();
        let skill: Value = serde_json::from_str(&skill).unwrap_or_default();
        assert!(skill["version"] == "1.0.0" || skill["version"] == "2.0.0", "{case}: {skill}");
        assert_eq!(skill_api::files::list_files(&root.join("skills/demo")).len(), 5, "{case}");
    };
    let scene = Scene::new();
    sweep(&scene, (&ALL[..1], 1), From::Ready, &work, &check);
    sweep(&scene, (&ALL[1..], long().min(5)), From::Ready, &work, &check);
}

#[test]
fn a_cleanup_that_is_cut_off_anywhere_is_completed_by_the_next() {
    let scene = Scene::new();
    life(&scene.root(), Fault::Kill, 0, From::Ready, &job);
    scene.keep();
    let work = |worker: &Doomed<'_>| drop(worker.ask("POST", "/v1/jobs/cleanup", &json!({})));
    sweep(&scene, (ALL, long().min(5)), From::Ready, &work, &|_, _| {});
}

#[test]
fn a_recovery_that_is_cut_off_anywhere_is_completed_by_the_next() {
    let scene = Scene::new();
    // Killed in the middle of a run: at the first of the engine's files.
    let hit = life(&scene.root(), Fault::Kill, 40, From::Ready, &job).and_then(|ended| ended.hit);
    assert!(hit.is_some());
    scene.keep();
    let work = |worker: &Doomed<'_>| drop(worker.ask("GET", "/v1/jobs", &json!({})));
    sweep(&scene, (ALL, long()), From::Start, &work, &|_, _| {});
}
