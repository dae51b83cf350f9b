//! A stand-in for PID 1 on a control socket, a gateway process, and a client that speaks bytes.

use skill_init::control::{
    peer::Policy,
    protocol::{Response, ServiceState, ServiceStatus, State, Status},
    server::{Call, Server},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{net::UnixDatagram, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Answers every status question with the status it holds; with `None` it never answers.
pub(crate) struct Init {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) status: Arc<Mutex<Option<Status>>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Init {
    pub(crate) fn new(status: Option<Status>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy {
            own_uid: nix::unistd::geteuid().as_raw(),
            own_pid: std::process::id().cast_signed(),
            readers: vec![],
            from_inside: false,
        };
        let server = Server::bind(&dir.path().join("control.sock"), None, policy).unwrap();
        let status = Arc::new(Mutex::new(status));
        let held = Arc::clone(&status);
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (calls, mut inbox) = tokio::sync::mpsc::channel::<Call>(16);
                tokio::spawn(server.run(calls));
                let mut unanswered = Vec::new();
                loop {
                    let call = tokio::select! {
                        call = inbox.recv() => call.unwrap(),
                        _ = &mut stopped => return,
                    };
                    let status = held.lock().unwrap().clone();
                    match status {
                        Some(status) => drop(call.reply.send(Response::Status(Box::new(status)))),
                        None => unanswered.push(call),
                    }
                }
            });
        });
        Self { dir, status, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// A container in good health.
pub(crate) fn healthy() -> Status {
    Status {
        state: State::Ready,
        live: true,
        ready: true,
        startup_done: true,
        version: "0.1.0".into(),
        services: vec![ServiceStatus {
            name: "api".into(),
            state: ServiceState::Ready,
            ready: true,
            essential: true,
            restarts: 2,
            ..ServiceStatus::default()
        }],
        ..Status::default()
    }
}

/// A gateway process; killed at the end of the value.
pub(crate) struct Gateway {
    pub(crate) http: SocketAddr,
    pub(crate) terminal: SocketAddr,
    child: Child,
}

impl Gateway {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(control: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let notify = tempfile::tempdir().unwrap();
        let said = UnixDatagram::bind(notify.path().join("notify")).unwrap();
        said.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (http, terminal) = (free(), free());
        let child = command(control, http, terminal, arguments, env)
            .env("NOTIFY_SOCKET", notify.path().join("notify"))
            .spawn()
            .unwrap();
        let mut word = [0; 16];
        let read = said.recv(&mut word).expect("the gateway says that it is ready");
        assert_eq!(&word[..read], b"READY=1");
        Self { http, terminal, child }
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway's command, in an environment of its own.
pub(crate) fn command(
    control: &Path,
    http: SocketAddr,
    terminal: SocketAddr,
    arguments: &[&str],
    env: &[(&str, &str)],
) -> Command {
    // A configuration file of its own, so that the machine's does not matter.
    let configuration = control.with_file_name("init.toml");
    std::fs::write(&configuration, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skill-init"));
    command
        .arg("gateway")
        .args(arguments)
        .env_clear()
        .env("SKILL_INIT_CONFIG", configuration)
        .env("SKILL_INIT_SOCKET", control)
        .env("SKILL_INIT_HTTP_ADDR", http.to_string())
        .env("UI_SHELL_TTYD_BIND_HOST", terminal.ip().to_string())
        .env("UI_SHELL_TTYD_PORT", terminal.port().to_string())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// An address that nobody listens on just now.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Connects; every read must make progress within a minute, so that a test fails instead of hanging.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends bytes, reads to the end of the connection.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One request with `Connection: close`: status and whole answer.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let answer = raw(address, text.as_bytes());
    (status_of(&answer), answer)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    request(address, "GET", path, &[])
}

/// The status code of an answer; 0: there is none.
pub(crate) fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Reads one response head, up to and with the empty line.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}
