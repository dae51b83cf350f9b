//! `GET /` and `/v1/system/ping`: alive, at the price of nothing.

use axum::{Json, Router, http::StatusCode, routing::get};
use serde_json::{Value, json};

pub(super) fn router() -> Router {
    Router::new().route("/", get(root)).route("/v1/system/ping", get(ping))
}

async fn root() -> Json<Value> {
    Json(json!({"message": "Agent Skill Runner is running"}))
}

/// 204 without a body, as the later releases answer; HEAD too.
async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}
