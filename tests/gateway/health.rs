//! `/livez`, `/readyz`, `/startupz`, `/metrics`, and what the network may throw at them.

use crate::fixture::*;
use nix::sys::signal::{Signal, kill};
use std::{
    io::{Read, Write},
    process::Stdio,
    time::{Duration, Instant},
};

#[test]
fn a_healthy_container_says_so_on_every_path() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    for path in ["/livez", "/readyz", "/startupz", "/readyz?verbose", "/"] {
        assert_eq!(get(gateway.http, path).0, 200, "{path}");
    }
    assert!(get(gateway.http, "/readyz?verbose").1.contains("[+]api ready"));
    let metrics = get(gateway.http, "/metrics").1;
    assert!(metrics.to_lowercase().contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(
        metrics.contains("skill_init_ready 1")
            && metrics.contains(r#"skill_init_service_restarts_total{service="api"} 2"#)
    );
}

#[test]
fn an_answer_is_whole_although_nobody_read_the_body() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let body = "a".repeat(8 << 20);
    for path in ["/metrics", "/nothing", "/terminal/"] {
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut stream = connect(gateway.http);
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}

#[test]
fn unready_is_503_with_the_reason_while_live_stays_200() {
    let status = skill_init::control::protocol::Status {
        ready: false,
        ready_reasons: vec!["api is unready: probe: connection \u{1b}refused".into()],
        ..healthy()
    };
    let init = Init::new(Some(status));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let (code, answer) = get(gateway.http, "/readyz");
    assert_eq!(code, 503);
    assert!(answer.contains("not ready: api is unready: probe: connection \\u{1b}refused"), "{answer}");
    assert_eq!(get(gateway.http, "/livez").0, 200);
}

#[test]
fn a_change_is_seen_by_the_next_probes() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    assert_eq!(get(gateway.http, "/readyz").0, 200);
    init.status.lock().unwrap().as_mut().unwrap().ready = false;
    // What it learned a moment ago may be told once more.
    let end = Instant::now() + Duration::from_secs(300);
    while get(gateway.http, "/readyz").0 != 503 {
        assert!(Instant::now() < end, "the change is never seen");
    }
}

#[test]
fn a_silent_or_absent_init_is_503_with_the_reason() {
    let init = Init::new(None);
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let (code, answer) = get(gateway.http, "/livez");
    assert_eq!(code, 503);
    assert!(answer.contains("did not answer"), "{answer}");
    assert!(get(gateway.http, "/metrics").1.contains("skill_init_up 0"));
    drop(init);
    let (code, answer) = get(gateway.http, "/livez");
    assert_eq!(code, 503);
    assert!(answer.contains("not live: "), "{answer}");
}

#[test]
fn head_has_no_body_other_methods_are_405_other_paths_404() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let (code, answer) = request(gateway.http, "HEAD", "/livez", &[]);
    assert_eq!((code, answer.ends_with("\r\n\r\n")), (200, true), "{answer}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "BREW"] {
        let target = if method == "CONNECT" { "x:1" } else { "/livez" };
        assert_eq!(request(gateway.http, method, target, &[]).0, 405, "{method}");
    }
    assert_eq!(get(gateway.http, "/livez/../etc/passwd").0, 404);
    assert_eq!(get(gateway.http, "/nope").0, 404);
}

#[test]
fn garbage_huge_and_many_headers_end_their_connection_only() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let huge = "x".repeat(64 * 1024);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"\r\n\r\n\0\0\0\0".to_vec(),
        format!("GET /livez HTTP/1.1\r\n{many}\r\n").into_bytes(),
        format!("GET /livez HTTP/1.1\r\nX: {huge}\r\n\r\n").into_bytes(),
        format!("GET /{huge} HTTP/1.1\r\n\r\n").into_bytes(),
    ] {
        let answer = raw(gateway.http, &bytes);
        assert!(
            !answer.starts_with("HTTP/1.1 200"),
            "{:?} -> {answer}",
            String::from_utf8_lossy(&bytes[..30.min(bytes.len())])
        );
        assert_eq!(get(gateway.http, "/livez").0, 200);
    }
}

#[test]
fn two_lengths_of_one_body_end_the_connection_before_a_second_request_can_hide_in_it() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let bytes = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n\
                  GET /nope HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = raw(gateway.http, bytes);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    let one = |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{rest}\r\n");
    let bytes = one("/livez", "") + &one("/nope", "") + &one("/readyz", "Connection: close\r\n");
    let answer = raw(gateway.http, bytes.as_bytes());
    let codes: Vec<u16> = answer.split("HTTP/1.1").skip(1).map(|part| status_of(&format!("HTTP/1.1{part}"))).collect();
    assert_eq!(codes, [200, 404, 200]);
}

#[test]
fn held_open_connections_do_not_keep_a_probe_out() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[]);
    // More than the gateway allows at once, each with half a request.
    let held: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = connect(gateway.http);
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nX: ");
            stream
        })
        .collect();
    assert_eq!(get(gateway.http, "/livez").0, 200);
    // Every one of them is ended, by the newer ones or by the time limit of a request's head.
    for mut stream in held {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn term_ends_it_with_0_and_frees_the_port() {
    let init = Init::new(Some(healthy()));
    let mut gateway = Gateway::start(&init.socket(), &[], &[]);
    let mut idle = connect(gateway.http);
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(status_of(&head(&mut idle)), 200);
    kill(gateway.pid(), Signal::SIGHUP).unwrap();
    assert_eq!(get(gateway.http, "/livez").0, 200, "it survives SIGHUP");
    kill(gateway.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(std::net::TcpListener::bind(gateway.http).is_ok());
}

#[test]
fn a_taken_port_is_named_with_the_setting_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = command(&dir.path().join("c.sock"), taken.local_addr().unwrap(), free(), &[], &[])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{words}");
    assert!(words.contains("SKILL_INIT_HTTP_ADDR"), "{words}");
}

#[test]
fn its_environment_is_hidden_from_other_processes_of_the_same_uid() {
    let init = Init::new(Some(healthy()));
    let gateway = Gateway::start(&init.socket(), &[], &[("UI_BASIC_AUTH_PASSWORD", "secret")]);
    // Root reads everything; for others the owner of the files tells whether they may.
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{}/environ", gateway.pid())).unwrap().uid();
    assert_eq!(owner, 0);
    if !nix::unistd::geteuid().is_root() {
        assert!(std::fs::read(format!("/proc/{}/environ", gateway.pid())).is_err());
    }
}
