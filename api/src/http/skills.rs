//! `GET /v1/skills` and `/v1/skills/{id}`.

use super::extract::Path;
use crate::{
    error::{ApiError, ApiResult},
    skills::Skill,
    state::Shared,
};
use axum::{Json, Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};

pub(super) fn router(app: &Shared) -> Router {
    Router::new().route("/v1/skills", get(list)).route("/v1/skills/{id}", get(one)).with_state(app.clone())
}

async fn list(State(app): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.skills.snapshot().await.list.clone())
}

async fn one(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Skill>> {
    let skill = app.skills.skill(&id).await.ok_or_else(|| ApiError::not_found(format!("Skill '{id}' not found")))?;
    Ok(Json(Skill::clone(&skill)))
}
