//! The real program over the folders of a test, and random moments to kill it at.

use super::{HANG, awaited};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use skill_init::exit::Exit;
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

/// The same numbers at every run of a test.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// At least 0, less than the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The real program over a folder.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
    notify: UnixDatagram,
}

/// An address that no other process binds: what talks to a worker that was killed must not reach another's.
fn own_host() -> Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (a & 63), b, c)
}

impl Program {
    /// Ready when this returns.
    pub fn start(dir: &Path) -> Self {
        Self::start_behind(&[], dir)
    }

    /// The same in this control group.
    pub fn start_in(cgroup: &Path, dir: &Path) -> Self {
        let script = "echo 0 > \"$0/cgroup.procs\" && exec \"$@\"";
        Self::start_behind(&["/bin/sh", "-c", script, cgroup.to_str().unwrap()], dir)
    }

    fn start_behind(words: &[&str], dir: &Path) -> Self {
        loop {
            let mut program = Self::spawn_behind(words, dir);
            if program.is_ready() {
                return program;
            }
        }
    }

    /// Not waited for.
    pub fn spawn(dir: &Path) -> Self {
        Self::spawn_behind(&[], dir)
    }

    fn spawn_behind(words: &[&str], dir: &Path) -> Self {
        let (mut command, address, notify) = Self::command_behind(words, dir);
        Self { child: command.spawn().unwrap(), address, notify }
    }

    /// How it is started, where it will listen, and where it says that it does.
    pub fn command(dir: &Path) -> (Command, SocketAddr, UnixDatagram) {
        Self::command_behind(&[], dir)
    }

    /// The same behind the words of a program that becomes it.
    fn command_behind(words: &[&str], dir: &Path) -> (Command, SocketAddr, UnixDatagram) {
        let host = own_host();
        let port = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
        let socket = dir.join("notify.sock");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut words = words.iter().chain(&[env!("CARGO_BIN_EXE_skill-api")]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("PORT", port.to_string())
            .env("SKILL_INIT_API_HOST", host.to_string())
            .env("SKILL_RUNNER_RUNTIME_MODE", "local")
            .env("SKILL_RUNNER_LOCAL_ROOT", dir)
            .env("SKILL_RUNNER_MAX_CONCURRENT", "3")
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::null());
        (command, SocketAddr::from((host, port)), notify)
    }

    /// Waits for READY=1; `false` where another process took the port meanwhile.
    fn is_ready(&mut self) -> bool {
        awaited("READY=1", || {
            let mut buffer = [0; 256];
            if let Ok(n) = self.notify.recv(&mut buffer) {
                assert!(buffer[..n].starts_with(b"READY=1"));
                return Some(true);
            }
            let ended = self.child.try_wait().unwrap()?;
            assert_eq!(ended.code(), Some(i32::from(Exit::UNAVAILABLE.0)), "it ended before it was ready");
            Some(false)
        })
    }

    /// As `request`, but a worker that dies meanwhile gives nothing.
    pub fn try_json(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        self.try_raw(method, path, "application/json", body.to_string().as_bytes())
    }

    /// The same with any body.
    pub fn try_raw(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<Value> {
        serde_json::from_str(&self.try_text(method, path, kind, body)?).ok()
    }

    /// The same for an answer that is no JSON, or comes in pieces.
    pub fn try_text(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<String> {
        try_text(self.address, method, path, kind, body)
    }

    /// SIGKILL at a moment of the future, from another thread.
    pub fn kill_after(&self, delay: Duration) -> JoinHandle<()> {
        let pid = Pid::from_raw(self.child.id() as i32);
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            kill(pid, Signal::SIGKILL).unwrap();
        })
    }

    /// Waits for the end that `kill_after` brings.
    pub fn reap(&mut self, killer: JoinHandle<()>) {
        killer.join().unwrap();
        self.child.wait().unwrap();
    }
}

/// The body of an answer of 200; a worker that dies meanwhile gives nothing.
pub fn try_text(address: SocketAddr, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HANG)).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut raw = String::new();
    stream.read_to_string(&mut raw).ok()?;
    let (head, body) = raw.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
