//! `/v1/engines`: list, models, authentication status, upgrades.

use crate::state::Shared;
use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

pub(super) fn router(app: &Shared) -> Router {
    Router::new().route("/v1/engines", get(list)).with_state(app.clone())
}

async fn list(State(app): State<Shared>) -> Json<Value> {
    let status = app.engines.status().await;
    let engines: Vec<Value> = app
        .engines
        .names()
        .iter()
        .map(|name| json!({"engine": name, "cli_version_detected": status.version(name)}))
        .collect();
    Json(json!({"engines": engines}))
}
