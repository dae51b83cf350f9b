//! A worker in this process on a free port, its folders, a stub CLI, and a client as small as can be.
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

pub mod program;
pub mod prover;

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
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
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
        write_skill(&self.dir.path().join("skills"), id, &json!({}));
        self
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

pub fn write_cli(dir: &Path, name: &str, script: &str) {
    let path = dir.join("agent-cache/npm/bin").join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let status = dir.join("data/agent_status.json");
    let mut known: Value =
        fs::read(&status).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_else(|| json!({}));
    known[name] = json!({"present": true, "version": format!("{name}-cli 0.169.0")});
    fs::write(&status, known.to_string()).unwrap();
}

pub fn write_skill(root: &Path, id: &str, runner: &Value) {
    let assets = root.join(id).join("assets");
    fs::create_dir_all(&assets).unwrap();
    fs::write(root.join(id).join("SKILL.md"), format!("---\nname: {id}\ndescription: a test\n---\n# {id}\n")).unwrap();
    let mut all = json!({
        "id": id, "version": "1.0.0", "execution_modes": ["auto"],
        "schemas": {"input": "assets/input.schema.json", "parameter": "assets/parameter.schema.json",
                    "output": "assets/output.schema.json"},
    });
    for (key, value) in runner.as_object().unwrap() {
        all[key] = value.clone();
    }
    fs::write(assets.join("runner.json"), all.to_string()).unwrap();
    let schema =
        |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let write = |name: &str, schema: Value| fs::write(assets.join(name), schema.to_string()).unwrap();
    write("input.schema.json", schema(json!({"topic": {"type": "string", "x-input-source": "inline"}}), json!([])));
    write("parameter.schema.json", schema(json!({"n": {"type": "integer"}}), json!([])));
    write("output.schema.json", schema(json!({"answer": {"type": "integer"}}), json!(["answer"])));
}

/// The files of a skill as the entries of its package.
pub fn package_entries(id: &str, runner: &Value) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    write_skill(dir.path(), id, runner);
    let names = skill_api::files::list_files(dir.path()).into_iter();
    names.map(|name| (name.clone(), fs::read(dir.path().join(name)).unwrap())).collect()
}

/// A skill as a package.
pub fn package(id: &str, runner: &Value) -> Vec<u8> {
    let entries = package_entries(id, runner);
    zip(&entries.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect::<Vec<_>>())
}

/// What a codex stub prints for this answer.
pub fn codex_says(answer: &str) -> String {
    let message = json!({"type": "item.completed", "item": {"id": "0", "type": "agent_message", "text": answer}});
    format!(
        "printf '%s\\n' '{{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}}'\ncat <<'EOF'\n{message}\nEOF\nprintf '%s\\n' '{{\"type\":\"turn.completed\"}}'"
    )
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A server that answers before it has read everything closes early.
    let _ = stream.write_all(body);
    read_answer(stream, &format!("{method} {path}"))
}

/// The answer on a connection that ends with it.
pub fn read_answer(mut stream: TcpStream, what: &str) -> Answer {
    stream.set_read_timeout(Some(HANG)).unwrap();
    let mut raw = Vec::new();
    let ended = stream.read_to_end(&mut raw);
    let split =
        raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer to {what}: {ended:?}"));
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let mut body = raw[split + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunk(&body);
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = raw.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap().trim(), 16).unwrap_or(0);
        if size == 0 || raw.len() < end + 2 + size {
            break;
        }
        out.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = &raw[(end + 4 + size).min(raw.len())..];
    }
    out
}

pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(
            format!("--BOUND\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{name}.zip\"\r\ncontent-type: application/zip\r\n\r\n")
                .as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--BOUND--\r\n");
    ("multipart/form-data; boundary=BOUND".to_owned(), body)
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
