//! The routes. Thin: each is a look at what the other rooms keep.

use super::files;
use crate::{
    error::{ApiError, ApiResult},
    events,
    http::{
        self, EventsQuery, HistoryQuery, RangeQuery,
        extract::{Body, Params, Path},
    },
    openapi::{CURSOR, Doc, FILE, HISTORY, PAGES, PROTOCOL, RANGE, Table},
    runs::{CancelOutcome, RunFolder},
    skills::Skill,
    state::Shared,
    store::{Request, Run, RunFilter},
    time::rfc3339,
};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `/v1/management/*`.
pub fn routes(app: &Shared) -> Table<()> {
    let doc = |summary| Doc::new("management", summary);
    let table = Table::new()
        .get("/skills", skills, doc("Every skill, and the folders that are none").ok("ManagedSkills"))
        .get("/skills/{id}", skill, doc("One skill with its files").ok("ManagedSkill").errors(&[404]))
        .get("/skills/{id}/schemas", schemas, doc("Its JSON Schemas").ok("SkillSchemas").errors(&[404, 409]))
        .get("/engines", engines, doc("Every engine: version, login, confinement, models").ok("ManagedEngines"))
        .get("/engines/{engine}", engine, doc("One engine with its models").ok("ManagedEngine").errors(&[404]))
        .get("/concurrency", concurrency, doc("What runs and waits, and how much may").ok("Concurrency"))
        .get("/runs", runs, doc("Runs, newest first").query(PAGES).ok("Runs"))
        .get("/runs/{id}", run, doc("How a run stands").ok("RunStatus").errors(&[404]))
        .get("/runs/{id}/files", tree, doc("Its files").ok("RunFiles").errors(&[404]))
        .get("/runs/{id}/file", file, doc("The beginning of a file").query(FILE).ok("RunFile").errors(&[400, 404]))
        .get(
            "/runs/{id}/events",
            stream,
            doc("Its events as they happen (server-sent)").query(CURSOR).bytes("text/event-stream").errors(&[404]),
        )
        .get(
            "/runs/{id}/events/history",
            history,
            doc("Its events so far, in pages").query(HISTORY).ok("History").errors(&[400, 404]),
        )
        .get(
            "/runs/{id}/protocol/history",
            protocol,
            doc("The end of one of an attempt's logs").query(PROTOCOL).ok("ProtocolHistory").errors(&[400, 404]),
        )
        .get(
            "/runs/{id}/logs/range",
            range,
            doc("A part of its output").query(RANGE).ok("LogRange").errors(&[400, 404]),
        )
        .get("/runs/{id}/pending", pending, doc("The open question").ok("Pending").errors(&[404]))
        .post(
            "/runs/{id}/reply",
            reply,
            doc("Answers the open question").json("Reply").ok("ReplyAccepted").errors(&[404, 409]),
        )
        .post("/runs/{id}/cancel", cancel, doc("Ends it; 409 before it has begun").ok("Canceled").errors(&[404, 409]))
        .with_state(app.clone());
    Table::new().nest("/v1/management", table)
}

fn summary(skill: &Skill) -> Value {
    json!({
        "id": skill.id, "name": skill.name, "version": skill.version, "description": skill.description,
        "engines": skill.engines, "unsupported_engines": skill.unsupported_engines,
        "effective_engines": skill.effective_engines, "execution_modes": skill.execution_modes, "health": "healthy",
    })
}

async fn skills(State(app): State<Shared>) -> Json<Value> {
    let snapshot = app.skills.snapshot().await;
    let skills: Vec<Value> = snapshot.skills.values().map(|skill| summary(skill)).collect();
    let invalid: Vec<Value> =
        snapshot.invalid.iter().map(|(folder, reason)| json!({"path": folder, "reason": reason})).collect();
    Json(json!({"skills": skills, "invalid": invalid}))
}

async fn known(app: &Shared, id: &str) -> ApiResult<Arc<Skill>> {
    app.skills.skill(id).await.ok_or_else(|| ApiError::not_found(format!("Skill '{id}' not found")))
}

async fn skill(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let skill = known(&app, &id).await?;
    let mut out = summary(&skill);
    let path = skill.path.clone();
    let files = tokio::task::spawn_blocking(move || files::tree(&path)).await?;
    if let Some(map) = out.as_object_mut() {
        map.insert("schemas".to_owned(), json!(skill.schemas));
        map.insert("entrypoints".to_owned(), skill.entrypoint.clone());
        map.insert("artifacts".to_owned(), skill.artifacts.clone());
        map.insert("runtime".to_owned(), skill.runtime.clone());
        map.insert("files".to_owned(), Value::Array(files));
    }
    Ok(Json(out))
}

async fn schemas(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let skill = known(&app, &id).await?;
    let read = tokio::task::spawn_blocking(move || {
        let one = |which: &Option<String>| skill.schema(which.as_ref()).map_err(|p| ApiError::conflict(p.to_string()));
        Ok::<_, ApiError>(json!({
            "skill_id": skill.id, "input": one(&skill.schemas.input)?,
            "parameter": one(&skill.schemas.parameter)?, "output": one(&skill.schemas.output)?,
        }))
    });
    Ok(Json(read.await??))
}

async fn engines(State(app): State<Shared>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"engines": app.engine_views().await?})))
}

async fn engine(State(app): State<Shared>, Path(engine): Path<String>) -> ApiResult<Json<Value>> {
    let models = app.models(&engine).await?;
    let mut out = app.engine_view(&engine).await?;
    if let (Some(map), Some(models)) = (out.as_object_mut(), models.get("models")) {
        map.insert("models".to_owned(), models.clone());
    }
    Ok(Json(out))
}

async fn concurrency(State(app): State<Shared>) -> Json<Value> {
    Json(app.concurrency())
}

/// Which page of the runs.
#[derive(Debug, Default, Deserialize)]
struct Pages {
    page: Option<usize>,
    page_size: Option<usize>,
    limit: Option<usize>,
}

fn of_run(run: &Run) -> Value {
    json!({
        "request_id": run.request_id, "run_id": run.run_id, "skill_id": run.skill_id, "engine": run.engine,
        "model": run.model, "status": run.status, "created_at": rfc3339(run.created_at),
        "updated_at": rfc3339(run.updated_at), "error": run.error, "warnings": run.warnings,
        "pending_interaction_id": null, "interaction_count": 0,
    })
}

async fn runs(State(app): State<Shared>, Params(query): Params<Pages>) -> ApiResult<Json<Value>> {
    let size = query.page_size.or(query.limit).unwrap_or(20).clamp(1, 200);
    let page = query.page.unwrap_or(1).max(1);
    let filter = RunFilter { status: None, limit: size, offset: (page - 1).saturating_mul(size) };
    let (runs, total) = app.store.runs(filter).await?;
    let pages = total.div_ceil(size as u64);
    let runs: Vec<Value> = runs.iter().map(of_run).collect();
    Ok(Json(json!({"runs": runs, "total": total, "page": page, "page_size": size, "total_pages": pages})))
}

async fn both(app: &Shared, id: &str) -> ApiResult<(Request, Run, RunFolder)> {
    let (request, run) = app.request_and_run(None, id).await?;
    let run = run.ok_or_else(|| ApiError::not_found("the request has no run yet"))?;
    let folder = RunFolder::new(&app.config.runs_dir(), &run.run_id);
    Ok((request, run, folder))
}

async fn run(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (request, run) = app.request_and_run(None, &id).await?;
    Ok(Json(http::status_record(&request, run.as_ref())))
}

async fn tree(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run, folder) = both(&app, &id).await?;
    let entries = tokio::task::spawn_blocking(move || files::tree(folder.path())).await?;
    Ok(Json(json!({"request_id": id, "run_id": run.run_id, "entries": entries})))
}

/// A file of a run.
#[derive(Debug, Deserialize)]
struct Wanted {
    path: String,
}

async fn file(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Params(wanted): Params<Wanted>,
) -> ApiResult<Json<Value>> {
    if crate::files::plain_relative(&wanted.path).is_none() {
        return Err(ApiError::bad_request("path is not a path inside the run"));
    }
    let (_, run, folder) = both(&app, &id).await?;
    let path = wanted.path.clone();
    let preview = tokio::task::spawn_blocking(move || files::preview(folder.path(), &path)).await??;
    let preview = preview.ok_or_else(|| ApiError::not_found("File not found"))?;
    Ok(Json(json!({"request_id": id, "run_id": run.run_id, "path": wanted.path, "preview": preview})))
}

async fn stream(
    State(app): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Params(query): Params<EventsQuery>,
) -> ApiResult<Response> {
    app.request_and_run(None, &id).await?;
    Ok(http::events(app, id, query.resumed(&headers)))
}

async fn history(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Params(query): Params<HistoryQuery>,
) -> ApiResult<Response> {
    let (_, run, folder) = both(&app, &id).await?;
    app.whole_log(&run).await;
    http::history(id, Some(folder), query).await
}

/// One stream of an attempt's audit files.
#[derive(Debug, Deserialize)]
struct Protocol {
    stream: String,
    attempt: Option<u32>,
    limit: Option<u64>,
}

async fn protocol(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Params(query): Params<Protocol>,
) -> ApiResult<Json<Value>> {
    let stem = match query.stream.as_str() {
        "fcmp" => "fcmp_events",
        "rasp" => "events",
        "orchestrator" => "orchestrator_events",
        _ => return Err(ApiError::bad_request("stream is one of fcmp, rasp, orchestrator")),
    };
    let (_, run, folder) = both(&app, &id).await?;
    app.whole_log(&run).await;
    let limit = query.limit.unwrap_or(200).clamp(1, 1000);
    let attempt = query.attempt;
    let read = tokio::task::spawn_blocking(move || {
        let last = folder.last_attempt();
        let attempt = attempt.unwrap_or(last);
        let lines = events::last_lines(&folder.audit_file(stem, attempt, "jsonl"), limit)?;
        Ok::<_, std::io::Error>((attempt, last, lines))
    });
    let (attempt, last, lines) = read.await??;
    let events: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok(Json(json!({
        "request_id": id, "stream": query.stream, "attempt": attempt,
        "available_attempts": (1..=last).collect::<Vec<_>>(), "count": events.len(), "events": events,
    })))
}

async fn range(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Params(query): Params<RangeQuery>,
) -> ApiResult<Json<Value>> {
    let (_, _, folder) = both(&app, &id).await?;
    http::log_range(folder, query).await
}

async fn pending(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run, _) = both(&app, &id).await?;
    Ok(Json(json!({"request_id": id, "status": run.status, "pending": null})))
}

async fn reply(State(app): State<Shared>, Path(id): Path<String>, Body(_): Body<Value>) -> ApiResult<Json<Value>> {
    let (_, run, _) = both(&app, &id).await?;
    Err(ApiError::conflict(format!("the run does not wait for its user: it is {}", run.status.as_str())))
}

async fn cancel(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<CancelOutcome>> {
    app.cancel(None, &id).await.map(Json)
}
