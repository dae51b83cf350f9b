//! What `apply` did: `<data>/bootstrap_report.json`, the log lines and the exit code come from here.

use crate::{
    exit::Exit,
    plan::files::{Need, Note, What},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Not done; the detail says why.
    Failed,
    /// Not tried: the folder that it needs could not be made.
    Skipped,
}

/// One step as it went.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// What it is about.
    pub what: What,
    /// What it changed.
    pub path: PathBuf,
    /// How.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Can a start do without it?
    pub need: Need,
    /// What became of it.
    pub outcome: Outcome,
    /// What happened on the way.
    pub detail: Option<String>,
    /// The command that mends a failure.
    pub mend: Option<String>,
    /// Microseconds.
    pub micros: u64,
}

/// The summary; its first fields have the names of the later releases' bootstrap report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `ok`, `partial_failure` (best-effort steps failed) or `failed` (a required one did).
    pub outcome: String,
    /// Milliseconds: look, plan and carry out.
    pub total_duration_ms: f64,
    /// Steps of the plan.
    pub steps_total: usize,
    /// Steps that failed or were skipped.
    pub steps_not_done: usize,
}

/// The report of one start.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// RFC 3339, UTC.
    pub generated_at: String,
    /// Version of this program.
    pub version: String,
    /// The summary.
    pub summary: Summary,
    /// Every step.
    pub steps: Vec<StepReport>,
    /// What is not right and was left alone.
    pub notes: Vec<Note>,
}

impl Report {
    pub(super) fn new(now: String, millis: f64, steps: Vec<StepReport>, notes: Vec<Note>) -> Self {
        let not_done = |step: &&StepReport| step.outcome != Outcome::Done;
        let required = steps.iter().filter(not_done).any(|step| step.need == Need::Required);
        let missed = steps.iter().filter(not_done).count();
        let outcome = match (required, missed) {
            (true, _) => "failed",
            (false, 0) => "ok",
            (false, _) => "partial_failure",
        };
        Self {
            generated_at: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: Summary {
                outcome: outcome.to_owned(),
                total_duration_ms: millis,
                steps_total: steps.len(),
                steps_not_done: missed,
            },
            steps,
            notes,
        }
    }

    /// A required step failed: the start ends with this code.
    pub fn fatal(&self) -> Option<Exit> {
        (self.summary.outcome == "failed").then_some(Exit::CANT_CREATE)
    }

    /// One line for each failure and each note: what, why and what to do.
    pub fn warnings(&self) -> Vec<String> {
        let failed = self.steps.iter().filter(|step| step.outcome == Outcome::Failed).map(|step| {
            let detail = step.detail.as_deref().unwrap_or("failed");
            let mend = step.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
            format!("{}: {detail}{mend}", step.path.display())
        });
        failed.chain(self.notes.iter().map(|note| format!("{}: {}", note.path.display(), note.message))).collect()
    }

    /// One line for each thing that was done.
    pub fn done(&self) -> Vec<String> {
        let done = self.steps.iter().filter(|step| step.outcome == Outcome::Done);
        done.map(|step| {
            let detail = step.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} {}: {}{detail}", step.action, step.path.display(), step.reason)
        })
        .collect()
    }
}
