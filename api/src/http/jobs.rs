//! `/v1/jobs` and `/v1/temp-skill-runs`: create, upload, cancel, cleanup; the reads are shared.

use super::{
    extract::{Body, Path},
    form::Form,
    live, reads, upload,
};
use crate::{
    error::ApiResult,
    openapi::{CURSOR, Doc, HISTORY, RANGE, Table},
    runs::{CancelOutcome, Cleaned, Created, NewJob, NewTemp},
    state::Shared,
    store::Kind,
};
use axum::{Json, extract::State, routing::post};
use serde_json::{Value, json};

pub(super) fn routes(app: &Shared) -> Table<()> {
    let jobs = Table::new()
        .post(
            "/",
            create_job,
            Doc::new(JOBS, "Runs an installed skill; waits for an upload where it requires files")
                .json("NewJob")
                .ok("Created")
                .errors(&[400, 404, 429, 501]),
        )
        .post(
            "/cleanup",
            cleanup,
            Doc::new(JOBS, "Removes every run that has ended, requests without one, and the cache").ok("Cleaned"),
        )
        .post_with(
            "/{id}/upload",
            post(upload_job).layer(upload::form_max(app.config.upload_max)),
            Doc::new(JOBS, "The input files, by the names of the input's keys; starts the job")
                .form(&[("file", true)])
                .ok("Uploaded")
                .errors(&[400, 404, 409, 422, 429]),
        )
        .merge(shared(Kind::Job, app));
    let temp = Table::new()
        .post(
            "/",
            create_temp,
            Doc::new(TEMP, "A run of a skill that comes with its upload")
                .json("NewTempRun")
                .ok("Created")
                .errors(&[400]),
        )
        .post_with(
            "/{id}/upload",
            post(upload_temp)
                .layer(upload::form_max(app.config.upload_max.saturating_add(app.config.temp_package_max))),
            Doc::new(TEMP, "The skill's package, and input files where it requires any; starts the run")
                .form(&[("skill_package", true), ("file", false)])
                .ok("Uploaded")
                .errors(&[400, 404, 409, 422, 429, 501]),
        )
        .merge(shared(Kind::Temp, app));
    Table::new()
        .nest("/v1/jobs", jobs.with_state(app.clone()))
        .nest("/v1/temp-skill-runs", temp.with_state(app.clone()))
}

const JOBS: &str = "jobs";
const TEMP: &str = "temporary skills";

/// What both kinds of request answer.
fn shared(kind: Kind, app: &Shared) -> Table<Shared> {
    let at = reads::At { app: app.clone(), kind: Some(kind) };
    let doc = |summary| Doc::new(if kind == Kind::Job { JOBS } else { TEMP }, summary);
    Table::new()
        .get("/{id}", reads::status, doc("How it stands").ok("RunStatus").errors(&[404]))
        .get("/{id}/result", reads::result, doc("Its result; 404 until it has ended").ok("Result").errors(&[404]))
        .get("/{id}/artifacts", reads::artifacts, doc("Names of its files").ok("Artifacts").errors(&[404]))
        .get(
            "/{id}/artifacts/{*path}",
            reads::artifact,
            doc("One file; the path starts with artifacts/").bytes("*/*").errors(&[400, 404]),
        )
        .get("/{id}/bundle", reads::bundle, doc("Result and files as a zip").bytes("application/zip").errors(&[404]))
        .get(
            "/{id}/bundle/debug",
            reads::debug_bundle,
            doc("The whole run as a zip").bytes("application/zip").errors(&[404]),
        )
        .get("/{id}/logs", reads::logs, doc("The end of its output").ok("Logs").errors(&[404]))
        .get(
            "/{id}/logs/range",
            reads::range,
            doc("A part of its output").query(RANGE).ok("LogRange").errors(&[400, 404]),
        )
        .get(
            "/{id}/events",
            live::stream,
            doc("Its events as they happen (server-sent)").query(CURSOR).bytes("text/event-stream").errors(&[404]),
        )
        .get(
            "/{id}/events/history",
            live::list,
            doc("Its events so far, in pages").query(HISTORY).ok("History").errors(&[400, 404]),
        )
        .get("/{id}/interaction/pending", reads::pending, doc("The open question").ok("Pending").errors(&[404]))
        .post(
            "/{id}/interaction/reply",
            reads::reply,
            doc("Answers the open question").json("Reply").ok("ReplyAccepted").errors(&[400, 404, 409]),
        )
        .post("/{id}/cancel", cancel, doc("Ends it; 409 before it has begun").ok("Canceled").errors(&[404, 409]))
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

async fn upload_job(State(app): State<Shared>, Path(id): Path<String>, form: Form) -> ApiResult<Json<Value>> {
    app.uploadable(Kind::Job, &id).await?;
    let folder = app.config.requests_dir().join(&id);
    let received = upload::receive(form, &folder, &[("file", app.config.upload_max)]).await?;
    let (created, files) = app.upload_job(&id, received.need("file")?.to_owned()).await?;
    Ok(uploaded(&created, &files))
}

async fn upload_temp(State(app): State<Shared>, Path(id): Path<String>, form: Form) -> ApiResult<Json<Value>> {
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
