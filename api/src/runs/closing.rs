//! From the engine's end to the run's: the audit files, and what the end and the engine's words make of the run.
//!
//! Blocking from here on. A login that the engine asks for is told as that, whichever way the engine ended by itself.

use super::{
    outcome,
    prepare::Prepared,
    recorder::{Recorder, Recording},
    settled::SettledRun,
};
use crate::{
    engines::{
        output::wants_login,
        process::{Ended, Launch, Reason},
    },
    store::Run,
    time::{now_ms, rfc3339},
};
use nix::sys::signal::Signal;
use serde_json::{Map, json};
use std::time::Instant;

/// What is known once the engine has ended. Blocking from here on.
pub(super) struct Closing {
    pub(super) run: Run,
    pub(super) launch: Launch,
    pub(super) ended: Ended,
    pub(super) warnings: Vec<String>,
    pub(super) started: Instant,
    /// The commands that log in, as CLIs name them.
    pub(super) logins: Vec<String>,
}

impl Closing {
    /// Somebody must log in.
    fn login(&self, recording: &Recording) -> bool {
        let wanted = |text: &str| wants_login(text, &self.logins);
        wanted(&recording.tail) || recording.spoken.error.as_deref().is_some_and(wanted)
    }

    pub(super) fn close(self, prepared: &Prepared, recording: Recording) -> (SettledRun, Recorder) {
        let folder = &prepared.folder;
        folder.reclaim();
        self.audit(prepared, &recording);
        let mut settled = match self.ended {
            Ended::Asked(Reason::Canceled) => SettledRun::canceled(),
            Ended::Asked(Reason::Stopping) => SettledRun::interrupted("worker_stopped"),
            Ended::TimedOut if self.login(&recording) => SettledRun::failed("AUTH_REQUIRED", self.login_words()),
            Ended::TimedOut => SettledRun::failed(
                "TIMEOUT",
                format!("the engine was ended after {} s", self.launch.deadline.as_secs()),
            ),
            Ended::Exited(0) => answer(prepared, &recording),
            Ended::OomKilled(kill) => {
                let advice = "give the container more memory or lower SKILL_RUNNER_MAX_CONCURRENT";
                SettledRun::failed("ENGINE_OUT_OF_MEMORY", words(format!("{kill}; {advice}"), &recording))
            }
            Ended::Exited(_) | Ended::Signaled(_) if self.login(&recording) => {
                SettledRun::failed("AUTH_REQUIRED", self.login_words())
            }
            Ended::Exited(code) => {
                SettledRun::failed("ENGINE_FAILED", words(format!("exit status {code}"), &recording))
            }
            Ended::Signaled(signal) => {
                let from = if signal == Signal::SIGKILL as i32 { "killed from outside by " } else { "" };
                SettledRun::failed("ENGINE_FAILED", words(format!("{from}signal {signal}"), &recording))
            }
        };
        settled.warnings.splice(0..0, self.warnings);
        let after = folder.snapshot();
        let written =
            folder.write_snapshot("after", 1, &after).and_then(|()| folder.write_diff(1, &prepared.before, &after));
        if let Err(error) = written {
            tracing::warn!(folder = %folder.path().display(), %error, "audit files cannot be written");
        }
        (settled, recording.recorder)
    }

    fn login_words(&self) -> String {
        format!("{} is not logged in, or its login has expired", self.run.engine)
    }

    fn audit(&self, prepared: &Prepared, recording: &Recording) {
        let folder = &prepared.folder;
        let (kind, code) = match self.ended {
            Ended::Exited(code) => ("exited", Some(code)),
            Ended::Signaled(signal) => ("signaled", Some(signal)),
            Ended::OomKilled(_) => ("oom_killed", Some(Signal::SIGKILL as i32)),
            Ended::TimedOut => ("timed_out", None),
            Ended::Asked(Reason::Canceled) => ("canceled", None),
            Ended::Asked(Reason::Stopping) => ("stopped", None),
        };
        let shown: Vec<&str> = self
            .launch
            .args
            .iter()
            .map(|arg| if *arg == prepared.prompt { "<prompt: stdin.1.log>" } else { arg.as_str() })
            .collect();
        let meta = json!({
            "run_id": self.run.run_id, "attempt_number": 1, "status": "ended",
            "engine": self.run.engine, "model": self.run.model,
            "program": self.launch.program, "args": shown,
            "environment": self.launch.env.keys().collect::<Vec<_>>(),
            "ended": kind, "code": code, "session": recording.spoken.session,
            "finished_at": rfc3339(now_ms()), "duration_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        let metrics = json!({
            "stdout_bytes": recording.bytes.0, "stderr_bytes": recording.bytes.1,
            "messages": recording.spoken.said, "unparsed_lines": recording.spoken.unparsed,
        });
        let diagnostics = match recording.spoken.unparsed {
            0 => String::new(),
            n => format!("{}\n", json!({"code": "UNPARSED_LINES", "count": n, "ts": rfc3339(now_ms())})),
        };
        let written = crate::files::write_json(&folder.audit_file("meta", 1, "json"), &meta)
            .and_then(|()| crate::files::write_json(&folder.audit_file("protocol_metrics", 1, "json"), &metrics))
            .and_then(|()| {
                crate::files::write_atomic(&folder.audit_file("parser_diagnostics", 1, "jsonl"), diagnostics.as_bytes())
            });
        if let Err(error) = written {
            tracing::warn!(run = %self.run.run_id, %error, "audit files cannot be written");
        }
    }
}

fn words(how: String, recording: &Recording) -> String {
    let said = recording.spoken.error.clone().unwrap_or_else(|| {
        recording
            .tail
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(" | ")
    });
    if said.is_empty() { how } else { format!("{how}: {said}") }
}

/// An engine that ended well: is its answer what was promised?
fn answer(prepared: &Prepared, recording: &Recording) -> SettledRun {
    let run = prepared.folder.path();
    let Some(read) = outcome::read(&recording.spoken.messages, &prepared.contract, run) else {
        if prepared.contract.schema.is_none() && !recording.spoken.messages.is_empty() {
            let text = recording.spoken.messages.last().cloned().unwrap_or_default();
            let broken = prepared.contract.examiner(run).broken(Map::new()).1;
            if broken.is_empty() {
                return SettledRun::succeeded(json!({"text": text}), outcome::RepairLevel::None);
            }
        }
        let message = words("the engine's answer holds no JSON object".to_owned(), recording);
        return SettledRun::failed("OUTPUT_MISSING", message);
    };
    if !read.broken.is_empty() {
        let failed = SettledRun::failed("OUTPUT_INVALID", read.broken.join("; "));
        return SettledRun { data: read.data, repair: read.repair, validation: read.broken, ..failed };
    }
    let mut settled = SettledRun::succeeded(read.data, read.repair);
    if read.repair != outcome::RepairLevel::None {
        settled.validation.push("OUTPUT_REPAIRED: the JSON object was found inside a longer message".to_owned());
    }
    settled
}
