//! The server against real sockets: bounds hold, garbage ends only its own connection.

use super::*;
use crate::control::{
    client::{Client, ClientError},
    protocol::{Health, HealthKind, Status},
};
use proptest::prelude::*;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream as Std,
};

/// A server with a driver that answers, on a thread of its own; ends with the value.
struct Running {
    path: PathBuf,
    _dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(answer: impl Fn(Call) + Send + 'static) -> Self {
        Self::with_policy(policy(true), answer)
    }
    fn with_policy(policy: Policy, answer: impl Fn(Call) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let server = Server::bind(&path, None, policy).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (calls, mut inbox) = mpsc::channel(16);
                tokio::spawn(server.run(calls));
                tokio::select! {
                    _ = stopped => {}
                    () = async { while let Some(call) = inbox.recv().await { answer(call) } } => {}
                }
            });
        });
        Self { path, _dir: dir, stop: Some(stop), thread: Some(thread) }
    }
    fn client(&self) -> Client {
        Client::new(vec![self.path.clone()])
    }
    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = Std::connect(&self.path).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn policy(from_inside: bool) -> Policy {
    Policy {
        own_uid: nix::unistd::geteuid().as_raw(),
        own_pid: std::process::id().cast_signed(),
        readers: Vec::new(),
        from_inside,
    }
}

fn polite(call: Call) {
    let response = match &call.request {
        Request::Status => Response::Status(Box::new(Status { pid: 7, ..Status::default() })),
        Request::Health { kind } => {
            Response::Health(Health { ok: *kind == HealthKind::Live, reasons: vec![], for_ms: None })
        }
        Request::WaitReady { .. } => return std::mem::forget(call.reply),
        other => Response::done(format!("{other:?}")),
    };
    let _ = call.reply.send(response);
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn questions_get_their_answers() {
    let server = Running::start(polite);
    assert_eq!(server.client().status(SOON).unwrap().pid, 7);
    let health = server.client().ask(&Request::Health { kind: HealthKind::Ready }, SOON).unwrap();
    assert_eq!(health, Response::Health(Health::default()));
}

#[test]
fn nobody_there_says_where_it_looked() {
    let error = Client::new(vec!["/no/such/socket".into()]).status(SOON).unwrap_err();
    assert!(matches!(error, ClientError::NobodyThere { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/socket"));
}

#[test]
fn a_supervised_process_may_read_and_not_change() {
    let server = Running::with_policy(policy(false), polite);
    assert_eq!(server.client().status(SOON).unwrap().pid, 7);
    let error = server.client().ask(&Request::Stop { service: "api".into() }, SOON).unwrap_err();
    assert!(matches!(error, ClientError::Answer { code: ErrorCode::Forbidden, .. }), "{error}");
}

#[test]
fn a_request_one_byte_too_long_is_refused_and_the_longest_is_parsed() {
    let server = Running::start(polite);
    let mut line = br#"{"request":"stop","service":""#.to_vec();
    line.resize(MAX_REQUEST - 2, b'x');
    line.extend_from_slice(b"\"}");
    let answer = String::from_utf8(server.raw(&line)).unwrap();
    assert!(answer.contains("done"), "{}", &answer[..80]);
    let answer = String::from_utf8(server.raw(&vec![b'x'; MAX_REQUEST + 1])).unwrap();
    assert!(answer.contains("too-large"), "{answer}");
}

#[test]
fn waiting_ends_at_its_deadline_and_waiters_are_counted() {
    let server = Running::start(polite);
    let error = server.client().ask(&Request::WaitReady { timeout_ms: 1 }, SOON).unwrap_err();
    assert!(matches!(error, ClientError::Answer { code: ErrorCode::Timeout, .. }), "{error}");

    let wait = |_| {
        let mut stream = Std::connect(&server.path).unwrap();
        stream.write_all(b"{\"request\":\"wait-ready\",\"timeout_ms\":60000}\n").unwrap();
        stream
    };
    let waiting: Vec<_> = (0..MAX_WAITERS).map(wait).collect();
    // Answered after every waiter before it: connections are served in order of arrival.
    let mut busy = wait(0);
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("busy"), "{answer}");
    assert_eq!(server.client().status(SOON).unwrap().pid, 7);
    drop(waiting);
    // The slots come back as the server notices the hang-ups.
    loop {
        match server.client().ask(&Request::WaitReady { timeout_ms: 1 }, SOON) {
            Err(ClientError::Answer { code: ErrorCode::Busy, .. }) => std::thread::yield_now(),
            Err(ClientError::Answer { code: ErrorCode::Timeout, .. }) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silent_connections_are_ended_and_others_are_served_after_them() {
    let server = Running::start(polite);
    let silent: Vec<_> = (0..2 * MAX_CONNECTIONS).map(|_| Std::connect(&server.path).unwrap()).collect();
    assert_eq!(server.client().status(SOON).unwrap().pid, 7);
    for mut stream in silent {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("did not arrive"), "{answer}");
    }
}

#[test]
fn a_driver_that_drops_the_call_is_an_error_answer() {
    let server = Running::start(drop);
    let error = server.client().status(SOON).unwrap_err();
    assert!(matches!(error, ClientError::Answer { code: ErrorCode::Refused, .. }), "{error}");
}

#[test]
fn a_silent_driver_meets_the_clients_deadline() {
    let server = Running::start(|call| std::mem::forget(call.reply));
    let error = server.client().status(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    let server = Server::bind(&path, None, policy(true)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Server::bind(&path, None, policy(true)), Err(BindError::InUse { .. })));
    drop(server);
    assert!(!path.exists());
    fs::write(&path, "mine").unwrap();
    assert!(matches!(Server::bind(&path, None, policy(true)), Err(BindError::NotASocket { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_socket_of_a_successor_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let first = Server::bind(&path, None, policy(true)).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Server::bind(&path, None, policy(true)).unwrap();
    drop(first);
    assert!(path.exists());
}

#[test]
fn the_next_path_is_taken_where_the_first_will_not_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let long = dir.path().join("x".repeat(200));
    let paths = [dir.path().join("file/control.sock"), long, dir.path().join("b/control.sock")];
    let (server, errors) = Server::open(&paths, None, policy(true)).unwrap();
    assert_eq!(server.path(), paths[2]);
    assert_eq!(errors.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_sent_the_next_question_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        thread_local! { static SERVER: Running = Running::start(polite); }
        SERVER.with(|server| {
            let answer = server.raw(&bytes);
            if !answer.is_empty() {
                serde_json::from_slice::<Response>(&answer).unwrap();
            }
            assert_eq!(server.client().status(SOON).unwrap().pid, 7);
        });
    }
}
