//! `/ui`: the installed skills, the folders that are none and why, and the upload of a package.

use super::visit::Visit;
use crate::error::ApiResult;
use axum::response::Response;
use minijinja::{Value, context, value::Serde};
use serde_json::json;

/// `GET /ui`.
pub(super) async fn page(visit: Visit) -> ApiResult<Response> {
    let values = listed(&visit).await;
    visit.page("skills.html", "skills", values)
}

/// `GET /ui/management/skills/table`.
pub(super) async fn part(visit: Visit) -> ApiResult<Response> {
    let values = listed(&visit).await;
    visit.part("skills_table.html", values)
}

async fn listed(visit: &Visit) -> Value {
    let snapshot = visit.app.skills.snapshot().await;
    let skills: Vec<_> = snapshot
        .skills
        .values()
        .map(|skill| {
            json!({
                "id": skill.id, "name": skill.name, "version": skill.version, "description": skill.description,
                "engines": skill.effective_engines, "modes": skill.execution_modes,
            })
        })
        .collect();
    let invalid: Vec<_> = snapshot
        .invalid
        .iter()
        .map(|(folder, reason)| json!({"name": folder.file_name().unwrap_or_default().to_string_lossy(), "reason": reason}))
        .collect();
    context! { skills => Serde(skills), invalid => Serde(invalid) }
}
