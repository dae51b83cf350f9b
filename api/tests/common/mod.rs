//! A worker in this process on a free port, and its folders.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test file uses a part of it, and what fails here fails the test"
)]

mod client;
pub mod program;
pub mod prover;
mod skills;
#[path = "../../../tests/skips/mod.rs"]
pub mod skips;

pub use client::*;
pub use skills::*;

use serde_json::{Value, json};
use skill_api::{
    config::Config,
    notify::Notify,
    server,
    state::{App, Shared},
};
use skill_init::{
    layout::{Layout, Mode},
    settings::{Environment, Settings},
};
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Only so that a hang ends; nothing is ever expected to take a part of it.
pub const HANG: Duration = Duration::from_secs(300);

/// Asks until there is an answer.
pub fn awaited<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + HANG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks until it is so.
pub fn becomes(what: &str, mut is: impl FnMut() -> bool) {
    awaited(what, || is().then_some(()));
}

pub struct Worker {
    pub dir: TempDir,
    pub address: SocketAddr,
    pub app: Shared,
    runtime: Option<tokio::runtime::Runtime>,
    served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// The folders of a worker, with settings to change.
pub struct Setup {
    pub dir: TempDir,
    pub env: Vec<(String, String)>,
}

impl Setup {
    pub fn new() -> Self {
        Self::new_in(tempfile::tempdir().unwrap())
    }

    pub fn new_in(dir: TempDir) -> Self {
        for below in ["skills", "data", "agent-cache/npm/bin", "agent-cache/agent-home"] {
            fs::create_dir_all(dir.path().join(below)).unwrap();
        }
        let env = [("SKILL_RUNNER_MAX_CONCURRENT", "2"), ("PATH", &std::env::var("PATH").unwrap())];
        Self { dir, env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A skill whose output schema wants `{"answer": integer}`.
    pub fn skill(self, id: &str) -> Self {
        write_skill(&self.skills(), id, &json!({}));
        self
    }

    /// A skill whose input is a file: `reader`, which wants `paper`.
    pub fn reader(self) -> Self {
        self.skill("reader").input("reader", &paper())
    }

    /// Other input for a skill that is there.
    pub fn input(self, id: &str, schema: &Value) -> Self {
        write_input_schema(&self.skills(), id, schema);
        self
    }

    pub fn skills(&self) -> PathBuf {
        self.dir.path().join("skills")
    }

    /// With Basic Auth.
    pub fn guarded(self, username: &str, password: &str) -> Self {
        self.env("UI_BASIC_AUTH_ENABLED", "on")
            .env("UI_BASIC_AUTH_USERNAME", username)
            .env("UI_BASIC_AUTH_PASSWORD", password)
    }

    /// A CLI as a shell script in the managed prefix, known to init's status file.
    pub fn cli(self, name: &str, script: &str) -> Self {
        write_cli(self.dir.path(), name, script);
        self
    }

    /// A `skill-init` on PATH that is this script.
    pub fn init(self, script: &str) -> Self {
        let bin = self.dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("skill-init"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join("skill-init"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), self.env.iter().find(|(name, _)| name == "PATH").unwrap().1);
        self.env("PATH", &path)
    }

    pub fn config(&self) -> Config {
        let env = Environment(self.env.iter().cloned().collect());
        let settings = Settings::load(&env).unwrap();
        let layout = Layout::new(&settings, Mode::Local(self.dir.path().to_owned()));
        let mut config = Config::new(env, settings, layout);
        config.heartbeat = Duration::from_millis(100);
        config.kill_grace = Duration::from_millis(500);
        config
    }

    pub fn start(self) -> Worker {
        let config = self.config();
        self.start_with(config)
    }

    pub fn start_with(self, config: Config) -> Worker {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (app, address, served) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = App::start(config).await.unwrap();
            let served = tokio::spawn(server::run(app.clone(), listener, Notify::default()));
            (app, address, served)
        });
        Worker { dir: self.dir, address, app, runtime: Some(runtime), served: Some(served) }
    }
}

impl Worker {
    pub fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[], b"")
    }
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        request(self.address, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }
    pub fn post_form(&self, path: &str, parts: &[(&str, &[u8])]) -> Answer {
        let (kind, body) = form(parts);
        request(self.address, "POST", path, &[("content-type", &kind)], &body)
    }
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }
    /// Creates a job that must be accepted; its request id.
    pub fn job(&self, body: &Value) -> String {
        let answer = self.post("/v1/jobs", body);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["request_id"].as_str().unwrap().to_owned()
    }
    /// Waits for the end of a request's run by reading its event stream; the status record.
    pub fn settled(&self, prefix: &str, id: &str) -> Value {
        awaited(&format!("{prefix}/{id} ends"), || {
            self.get(&format!("{prefix}/{id}/events"));
            let status = self.get(&format!("{prefix}/{id}")).json();
            matches!(status["status"].as_str(), Some("succeeded" | "failed" | "canceled")).then_some(status)
        })
    }
    /// Waits until a job's engine is under way.
    pub fn running(&self, id: &str) {
        becomes(&format!("{id} runs"), || self.get(&format!("/v1/jobs/{id}")).json()["status"] == "running");
    }
    pub fn run_folder(&self, id: &str) -> PathBuf {
        let run = self.get(&format!("/v1/jobs/{id}")).json()["run_id"].as_str().unwrap().to_owned();
        self.path("data/runs").join(run)
    }
    /// Runs a future of the worker's own.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }
    /// Asks for the stop, waits for it; gives the folders for another worker.
    pub fn stop(mut self) -> Setup {
        self.app.stop.set();
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(self.served.take().unwrap()).unwrap().unwrap();
        runtime.shutdown_timeout(Duration::from_secs(5));
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let env = self.app.config.env.0.clone().into_iter().collect();
        Setup { dir, env }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.app.stop.set();
            runtime.block_on(self.app.drain());
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}
