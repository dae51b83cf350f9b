//! One function per parser of foreign bytes. Each takes any bytes and panics if a promise does not hold: the parser does not
//! panic, its result keeps its own rules, an edit is what it says and nothing else.
//!
//! Two callers: `tests/corpus.rs` replays `fuzz/corpus/TARGET/*` in every `cargo test`; `fuzz/` looks for new inputs with
//! libFuzzer (`scripts/fuzz.sh`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target that finds something panics"
)]

mod configuration;
mod credentials;
mod edits;
mod kernel;
mod network;
mod output;
mod worker;

use std::path::PathBuf;

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&[u8]),
}

/// A folder on tmpfs, for parsers that read files themselves.
fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    tempfile::tempdir_in(if memory.is_dir() { memory } else { std::env::temp_dir() }).unwrap()
}

/// The text of an input; bytes that are no text are replaced, as most readers do.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The input cut at the first zero byte.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}

macro_rules! targets {
    ($($room:ident: $($name:ident),+;)+) => {
        /// Every target.
        pub const TARGETS: [Target; [$($(stringify!($name)),+),+].len()] =
            [$($(Target { name: stringify!($name), run: $room::$name }),+),+];
    };
}

targets! {
    kernel: cgroup, proc, root;
    configuration: settings, values, catalogue;
    edits: codex_trust, gemini_trust, json_edit, default_config;
    credentials: import, import_state;
    output: npm, version, package_json, sandbox_status;
    network: control_request, control_response, gateway, terminal, login, origin, notify;
    worker: zip, events, engine_output, skill, options;
}
