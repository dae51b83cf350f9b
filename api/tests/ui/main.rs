//! The pages over HTTP: every one with its success, its failure, its headers; hostile names and contents stay text.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod engines;
mod pages;
mod routes;
mod runs;

use common::*;
use std::net::SocketAddr;

/// What a browser wants.
pub(crate) const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub(crate) fn page(worker: &Worker, path: &str) -> String {
    let answer = request(worker.address, "GET", path, &[HTML], b"");
    assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    text(&answer)
}

/// A form as a browser sends it; a file is `(name, Some(file name), content)`.
pub(crate) fn send(address: SocketAddr, path: &str, parts: &[(&str, Option<&str>, &str)]) -> Answer {
    let mut body = String::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.push_str(&format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"));
    }
    body.push_str("--B--\r\n");
    request(address, "POST", path, &[("content-type", "multipart/form-data; boundary=B"), HTML], body.as_bytes())
}

pub(crate) fn with_engine() -> Setup {
    let answer = codex_says(r#"{"answer": 42, "__SKILL_DONE__": true}"#);
    Setup::new().skill("demo").cli("codex", &format!("echo bye >&2\necho made > artifacts/made.txt\n{answer}"))
}

/// A run that a page started; its id.
pub(crate) fn started(worker: &Worker, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", text(answer));
    let id = answer.header("location").unwrap().strip_prefix("/ui/runs/").unwrap().to_owned();
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
    id
}
