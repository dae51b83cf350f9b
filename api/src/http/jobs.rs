//! `/v1/jobs` and `/v1/temp-skill-runs`: create, upload, cancel, cleanup; the reads are shared.

use super::{
    extract::{Body, Form, Path},
    live, reads, upload,
};
use crate::{
    error::ApiResult,
    runs::{CancelOutcome, Cleaned, Created, NewJob, NewTemp},
    state::Shared,
    store::Kind,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use serde_json::{Value, json};

/// Largest JSON body.
const BODY_MAX: usize = 8 << 20;

pub(super) fn router(app: &Shared) -> Router {
    let jobs = Router::new()
        .route("/", post(create_job).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/cleanup", post(cleanup))
        .route("/{id}/upload", post(upload_job).layer(DefaultBodyLimit::disable()))
        .merge(shared(Kind::Job, app));
    let temp = Router::new()
        .route("/", post(create_temp).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/{id}/upload", post(upload_temp).layer(DefaultBodyLimit::disable()))
        .merge(shared(Kind::Temp, app));
    Router::new()
        .nest("/v1/jobs", jobs.with_state(app.clone()))
        .nest("/v1/temp-skill-runs", temp.with_state(app.clone()))
}

/// What both kinds of request answer.
fn shared(kind: Kind, app: &Shared) -> Router<Shared> {
    let at = reads::At { app: app.clone(), kind: Some(kind) };
    Router::new()
        .route("/{id}", get(reads::status))
        .route("/{id}/result", get(reads::result))
        .route("/{id}/artifacts", get(reads::artifacts))
        .route("/{id}/artifacts/{*path}", get(reads::artifact))
        .route("/{id}/bundle", get(reads::bundle))
        .route("/{id}/bundle/debug", get(reads::debug_bundle))
        .route("/{id}/logs", get(reads::logs))
        .route("/{id}/logs/range", get(reads::range))
        .route("/{id}/events", get(live::stream))
        .route("/{id}/events/history", get(live::list))
        .route("/{id}/interaction/pending", get(reads::pending))
        .route("/{id}/interaction/reply", post(reads::reply))
        .route("/{id}/cancel", post(cancel))
        .with_state(at)
}

async fn create_job(State(app): State<Shared>, Body(job): Body<NewJob>) -> ApiResult<Json<Created>> {
    app.create_job(job).await.map(Json)
}

async fn create_temp(State(app): State<Shared>, Body(temp): Body<NewTemp>) -> ApiResult<Json<Created>> {
    app.create_temp(temp).await.map(Json)
}

fn uploaded(created: &Created, files: &[String]) -> Json<Value> {
    Json(json!({
        "request_id": created.request_id, "cache_hit": created.cache_hit, "status": created.status,
        "extracted_files": files,
    }))
}

async fn upload_job(State(app): State<Shared>, Path(id): Path<String>, Form(form): Form) -> ApiResult<Json<Value>> {
    app.uploadable(Kind::Job, &id).await?;
    let folder = app.config.requests_dir().join(&id);
    let received = upload::receive(form, &folder, &[("file", app.config.upload_max)]).await?;
    let (created, files) = app.upload_job(&id, received.need("file")?.to_owned()).await?;
    Ok(uploaded(&created, &files))
}

async fn upload_temp(State(app): State<Shared>, Path(id): Path<String>, Form(form): Form) -> ApiResult<Json<Value>> {
    app.uploadable(Kind::Temp, &id).await?;
    let folder = app.config.requests_dir().join(&id);
    let fields = [("skill_package", app.config.temp_package_max), ("file", app.config.upload_max)];
    let received = upload::receive(form, &folder, &fields).await?;
    let package = received.need("skill_package")?.to_owned();
    let (created, files) = app.upload_temp(&id, package, received.get("file").map(ToOwned::to_owned)).await?;
    Ok(uploaded(&created, &files))
}

async fn cancel(State(at): State<reads::At>, Path(id): Path<String>) -> ApiResult<Json<CancelOutcome>> {
    at.app.cancel(at.kind, &id).await.map(Json)
}

async fn cleanup(State(app): State<Shared>) -> ApiResult<Json<Cleaned>> {
    app.clean_all().await.map(Json)
}
