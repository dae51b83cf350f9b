//! Readiness and liveness by each kind of probe.

use crate::fixture::{Init, lines, until};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixDatagram,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

#[test]
fn an_exec_probe_decides_readiness_both_ways() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        essential = true
        [service.app.readiness]
        exec = ["test", "-e", "@DIR@/up"]
        interval = "50ms"
        failure_threshold = 1
        "#,
    );
    init.state("app", "starting");
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(1));
    fs::write(init.path("up"), "").unwrap();
    init.ready();
    fs::remove_file(init.path("up")).unwrap();
    let reason = init.state("app", "unready");
    assert_eq!(reason, "probe: exit 1");
    assert_eq!(init.ask(&["health", "--live"]).0.code(), Some(0));
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(1));
}

#[test]
fn a_failing_liveness_probe_restarts_the_service_and_says_why() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "rm -f @DIR@/sick; echo run >> @DIR@/runs; exec sleep 1000"]
        backoff = { initial = "0s" }
        [service.app.liveness]
        exec = ["test", "!", "-e", "@DIR@/sick"]
        start_period = "0s"
        interval = "50ms"
        failure_threshold = 2
        "#,
    );
    init.state("app", "ready");
    lines(&init.path("runs"), 1);
    fs::write(init.path("sick"), "").unwrap();
    let reason = init.state("app", "stopping");
    assert_eq!(reason, "liveness probe: exit 1");
    init.state("app", "ready");
    assert_eq!(lines(&init.path("runs"), 2).lines().count(), 2);
}

#[test]
fn a_hanging_exec_probe_is_killed_at_its_deadline_and_counts_as_a_failure() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        [service.app.liveness]
        exec = ["sh", "-c", "echo $$ >> @DIR@/probes; exec sleep 1000"]
        start_period = "0s"
        interval = "50ms"
        timeout = "200ms"
        failure_threshold = 1
        "#,
    );
    let reason = init.state("app", "stopping");
    assert!(reason.contains("signal 9"), "{reason}");
    let probe = lines(&init.path("probes"), 1);
    let first = probe.lines().next().unwrap().to_owned();
    crate::fixture::until(|| crate::fixture::gone(&first).then_some(()));
}

#[test]
fn sd_notify_counts_only_from_the_service_itself() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "echo $NOTIFY_SOCKET > @DIR@/socket; exec sleep 1000"]
        readiness = { notify = true }
        essential = true
        "#,
    );
    let socket = lines(&init.path("socket"), 1);
    // A stranger's word is not the service's.
    UnixDatagram::unbound().unwrap().send_to(b"READY=1", socket.trim()).unwrap();
    assert_eq!(init.service("app")["state"], "starting");
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn the_service_that_is_never_ready_in_time_is_ended_and_comes_back() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        readiness = { fd = 3 }
        start_timeout = "100ms"
        budget = { restarts = 1, window = "1h" }
        backoff = { initial = "0s" }
        "#,
    );
    assert_eq!(init.state("app", "stopping"), "not ready in time");
    init.state("app", "starting");
    let reason = init.state("app", "failed");
    assert!(reason.starts_with("budget spent"), "{reason}");
}

/// A server on a port of its own that answers every request with the status of the moment.
fn server(status: &Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Arc::clone(status);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut request = [0; 512];
            let _ = stream.read(&mut request);
            let _ = write!(stream, "HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status.load(Ordering::SeqCst));
        }
    });
    port
}

#[test]
fn an_http_probe_decides_readiness_with_its_thresholds_and_names_the_status() {
    let status = Arc::new(AtomicU16::new(503));
    let port = server(&status);
    let mut init = Init::start(&format!(
        "[service.app]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n[service.app.readiness]\n\
         http = \"http://127.0.0.1:{port}/healthz\"\ninterval = \"50ms\"\nfailure_threshold = 3\nsuccess_threshold = 2\n"
    ));
    init.state("app", "starting");
    until(|| (init.service("app")["last_reason"] == "not ready yet: http 503").then_some(()));
    assert_eq!(init.service("app")["state"], "starting");
    status.store(204, Ordering::SeqCst);
    init.ready();
    status.store(500, Ordering::SeqCst);
    assert_eq!(init.state("app", "unready"), "probe: http 500");
    status.store(302, Ordering::SeqCst);
    init.ready();
    assert_eq!(init.service("app")["restarts"], 0);
}

#[test]
fn a_tcp_liveness_probe_restarts_when_the_port_closes_and_not_within_the_start_period() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut init = Init::start(&format!(
        "[service.app]\ncommand = [\"sleep\", \"1000\"]\nbackoff = {{ initial = \"0s\" }}\n\
         [service.app.liveness]\ntcp = \"127.0.0.1:{port}\"\nstart_period = \"0s\"\ninterval = \"50ms\"\nfailure_threshold = 2\n\
         [service.patient]\ncommand = [\"sleep\", \"1000\"]\n\
         [service.patient.liveness]\ntcp = \"127.0.0.1:{port}\"\nstart_period = \"1h\"\ninterval = \"50ms\"\nfailure_threshold = 1\n"
    ));
    init.state("app", "ready");
    drop(listener);
    assert_eq!(init.state("app", "stopping"), "liveness probe: connection refused");
    init.state("app", "starting");
    assert_eq!(init.service("patient")["restarts"], 0);
    assert_eq!(init.service("patient")["state"], "ready");
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_fails_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut init = Init::start(&format!(
        "[service.app]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n[service.app.readiness]\n\
         http = \"http://127.0.0.1:{port}/\"\ninterval = \"50ms\"\ntimeout = \"100ms\"\nfailure_threshold = 1\n"
    ));
    init.state("app", "starting");
    until(|| (init.service("app")["last_reason"] == "not ready yet: no answer within 100ms").then_some(()));
}

#[test]
fn sd_notify_makes_the_service_ready() {
    if std::process::Command::new("perl").args(["-MSocket", "-e", "1"]).status().is_err() {
        return crate::skips::skip("no perl to send a datagram with");
    }
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["perl", "-MSocket", "-e", 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; send($s, "STATUS=warm\nREADY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!; sleep 1000']
        readiness = { notify = true }
        essential = true
        "#,
    );
    init.ready();
    let app = init.service("app");
    assert_eq!((&app["state"], &app["status_text"]), (&"ready".into(), &"warm".into()));
}
