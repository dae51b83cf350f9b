//! Agent CLIs on the real binary, with an npm that stops wherever a test wants it to.
//!
//! The short and deterministic part of what `tests/agents/run.sh` does with the real npm, so that every `cargo test` guards
//! it: nothing here waits for a time, every kill comes at a stage that npm itself reports.
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod bundle;
mod faults;
#[path = "../supervise/fixture.rs"]
#[allow(dead_code, clippy::expect_used, reason = "the supervise suite uses all of it")]
mod fixture;
mod invented;
mod killed;
mod powershell;
mod ready;
mod sandbox;
mod scripts;
mod secrets;
#[path = "../skips/mod.rs"]
mod skips;
mod world;
