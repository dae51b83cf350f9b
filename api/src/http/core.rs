//! `GET /` and `/v1/system/ping`: alive, at the price of nothing.

use crate::openapi::{Doc, Table};
use axum::{Json, http::StatusCode};
use serde_json::{Value, json};

pub(super) fn routes() -> Table<()> {
    Table::new().get("/", root, Doc::new("core", "Alive").ok("Alive")).get(
        "/v1/system/ping",
        ping,
        Doc::new("core", "Alive, without a body"),
    )
}

async fn root() -> Json<Value> {
    Json(json!({"message": "Agent Skill Runner is running"}))
}

/// 204 without a body, as the later releases answer; HEAD too.
async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}
