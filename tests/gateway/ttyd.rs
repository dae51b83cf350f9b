//! The real ttyd behind the real gateway.

use crate::fixture::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// ttyd from SKILL_INIT_TEST_TTYD, PATH, or where the recipe of the container suite puts it.
pub(crate) fn ttyd() -> Option<PathBuf> {
    let named = std::env::var("SKILL_INIT_TEST_TTYD").ok().map(PathBuf::from);
    let path = std::env::var("PATH").unwrap_or_default();
    let found = named
        .into_iter()
        .chain(path.split(':').map(|dir| Path::new(dir).join("ttyd")))
        .chain(["/opt/ttyd/bin/ttyd".into()])
        .find(|ttyd| ttyd.is_file());
    if found.is_none() {
        crate::skips::skip("no ttyd here; set SKILL_INIT_TEST_TTYD to the program");
    }
    found
}

struct Ttyd(Child);

impl Drop for Ttyd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The product's own command line, with another program in the place of the menu.
fn start(ttyd: &Path, control: &Path, program: &[&str]) -> Ttyd {
    skill_init::control::terminal::prepare(control, nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
        .unwrap();
    let mut command = skill_init::control::terminal::ttyd_command(ttyd, Path::new("/x"), control);
    let at = command.iter().position(|word| word == "--").unwrap();
    command.truncate(at + 1);
    command.extend(program.iter().map(|word| (*word).to_owned()));
    let child =
        Command::new(&command[0]).args(&command[1..]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let socket = skill_init::control::rundir::terminal_socket(control);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        std::thread::yield_now();
    }
    Ttyd(child)
}

/// A websocket client in a few lines: masked frames out, unmasked frames in (RFC 6455 section 5.2).
pub(crate) struct WebSocket(TcpStream);

impl WebSocket {
    pub(crate) fn open(gateway: &Gateway) -> Self {
        Self::open_at(gateway.terminal)
    }

    fn open_at(at: std::net::SocketAddr) -> Self {
        Self::try_open_at(at).unwrap()
    }

    /// `None`: refused for now.
    fn try_open_at(at: std::net::SocketAddr) -> Option<Self> {
        let mut stream = connect(at);
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tty\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&mut stream);
        if status_of(&head) != 101 {
            eprintln!("{head}");
            return None;
        }
        // RFC 6455 section 1.3: the accept value for this very key.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let mut socket = Self(stream);
        socket.send(br#"{"AuthToken":"","columns":80,"rows":24}"#);
        Some(socket)
    }

    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.frame(0x82, payload);
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![kind, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).unwrap();
    }

    pub(crate) fn typed(&mut self, text: &str) {
        self.send(format!("0{text}").as_bytes());
    }

    /// Terminal output until it holds `text`; `None`: the connection ended before.
    pub(crate) fn until(&mut self, text: &str) -> Option<String> {
        let mut output = Vec::new();
        loop {
            if String::from_utf8_lossy(&output).contains(text) {
                return Some(String::from_utf8_lossy(&output).into_owned());
            }
            let mut start = [0; 2];
            self.0.read_exact(&mut start).ok()?;
            let length = match start[1] & 0x7f {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length).ok()?;
                    usize::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.0.read_exact(&mut length).ok()?;
                    usize::try_from(u64::from_be_bytes(length)).unwrap()
                }
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).ok()?;
            match (start[0] & 0x0f, payload.first()) {
                (8, _) => return None,
                (9, _) => self.frame(0x8a, &payload),
                (1 | 2, Some(b'0')) => output.extend_from_slice(&payload[1..]),
                _ => {}
            }
        }
    }
}

#[test]
fn the_page_and_the_session_of_a_real_ttyd_come_through() {
    let Some(ttyd) = ttyd() else { return };
    let init = Init::new(Some(healthy()));
    let _ttyd = start(&ttyd, &init.socket(), &["sh", "-c", "echo HELLO; read line; echo got-$line; read wait"]);
    let socket = skill_init::control::rundir::terminal_socket(&init.socket());
    let gateway = Gateway::start(&init.socket(), &["--terminal", socket.to_str().unwrap()], &[]);
    let (code, page) = get(gateway.terminal, "/");
    assert_eq!(code, 200);
    assert!(page.contains("<title>ttyd"), "{}", &page[..600.min(page.len())]);
    assert!(get(gateway.terminal, "/token").1.contains("token"));
    let mut session = WebSocket::open(&gateway);
    session.until("HELLO").unwrap();
    session.typed("42\r");
    session.until("got-42").unwrap();
    drop(session);
    // The seat is free again, and ttyd agrees.
    let mut session = WebSocket::open(&gateway);
    session.until("HELLO").unwrap();
}

#[test]
fn a_stale_socket_does_not_keep_ttyd_from_starting() {
    let Some(ttyd) = ttyd() else { return };
    let init = Init::new(Some(healthy()));
    let first = start(&ttyd, &init.socket(), &["cat"]);
    drop(first); // SIGKILL: its socket stays
    let socket = skill_init::control::rundir::terminal_socket(&init.socket());
    assert!(socket.exists());
    let _second = start(&ttyd, &init.socket(), &["cat"]);
}

/// A container start with a terminal, without a worker; ended at the end of the value.
struct Whole {
    dir: tempfile::TempDir,
    http: std::net::SocketAddr,
    terminal: std::net::SocketAddr,
    init: Child,
}

impl Whole {
    fn start(ttyd: &Path) -> Self {
        use std::os::unix::{fs::PermissionsExt, process::CommandExt};
        let dir = tempfile::tempdir().unwrap();
        let at = |below: &str| dir.path().canonicalize().unwrap().join(below);
        std::fs::create_dir_all(at("npm/bin")).unwrap();
        std::fs::write(at("npm/bin/codex"), "#!/bin/sh\necho \"AGENT $1 in $PWD\"; read line; echo \"got-$line\"\n")
            .unwrap();
        std::fs::set_permissions(at("npm/bin/codex"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(at("init.toml"), "").unwrap();
        let (http, terminal) = (free(), free());
        let init = Command::new(env!("CARGO_BIN_EXE_skill-init"))
            .arg("entrypoint")
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("SKILL_RUNNER_RUNTIME_MODE", "container"), ("SKILL_INIT_API", "0")])
            .envs([("SKILL_INIT_ENSURE", "off"), ("SKILL_INIT_TTYD", "on"), ("SKILL_INIT_IMPORT", "0")])
            .env("SKILL_RUNNER_TTYD_PATH", ttyd)
            .env("SKILL_INIT_CONFIG", at("init.toml"))
            .env("SKILL_INIT_SOCKET", at("run/control.sock"))
            .env("SKILL_RUNNER_DATA_DIR", at("data"))
            .env("SKILL_RUNNER_AGENT_CACHE_DIR", at("cache"))
            .env("SKILL_RUNNER_AGENT_HOME", at("cache/home"))
            .env("SKILL_RUNNER_NPM_PREFIX", at("npm"))
            .env("SKILL_INIT_APP_DIR", at("app"))
            .env("SKILL_INIT_HTTP_ADDR", http.to_string())
            .env("UI_SHELL_TTYD_BIND_HOST", "127.0.0.1")
            .env("UI_SHELL_TTYD_PORT", terminal.port().to_string())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { dir, http, terminal, init }
    }

    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let socket = self.dir.path().join("run/control.sock");
        let output = Command::new(env!("CARGO_BIN_EXE_skill-init"))
            .args(arguments)
            .arg("--socket")
            .arg(socket)
            .output()
            .unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(words).unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

#[test]
fn the_whole_chain_from_the_browsers_socket_to_the_agent_works_under_the_real_init() {
    let Some(ttyd) = ttyd() else { return };
    let mut whole = Whole::start(&ttyd);
    let (code, words) = whole.ask(&["wait", "--ready", "--timeout", "60s"]);
    assert_eq!(code, Some(0), "{words}\n{}", whole.log());
    // Neither service is essential, so ready does not mean that they answer.
    let answers = |at, path: &str| std::net::TcpStream::connect(at).is_ok() && get(at, path).0 == 200;
    while !(answers(whole.http, "/readyz") && answers(whole.terminal, "/")) {
        std::thread::yield_now();
    }
    let mut session = WebSocket::open_at(whole.terminal);
    let menu = session.until("(q leaves): ").unwrap();
    assert!(menu.contains(" 1  codex            managed"), "{menu}");
    session.typed("1\r");
    session.until("AGENT --sandbox in ").unwrap();
    session.typed("42\r");
    session.until("got-42").unwrap();
    session.until("codex ended: exit 0.").unwrap();

    let (code, status) = whole.ask(&["status"]);
    assert_eq!(code, Some(0));
    assert!(status.contains("ttyd") && status.contains("gateway"), "{status}");
    assert_eq!(whole.ask(&["health", "--live"]), (Some(0), "live\n".to_owned()));
    let (code, words) = whole.ask(&["restart", "nobody"]);
    assert_eq!(code, Some(69), "{words}");
    assert_eq!(whole.ask(&["restart", "ttyd"]).0, Some(0));
    // The restart ends the session; the next one gets a fresh menu.
    while session.until("never printed").is_some() {}
    let end = Instant::now() + Duration::from_secs(300);
    let mut next = loop {
        if let Some(session) = WebSocket::try_open_at(whole.terminal) {
            break session;
        }
        assert!(Instant::now() < end, "no session after the restart");
    };
    next.until("(q leaves): ").unwrap();
    assert!(get(whole.http, "/metrics").1.contains(r#"skill_init_service_restarts_total{service="ttyd"}"#));

    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(whole.init.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(whole.init.wait().unwrap().code(), Some(0), "{}", whole.log());
    assert_eq!(whole.ask(&["status"]).0, Some(69));
}
