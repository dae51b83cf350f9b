//! Events of a run: live, numbered once, resumable.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

mod common;
use common::*;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

#[test]
fn events_are_numbered_once_and_resumable() {
    let script = codex_says(r#"{"answer": 42, "__SKILL_DONE__": true}"#);
    let worker = Setup::new().skill("demo").cli("codex", &script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    let history = worker.get(&format!("/v1/jobs/{id}/events/history")).json();
    let events = history["events"].as_array().unwrap();
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types.first(), Some(&"conversation.state.changed"));
    assert!(types.contains(&"conversation.started") && types.contains(&"assistant.message.final"));
    assert_eq!(types.last(), Some(&"conversation.completed"));
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], n + 1);
    }
    let message = events.iter().find(|e| e["type"] == "assistant.message.final").unwrap();
    let raw = &message["raw_ref"];
    let range = worker.get(&format!(
        "/v1/jobs/{id}/logs/range?stream=stdout&byte_from={}&byte_to={}",
        raw["byte_from"], raw["byte_to"]
    ));
    assert!(range.json()["chunk"].as_str().unwrap().contains("agent_message"));
    let tail = worker.get(&format!("/v1/jobs/{id}/events/history?from_seq=3&to_seq=4")).json();
    assert_eq!(tail["events"].as_array().unwrap()[..], events[2..4]);
    let limited = worker.get(&format!("/v1/jobs/{id}/events/history?limit=2")).json();
    assert_eq!((&limited["count"], &limited["next_from_seq"]), (&json!(2), &json!(3)));
    let ts = events[0]["ts"].as_str().unwrap();
    let by_time = worker.get(&format!("/v1/jobs/{id}/events/history?from_ts={ts}&to_ts=2100-01-01T00:00:00Z")).json();
    assert_eq!(by_time["count"], events.len());
    let stream = worker.get(&format!("/v1/jobs/{id}/events?cursor={}", events.len() - 1));
    let text = String::from_utf8(stream.body).unwrap();
    assert!(text.starts_with("event: snapshot\n") && text.matches("event: chat_event").count() == 1, "{text}");
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/events/history?from_ts=noon")).status, 400);
}

/// An open event stream.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(address: SocketAddr, path: &str, header: &str) -> Self {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        socket
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n").as_bytes())
            .unwrap();
        Self(BufReader::new(socket))
    }

    /// The next event: its type, its number where it has one, its data; `None` at the end.
    fn next(&mut self) -> Option<(String, Option<u64>, Value)> {
        let (mut kind, mut number) = (String::new(), None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                number = Some(text.trim().parse().unwrap());
            } else if let Some(text) = line.strip_prefix("event: ") {
                kind = text.trim().to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some((kind, number, serde_json::from_str(text).unwrap()));
            }
        }
    }

    /// The next event of the run's own.
    fn event(&mut self) -> Option<(u64, Value)> {
        loop {
            let (kind, number, data) = self.next()?;
            if kind == "chat_event" {
                assert_eq!(data["seq"], number.unwrap());
                return Some((number.unwrap(), data));
            }
        }
    }

    fn until(&mut self, line: &str) -> u64 {
        loop {
            let (number, event) = self.event().expect("the stream goes on");
            if event["data"]["line"] == line {
                return number;
            }
        }
    }
}

#[test]
fn output_reaches_every_client_while_the_engine_still_runs() {
    let setup = Setup::new().skill("demo");
    let root = setup.dir.path().display().to_string();
    let wait = |file: &str| format!("while [ ! -e {root}/{file} ]; do sleep 0.02; done");
    let script =
        format!("echo first\n{}\necho second >&2\n{}\n{}", wait("one"), wait("two"), codex_says(r#"{"answer": 1}"#));
    let worker = setup.cli("codex", &script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let mut clients: Vec<Stream> = ["/v1/jobs", "/v1/management/runs"]
        .iter()
        .flat_map(|prefix| (0..3).map(move |_| prefix))
        .map(|prefix| Stream::open(worker.address, &format!("{prefix}/{id}/events"), ""))
        .collect();
    for client in &mut clients {
        client.until("first");
    }
    // Nobody has let it go on: what was just read is live.
    fs::write(worker.path("one"), "").unwrap();
    let seen: Vec<u64> = clients.iter_mut().map(|client| client.until("second")).collect();
    assert!(seen.iter().all(|number| *number == seen[0]), "one event has one number: {seen:?}");
    let logs = worker.get(&format!("/v1/jobs/{id}/logs")).json();
    assert_eq!((&logs["stdout"], &logs["stderr"]), (&json!("first\n"), &json!("second\n")));
    let so_far = worker.get(&format!("/v1/jobs/{id}/events/history")).json();
    fs::write(worker.path("two"), "").unwrap();
    for client in &mut clients {
        let mut last = Value::Null;
        while let Some((_, event)) = client.event() {
            last = event;
        }
        assert_eq!(last["type"], "conversation.completed");
    }
    // What was told while it ran is told in the same words afterwards.
    let whole = worker.get(&format!("/v1/jobs/{id}/events/history")).json();
    let (so_far, whole) = (so_far["events"].as_array().unwrap(), whole["events"].as_array().unwrap());
    assert_eq!(so_far[..], whole[..so_far.len()]);
}

#[test]
fn a_client_that_comes_back_after_every_event_gets_each_of_them_once() {
    let worker =
        Setup::new().skill("demo").cli("codex", &format!("seq 20\n{}", codex_says(r#"{"answer": 1}"#))).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let path = format!("/v1/jobs/{id}/events");
    let (mut last, mut seen) = (0, Vec::new());
    loop {
        // By the cursor and by the header that a browser sends, in turn.
        let (query, header) = match last % 2 {
            0 => (format!("?cursor={last}"), String::new()),
            _ => (String::new(), format!("last-event-id: {last}\r\n")),
        };
        let Some((number, event)) = Stream::open(worker.address, &format!("{path}{query}"), &header).event() else {
            break;
        };
        assert_eq!(number, last + 1);
        last = number;
        seen.push(event);
    }
    assert_eq!(seen.last().unwrap()["type"], "conversation.completed");
    let history = worker.get(&format!("{path}/history")).json();
    assert_eq!(history["events"].as_array().unwrap()[..], seen[..]);
}

#[test]
fn a_stream_of_a_request_that_is_removed_before_it_has_begun_ends() {
    let worker = Setup::new().reader().start();
    let id = worker.job(&json!({"skill_id": "reader"}));
    let mut stream = Stream::open(worker.address, &format!("/v1/jobs/{id}/events"), "");
    assert_eq!(stream.next().unwrap().0, "snapshot");
    let removed = worker.post("/v1/jobs/cleanup", &json!({})).json();
    assert_eq!(removed["requests_deleted"], 1, "{removed}");
    let last = std::iter::from_fn(|| stream.next()).last();
    assert!(last.is_none_or(|(event, ..)| event == "heartbeat"));
}
