//! `/v1/engines`: list, models, authentication status, upgrades. None of them waits for a CLI.

use super::extract::{Body, Path};
use crate::{
    engines::{models::NewSnapshot, upgrades::NewUpgrade},
    error::{ApiError, ApiResult},
    openapi::{Doc, Table},
    state::Shared,
};
use axum::{Json, extract::State};
use serde_json::{Value, json};

pub(super) fn routes(app: &Shared) -> Table<()> {
    let doc = |summary| Doc::new("engines", summary);
    Table::new()
        .get("/v1/engines", list, doc("Engines with the versions that init found").ok("Engines"))
        .get("/v1/engines/auth-status", auth_status, doc("Which engines are logged in, and why not").ok("AuthStatus"))
        .post(
            "/v1/engines/upgrades",
            upgrade,
            doc("Upgrades one engine or all; one upgrade at a time")
                .json("NewUpgrade")
                .ok("UpgradeAccepted")
                .errors(&[409]),
        )
        .get("/v1/engines/upgrades/{id}", upgrade_status, doc("How an upgrade stands").ok("Upgrade").errors(&[404]))
        .get("/v1/engines/{engine}/models", models, doc("Models of an engine").ok("Models").errors(&[404]))
        .get(
            "/v1/engines/{engine}/models/manifest",
            manifest,
            doc("Models, and the files that name them").ok("ModelManifest").errors(&[404]),
        )
        .post(
            "/v1/engines/{engine}/models/snapshots",
            snapshot,
            doc("Pins the models of the installed version").json("NewSnapshot").ok("ModelManifest").errors(&[404, 409]),
        )
        .get(
            "/v1/engines/{engine}/sandbox",
            sandbox,
            doc("How an engine is confined").ok("EngineSandbox").errors(&[404]),
        )
        .with_state(app.clone())
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

async fn auth_status(State(app): State<Shared>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"engines": app.auth_status().await?})))
}

async fn models(State(app): State<Shared>, Path(engine): Path<String>) -> ApiResult<Json<Value>> {
    app.models(&engine).await.map(Json)
}

async fn manifest(State(app): State<Shared>, Path(engine): Path<String>) -> ApiResult<Json<Value>> {
    app.model_view(&engine).await.map(Json)
}

async fn snapshot(
    State(app): State<Shared>,
    Path(engine): Path<String>,
    Body(new): Body<NewSnapshot>,
) -> ApiResult<Json<Value>> {
    app.add_snapshot(&engine, new).await.map(Json)
}

async fn sandbox(State(app): State<Shared>, Path(engine): Path<String>) -> ApiResult<Json<Value>> {
    if app.engines.get(&engine).is_none() {
        return Err(ApiError::not_found(format!("Engine '{engine}' not found")));
    }
    Ok(Json(json!({"engine": engine, "sandbox": app.engines.verdict(&engine).await})))
}

async fn upgrade(State(app): State<Shared>, Body(new): Body<NewUpgrade>) -> ApiResult<Json<Value>> {
    let id = app.start_upgrade(new).await?;
    Ok(Json(json!({"request_id": id, "status": "queued"})))
}

async fn upgrade_status(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    app.upgrade_record(&id).await?.map(Json).ok_or_else(|| ApiError::not_found("Upgrade request not found"))
}
