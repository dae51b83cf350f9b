//! How a run ended, before it is written down: its status, its data or its error, and what there is to warn of.
//!
//! A value: whoever ends a run (its engine, a client, the stop, the next start) makes one, and `finish` writes it.

use super::{RunFolder, outcome};
use crate::{
    excerpt::shown,
    store::{Run, RunStatus},
};
use serde_json::{Value, json};

/// Most bytes of an error's message: it stands in lists, and an engine's own words are in it.
const MESSAGE: usize = 4096;

/// How a run ended, before it is written down.
#[derive(Debug, Clone)]
pub struct SettledRun {
    pub(super) status: RunStatus,
    pub(super) data: Value,
    pub(super) repair: outcome::RepairLevel,
    pub(super) warnings: Vec<String>,
    pub(super) validation: Vec<String>,
    pub(super) error: Option<Value>,
    pub(super) cache: Option<String>,
    pub(super) recovery: Option<(&'static str, &'static str)>,
}

impl SettledRun {
    /// Without a result, for this reason.
    pub(super) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: RunStatus::Failed,
            data: Value::Null,
            repair: outcome::RepairLevel::None,
            warnings: Vec::new(),
            validation: Vec::new(),
            error: Some(json!({"code": code, "message": shown(&message.into(), MESSAGE)})),
            cache: None,
            recovery: None,
        }
    }

    /// With an answer that keeps what the skill promised.
    pub(super) fn succeeded(data: Value, repair: outcome::RepairLevel) -> Self {
        Self { status: RunStatus::Succeeded, data, repair, error: None, ..Self::failed("", "") }
    }

    /// By a client.
    pub(super) fn canceled() -> Self {
        Self { status: RunStatus::Canceled, ..Self::failed("CANCELED_BY_USER", "canceled by a client") }
    }

    /// By a restart of the worker.
    pub(super) fn interrupted(reason: &'static str) -> Self {
        Self {
            recovery: Some(("failed_reconciled", reason)),
            ..Self::failed(
                "ORCHESTRATOR_RESTART_INTERRUPTED",
                "the worker stopped or was restarted while the run was under way",
            )
        }
    }

    /// As a row tells it.
    pub(super) fn of_row(run: &Run) -> Self {
        Self { status: run.status, error: run.error.clone(), ..Self::failed("", "") }
    }

    pub(super) fn warnings_json(&self) -> Value {
        json!(self.warnings)
    }

    /// result.json.
    pub(super) fn result(&self, folder: &RunFolder) -> Value {
        let status = if self.status == RunStatus::Succeeded { "success" } else { self.status.as_str() };
        json!({
            "status": status,
            "data": self.data,
            "artifacts": folder.artifact_names(),
            "repair_level": self.repair.as_str(),
            "validation_warnings": self.validation,
            "error": self.error,
            "pending_interaction": null,
        })
    }
}
