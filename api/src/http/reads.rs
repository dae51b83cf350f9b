//! What a request and its run answer: status, result, artifacts, bundles, logs.

use super::extract::{Body, Params, Path};
use crate::{
    error::{ApiError, ApiResult},
    runs::{Options, RunFolder, Stream},
    skills::Mode,
    state::Shared,
    store::{Kind, Request, Run, RunStatus},
    time::rfc3339,
};
use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::{
        HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

/// The application, and which kind of request the route is for.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) app: Shared,
    pub(super) kind: Option<Kind>,
}

impl At {
    pub(super) async fn both(&self, id: &str) -> ApiResult<(Request, Option<Run>)> {
        self.app.request_and_run(self.kind, id).await
    }
    pub(super) async fn run(&self, id: &str) -> ApiResult<(Request, Run)> {
        let (request, run) = self.both(id).await?;
        let run = run.ok_or_else(|| ApiError::not_found("the request has no run yet"))?;
        Ok((request, run))
    }
    pub(super) fn folder(&self, run: &Run) -> RunFolder {
        RunFolder::new(&self.app.config.runs_dir(), &run.run_id)
    }
}

/// The status record of a request.
pub fn status_record(request: &Request, run: Option<&Run>) -> Value {
    let mode = match Options::parse(&request.options).map(|options| options.mode) {
        Ok(Mode::Interactive) => "interactive",
        _ => "auto",
    };
    json!({
        "request_id": request.request_id,
        "run_id": run.map(|run| &run.run_id),
        "status": run.map_or(RunStatus::Queued, |run| run.status),
        "skill_id": request.skill_id,
        "engine": request.engine,
        "model": request.model,
        "created_at": rfc3339(request.created_at),
        "updated_at": rfc3339(run.map_or(request.created_at, |run| run.updated_at)),
        "started_at": run.and_then(|run| run.started_at).map(rfc3339),
        "finished_at": run.and_then(|run| run.finished_at).map(rfc3339),
        "awaiting_upload": run.is_none(),
        "execution_mode": mode,
        "warnings": run.map_or_else(|| json!([]), |run| run.warnings.clone()),
        "error": run.and_then(|run| run.error.clone()),
        "auto_decision_count": 0,
        "last_auto_decision_at": null,
        "pending_interaction_id": null,
        "interaction_count": 0,
        "recovery_state": run.and_then(|run| run.recovery_state.as_deref()).unwrap_or("none"),
        "recovered_at": run.and_then(|run| run.recovered_at).map(rfc3339),
        "recovery_reason": run.and_then(|run| run.recovery_reason.clone()),
    })
}

pub(super) async fn status(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Response> {
    let version = at.app.store.version();
    let record = match at.app.statuses.get(at.kind, &id, version) {
        Some(record) => record,
        None => {
            let (request, run) = at.both(&id).await?;
            let record = axum::body::Bytes::from(status_record(&request, run.as_ref()).to_string());
            at.app.statuses.keep(at.kind, id, version, record.clone());
            record
        }
    };
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], record).into_response())
}

pub(super) async fn result(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run) = at.run(&id).await?;
    if !run.status.is_terminal() {
        return Err(ApiError::not_found("Run result not found: the run has not ended"));
    }
    let folder = at.folder(&run);
    let read = tokio::task::spawn_blocking(move || folder.read_result()).await?;
    let result = read.map_err(or_not_found("Run result not found"))?;
    Ok(Json(json!({"request_id": id, "result": result})))
}

pub(super) async fn artifacts(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run) = at.run(&id).await?;
    let folder = at.folder(&run);
    let names = tokio::task::spawn_blocking(move || folder.artifact_names()).await?;
    Ok(Json(json!({"request_id": id, "artifacts": names})))
}

pub(super) async fn artifact(State(at): State<At>, Path((id, path)): Path<(String, String)>) -> ApiResult<Response> {
    if !path.starts_with("artifacts/") {
        return Err(ApiError::bad_request("an artifact's path starts with artifacts/"));
    }
    let (_, run) = at.run(&id).await?;
    let folder = at.folder(&run);
    let wanted = path.clone();
    // Below `artifacts/`, not merely below the run: a link in there must not reach the rest of it.
    let found = tokio::task::spawn_blocking(move || {
        folder.open_artifact(wanted.strip_prefix("artifacts/").unwrap_or_default())
    });
    let found = found.await?.map_err(or_not_found("Artifact not found"))?;
    let name = path.rsplit('/').next().unwrap_or("artifact").to_owned();
    send_file(found, content_type(&name), &name).await
}

pub(super) async fn bundle(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Response> {
    let (request, run) = at.run(&id).await?;
    let debug = Options::parse(&request.options).is_ok_and(|options| options.debug);
    send_bundle(&at, &run, debug).await
}

pub(super) async fn debug_bundle(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Response> {
    let (_, run) = at.run(&id).await?;
    send_bundle(&at, &run, true).await
}

async fn send_bundle(at: &At, run: &Run, debug: bool) -> ApiResult<Response> {
    if !run.status.is_terminal() {
        return Err(ApiError::not_found("Bundle not found: the run has not ended"));
    }
    let folder = at.folder(run);
    let path = folder.bundle(debug);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = tokio::task::spawn_blocking(move || folder.open(&path)).await?;
    send_file(found.map_err(or_not_found("Bundle not found"))?, "application/zip", &name).await
}

/// 404 with these words where a file is not there, else what every fault is.
pub(crate) fn or_not_found(words: &'static str) -> impl Fn(std::io::Error) -> ApiError {
    move |error| match error.kind() {
        std::io::ErrorKind::NotFound => ApiError::not_found(words),
        _ => error.into(),
    }
}

/// A file as an attachment, in chunks.
pub(crate) async fn send_file(file: std::fs::File, content_type: &'static str, name: &str) -> ApiResult<Response> {
    let file = tokio::fs::File::from_std(file);
    let length = file.metadata().await?.len();
    // The length is a promise: a file that still grows is cut there.
    let file = file.take(length);
    let stream = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut chunk = bytes::BytesMut::with_capacity(64 * 1024);
        let n = file.read_buf(&mut chunk).await?;
        Ok::<_, std::io::Error>((n > 0).then(|| (chunk.freeze(), file)))
    });
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{safe}\"")).map_err(ApiError::internal)?;
    let mut response = Bytes::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// Of what is safe to name; everything is sent as an attachment anyway.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "json" => "application/json",
        "md" => "text/markdown; charset=utf-8",
        "txt" | "log" | "csv" => "text/plain; charset=utf-8",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// Most bytes of each stream in `GET logs`; the rest is reached by range.
const LOGS_MAX: u64 = 1 << 20;

pub(super) async fn logs(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run) = at.run(&id).await?;
    let folder = at.folder(&run);
    let logs = tokio::task::spawn_blocking(move || folder.logs(LOGS_MAX)).await?;
    Ok(Json(json!({"request_id": id, "prompt": null, "stdout": logs.stdout, "stderr": logs.stderr})))
}

/// A slice of a stream.
#[derive(Debug, Deserialize)]
pub struct RangeQuery {
    /// `stdout`, `stderr` or `pty`.
    pub stream: String,
    /// First byte.
    #[serde(default)]
    pub byte_from: u64,
    /// One past the last byte; the end where it is left out.
    pub byte_to: Option<u64>,
    /// The attempt; the last one where it is left out.
    pub attempt: Option<u32>,
}

/// `logs/range`, for jobs and management alike.
pub async fn log_range(folder: RunFolder, query: RangeQuery) -> ApiResult<Json<Value>> {
    let stream =
        Stream::parse(&query.stream).ok_or_else(|| ApiError::bad_request("stream is one of stdout, stderr, pty"))?;
    let to = query.byte_to.unwrap_or(u64::MAX);
    if to < query.byte_from {
        return Err(ApiError::bad_request("byte_to lies before byte_from"));
    }
    let (bytes, size) =
        tokio::task::spawn_blocking(move || folder.log_range(stream, query.attempt, query.byte_from, to)).await??;
    let from = query.byte_from.min(size);
    Ok(Json(json!({
        "stream": stream.as_str(), "byte_from": from, "byte_to": from + bytes.len() as u64, "size": size,
        "chunk": String::from_utf8_lossy(&bytes),
    })))
}

pub(super) async fn range(
    State(at): State<At>,
    Path(id): Path<String>,
    Params(query): Params<RangeQuery>,
) -> ApiResult<Json<Value>> {
    let (_, run) = at.run(&id).await?;
    log_range(at.folder(&run), query).await
}

pub(super) async fn pending(State(at): State<At>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let (_, run) = at.both(&id).await?;
    let status = run.map_or(RunStatus::Queued, |run| run.status);
    Ok(Json(json!({"request_id": id, "status": status, "pending": null})))
}

/// No run of this worker waits for a user yet, so every reply is told why it cannot be taken.
pub(super) async fn reply(
    State(at): State<At>,
    Path(id): Path<String>,
    Body(_): Body<Value>,
) -> ApiResult<Json<Value>> {
    let (request, run) = at.run(&id).await?;
    if Options::parse(&request.options).is_ok_and(|options| options.mode == Mode::Auto) {
        return Err(ApiError::bad_request("the request is not interactive"));
    }
    Err(ApiError::conflict(format!("the run does not wait for its user: it is {}", run.status.as_str())))
}
