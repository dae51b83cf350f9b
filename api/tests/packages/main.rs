//! Skill packages over HTTP: installed, updated, refused with every reason, and never half there.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod installs;
mod kills;
mod refusals;
mod volumes;

use common::*;
use serde_json::Value;
use std::fs;

pub(crate) const INSTALL: &str = "/v1/skill-packages/install";

/// The record of an installation that has ended.
pub(crate) fn ended(worker: &Worker, id: &str) -> Value {
    awaited("the installation ends", || {
        let record = worker.get(&format!("/v1/skill-packages/{id}")).json();
        (!matches!(record["status"].as_str(), Some("queued" | "running"))).then_some(record)
    })
}

pub(crate) fn install(worker: &Worker, archive: &[u8]) -> Value {
    let answer = worker.post_form(INSTALL, &[("file", archive)]);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let accepted = answer.json();
    assert_eq!(accepted["status"], "queued", "{accepted}");
    ended(worker, accepted["request_id"].as_str().unwrap())
}

pub(crate) fn refused(worker: &Worker, archive: &[u8]) -> String {
    let record = install(worker, archive);
    assert_eq!(record["status"], "failed", "{record}");
    record["error"].as_str().unwrap().to_owned()
}

/// A package with these entries changed; `None` leaves one out.
pub(crate) fn package_with(id: &str, runner: &Value, changes: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut entries = package_entries(id, runner);
    for (name, content) in changes {
        entries.retain(|(known, _)| known != name);
        if let Some(content) = content {
            entries.push(((*name).to_owned(), content.as_bytes().to_vec()));
        }
    }
    zip(&entries)
}

/// Nothing of an installation is left in the skills folder but what was there.
pub(crate) fn unchanged(worker: &Worker, skills: &[&str]) {
    let names: Vec<String> = worker
        .get("/v1/skills")
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|skill| skill["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, skills);
    // Of a success it goes after the record says so.
    becomes("the staging goes", || fs::read_dir(worker.path("skills/.staging")).map_or(0, Iterator::count) == 0);
    assert_eq!(fs::read_dir(worker.path("data/skill_packages")).map_or(0, Iterator::count), 0, "the upload stays");
}
