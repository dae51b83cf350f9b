//! The envelope of an event (fcmp/1.0), before it has a sequence number.

use crate::time::{Millis, rfc3339};
use serde_json::{Value, json};

/// The documented event types.
pub mod kind {
    /// The run's engine is about to start.
    pub const STARTED: &str = "conversation.started";
    /// `{from, to}`.
    pub const STATE: &str = "conversation.state.changed";
    /// `{text}`: something that the agent said.
    pub const MESSAGE: &str = "assistant.message.final";
    /// The run succeeded.
    pub const COMPLETED: &str = "conversation.completed";
    /// The run failed or was canceled: `{error}`.
    pub const FAILED: &str = "conversation.failed";
    /// `{code, message}`.
    pub const WARNING: &str = "diagnostic.warning";
    /// `{line}` of the engine's standard output.
    pub const STDOUT: &str = "raw.stdout";
    /// `{line}` of the engine's standard error.
    pub const STDERR: &str = "raw.stderr";
}

/// Where in an audit log the evidence lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRef {
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// First byte.
    pub from: u64,
    /// One past the last byte.
    pub to: u64,
}

/// An event on its way into the log.
#[derive(Debug, Clone)]
pub struct Draft {
    /// When.
    pub at: Millis,
    /// One of `kind`.
    pub kind: &'static str,
    /// Its data.
    pub data: Value,
    /// Its evidence.
    pub raw: Option<RawRef>,
}

impl Draft {
    /// An event now, without evidence.
    pub fn new(kind: &'static str, data: Value) -> Self {
        Self { at: crate::time::now_ms(), kind, data, raw: None }
    }

    /// A warning.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Self::new(kind::WARNING, json!({"code": code, "message": message.into()}))
    }

    /// A change of state.
    pub fn state(from: &str, to: &str) -> Self {
        Self::new(kind::STATE, json!({"from": from, "to": to}))
    }

    /// The line of the log.
    pub(super) fn line(&self, run_id: &str, engine: &str, attempt: u32, seq: u64, local_seq: u64) -> String {
        let raw = self.raw.map(|raw| {
            json!({"attempt_number": attempt, "stream": raw.stream, "byte_from": raw.from, "byte_to": raw.to, "encoding": "utf-8"})
        });
        json!({
            "protocol_version": "fcmp/1.0",
            "run_id": run_id,
            "seq": seq,
            "ts": rfc3339(self.at),
            "engine": engine,
            "type": self.kind,
            "data": self.data,
            "meta": {"attempt": attempt, "local_seq": local_seq},
            "raw_ref": raw,
        })
        .to_string()
    }
}
