//! Crash consistency of everything that the program writes: the real binary under ptrace(2).
//!
//! For every system call that can change a file, in turn: the process is killed right before it, or the call fails with ENOSPC,
//! EIO, EROFS or EACCES, or a write is cut short. Afterwards every file is the old one or the new one, and the next start
//! or command completes. The API worker's files are swept by `api/tests/crash.rs` with the same tracer.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "ptrace(2)")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, reason = "a test")]

mod bootstrap;
mod commands;
mod generations;
mod scene;
#[path = "../skips/mod.rs"]
mod skips;
mod trace;
#[path = "../agents/world.rs"]
#[allow(dead_code, reason = "the agents suite uses all of it")]
mod world;
