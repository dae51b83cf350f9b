//! The terminal's door, before a ttyd of our own making: who gets in, and what is passed on.

use crate::fixture::*;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::mpsc,
};

/// Plays ttyd: hands over each request head; answers pages with 200 and websockets with 101 and an echo.
fn fake_ttyd(path: &std::path::Path) -> mpsc::Receiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (heads, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, heads) = (stream.unwrap(), heads.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let websocket = head.starts_with("GET /ws ");
                let _ = heads.send(head);
                if websocket {
                    let _ = stream.write_all(
                        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: x\r\nSet-Cookie: secret=1\r\n\r\n",
                    );
                    echo(stream);
                } else {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: ttyd\r\nContent-Length: 4\r\n\r\npage",
                    );
                }
            });
        }
    });
    heard
}

fn echo(mut stream: UnixStream) {
    let mut bytes = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
}

struct Door {
    gateway: Gateway,
    heads: mpsc::Receiver<String>,
    _init: Init,
}

fn door(env: &[(&str, &str)]) -> Door {
    let init = Init::new(Some(healthy()));
    let socket = init.dir.path().join("ttyd.sock");
    let heads = fake_ttyd(&socket);
    let gateway = Gateway::start(&init.socket(), &["--terminal", socket.to_str().unwrap()], env);
    Door { gateway, heads, _init: init }
}

const AUTH: &[(&str, &str)] =
    &[("UI_BASIC_AUTH_ENABLED", "1"), ("UI_BASIC_AUTH_USERNAME", "ann"), ("UI_BASIC_AUTH_PASSWORD", "pä:ss")];

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// Headers of a websocket handshake.
fn handshake<'a>(origin: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "tty"),
        ("Origin", origin),
    ];
    headers.extend(more);
    headers
}

fn open(door: &Door, origin: &str, more: &[(&str, &str)]) -> (u16, std::net::TcpStream) {
    let mut stream = connect(door.gateway.terminal);
    let mut text = format!("GET /ws?arg=--evil HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n", door.gateway.terminal);
    for (name, value) in handshake(origin, more) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    let head = head(&mut stream);
    assert!(!head.to_lowercase().contains("set-cookie"), "{head}");
    (status_of(&head), stream)
}

#[test]
fn the_page_comes_through_hardened_and_nothing_private_goes_in() {
    let door = door(AUTH);
    let credentials = basic("ann:pä:ss");
    let headers = [("Authorization", credentials.as_str()), ("Cookie", "a=b"), ("X-Remote-User", "root")];
    let (code, answer) = request(door.gateway.terminal, "GET", "/?arg=-c&arg=sh", &headers);
    assert_eq!(code, 200, "{answer}");
    assert!(answer.ends_with("page"));
    let lower = answer.to_lowercase();
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "frame-ancestors 'self'",
        "referrer-policy: no-referrer",
    ] {
        assert!(lower.contains(header), "{header} not in {answer}");
    }
    assert!(!lower.contains("server: ttyd"));
    let seen = door.heads.recv().unwrap().to_lowercase();
    assert!(seen.starts_with("get / http/1.1\r\n"), "{seen}");
    for private in ["authorization", "cookie", "x-remote-user", "arg="] {
        assert!(!seen.contains(private), "{private} in {seen}");
    }
}

#[test]
fn without_the_right_credentials_nothing_reaches_ttyd() {
    let door = door(AUTH);
    let at = door.gateway.terminal;
    let own = format!("http://{at}");
    for path in ["/", "/token", "/ws", "/nope"] {
        let (code, answer) = request(at, "GET", path, &[]);
        assert_eq!(code, 401, "{path}");
        assert!(answer.contains(r#"Basic realm="skill-init terminal", charset="UTF-8""#), "{answer}");
    }
    let wrong = basic("ann:wrong");
    assert_eq!(request(at, "GET", "/", &[("Authorization", &wrong)]).0, 401);
    assert_eq!(open(&door, &own, &[("Authorization", &wrong)]).0, 401);
    assert_eq!(open(&door, &own, &[]).0, 401);
    let right = basic("ann:pä:ss");
    let twice = [("Authorization", right.as_str()), ("Authorization", wrong.as_str())];
    assert_eq!(request(at, "GET", "/", &twice).0, 401, "two headers");
    assert!(door.heads.try_recv().is_err(), "ttyd was asked");
    assert_eq!(open(&door, &own, &[("Authorization", &right)]).0, 101);
    assert_eq!(door.heads.iter().count_first(), "GET /ws HTTP/1.1");
}

trait CountFirst {
    fn count_first(self) -> String;
}
impl<I: Iterator<Item = String>> CountFirst for I {
    fn count_first(mut self) -> String {
        self.next().unwrap().lines().next().unwrap().to_owned()
    }
}

#[test]
fn guessing_is_braked_and_the_right_guess_too() {
    let door = door(AUTH);
    let at = door.gateway.terminal;
    let codes: Vec<u16> =
        (0..20).map(|n| request(at, "GET", "/", &[("Authorization", &basic(&format!("ann:{n}")))]).0).collect();
    assert_eq!(codes[..10], [401; 10]);
    assert!(codes[10..].contains(&429), "{codes:?}");
    let (code, answer) = request(at, "GET", "/", &[("Authorization", &basic("ann:pä:ss"))]);
    // Unless the test ran so slowly that a guess has come back.
    if code == 429 {
        assert!(answer.to_lowercase().contains("retry-after: 5"), "{answer}");
    } else {
        assert_eq!(code, 200);
    }
}

#[test]
fn only_the_own_page_and_named_ones_open_the_websocket() {
    let door = door(&[("SKILL_INIT_TERMINAL_ORIGINS", "https://ui.example.org")]);
    let own = format!("http://{}", door.gateway.terminal);
    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://ui.example.org",
        "https://ui.example.org.evil.example",
    ] {
        assert_eq!(open(&door, origin, &[]).0, 403, "{origin}");
    }
    let without = request(door.gateway.terminal, "GET", "/ws", &[("Upgrade", "websocket"), ("Connection", "Upgrade")]);
    assert_eq!(without.0, 403, "no origin");
    assert_eq!(open(&door, &own, &[("Origin", &own)]).0, 403, "two origins");
    assert!(door.heads.try_recv().is_err());
    assert_eq!(open(&door, "https://ui.example.org", &[]).0, 101);
    assert_eq!(open(&door, &own, &[]).0, 101);
}

#[test]
fn a_rebound_host_a_body_and_a_proxy_request_are_refused() {
    let door = door(&[]);
    let at = door.gateway.terminal;
    assert_eq!(request(at, "GET", "/", &[("Host", "evil.example")]).0, 421);
    assert_eq!(request(at, "GET", "/", &[("Host", "a"), ("Host", "b")]).0, 400);
    assert_eq!(request(at, "GET", "/", &[("Content-Length", "3")]).0, 400);
    assert_eq!(request(at, "GET", "http://evil.example/", &[]).0, 400);
    assert_eq!(request(at, "POST", "/", &[]).0, 405);
    assert_eq!(request(at, "GET", "/ws", &[]).0, 426);
    assert_eq!(request(at, "GET", "/token/", &[]).0, 404);
    assert_eq!(status_of(&raw(at, b"GET / HTTP/1.0\r\n\r\n")), 400);
    assert!(door.heads.try_recv().is_err());
    assert_eq!(get(at, "/").0, 200);
}

#[test]
fn one_client_at_a_time_and_the_next_one_after_it() {
    let door = door(&[]);
    let own = format!("http://{}", door.gateway.terminal);
    let (code, mut first) = open(&door, &own, &[]);
    assert_eq!(code, 101);
    first.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    first.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    assert_eq!(open(&door, &own, &[]).0, 409);
    assert!(get(door.gateway.http, "/metrics").1.contains("skill_init_terminal_clients 1"));
    assert_eq!(get(door.gateway.terminal, "/").0, 200, "the page is still there");
    drop(first);
    assert_eq!(open(&door, &own, &[]).0, 101);
}

#[test]
fn a_client_that_only_half_closes_gives_its_seat_back() {
    let door = door(&[]);
    let own = format!("http://{}", door.gateway.terminal);
    let (_, mut first) = open(&door, &own, &[]);
    first.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).unwrap();
    assert_eq!(open(&door, &own, &[]).0, 101);
}

#[test]
fn a_ttyd_that_is_not_there_is_503() {
    let init = Init::new(Some(healthy()));
    let socket = init.dir.path().join("ttyd.sock");
    let gateway = Gateway::start(&init.socket(), &["--terminal", socket.to_str().unwrap()], &[]);
    assert_eq!(get(gateway.terminal, "/").0, 503);
    assert_eq!(get(gateway.http, "/readyz").0, 200);
}

#[test]
fn term_ends_a_session_at_once() {
    let door = door(&[]);
    let own = format!("http://{}", door.gateway.terminal);
    let (_, mut first) = open(&door, &own, &[]);
    nix::sys::signal::kill(door.gateway.pid(), nix::sys::signal::Signal::SIGTERM).unwrap();
    let mut rest = Vec::new();
    let _ = first.read_to_end(&mut rest);
    let Door { mut gateway, .. } = door;
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn auth_without_a_password_never_opens_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--terminal", "/x/ttyd.sock"];
    let env = [("UI_BASIC_AUTH_ENABLED", "1"), ("UI_BASIC_AUTH_USERNAME", "ann")];
    let output = command(&dir.path().join("c.sock"), free(), free(), &arguments, &env).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
}
