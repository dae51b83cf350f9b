//! `GET /v1/skills` and `/v1/skills/{id}`.

use super::extract::Path;
use crate::{
    error::{ApiError, ApiResult},
    openapi::{Doc, Table},
    skills::Skill,
    state::Shared,
};
use axum::{Json, extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

pub(super) fn routes(app: &Shared) -> Table<()> {
    Table::new()
        .get("/v1/skills", list, Doc::new("skills", "Every installed skill").list("Skill"))
        .get("/v1/skills/{id}", one, Doc::new("skills", "One skill").ok("Skill").errors(&[404]))
        .with_state(app.clone())
}

async fn list(State(app): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.skills.snapshot().await.list.clone())
}

async fn one(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Skill>> {
    let skill = app.skills.skill(&id).await.ok_or_else(|| ApiError::not_found(format!("Skill '{id}' not found")))?;
    Ok(Json(Skill::clone(&skill)))
}
