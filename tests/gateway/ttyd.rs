//! The real ttyd behind the real gateway.

use crate::fixture::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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
        eprintln!("SKIPPED: no ttyd here; set SKILL_INIT_TEST_TTYD to the program");
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
        let at = gateway.terminal;
        let mut stream = connect(at);
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tty\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = head(&mut stream);
        assert_eq!(status_of(&head), 101, "{head}");
        // RFC 6455 section 1.3: the accept value for this very key.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let mut socket = Self(stream);
        socket.send(br#"{"AuthToken":"","columns":80,"rows":24}"#);
        socket
    }

    pub(crate) fn send(&mut self, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![0x82, 0x80 | length, 0, 0, 0, 0];
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
