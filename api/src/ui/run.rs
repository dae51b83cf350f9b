//! `/ui/runs/{id}`: where a run stands, its output, result, files; cancel.
//!
//! The output is a page of the log ([`super::output`]); a run that has not ended goes on from there over the documented
//! event stream. What stands around it is a part that the script asks for again when the run's state changes.

use super::{output, runs::took, skill::Wanted, visit::Visit};
use crate::{
    error::{ApiError, ApiResult},
    files,
    http::{extract::Params, or_not_found, send_file},
    management,
    runs::{RunFolder, Stream},
    store::{Kind, Request, Run, RunStatus},
    values,
};
use axum::{
    extract::Path,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Redirect, Response},
};
use minijinja::{Value, context, value::Serde};
use serde::Deserialize;
use serde_json::json;

/// Of a stream's end that is shown.
const TAIL: u64 = 32 * 1024;
/// Largest result that is shown.
const RESULT: u64 = 256 * 1024;

/// Which part of the output.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Part {
    from: Option<u64>,
}

/// `GET /ui/runs/{id}`.
pub(super) async fn page(visit: Visit, Path(id): Path<String>, Params(part): Params<Part>) -> ApiResult<Response> {
    let (request, run) = visit.app.request_and_run(None, &id).await?;
    let mut lines = output::Output::default();
    if let Some(run) = &run {
        visit.app.whole_log(run).await;
        lines = output::read(folder(&visit, run), part.from).await?;
    }
    let stands = stands(&visit, &id, &request, run.as_ref()).await?;
    let live = run.as_ref().is_none_or(|run| !run.status.is_terminal()) && lines.after.is_none();
    let values = context! { output => Serde(&lines), live };
    visit.page("run.html", "runs", context! { ..values, ..stands })
}

/// `GET /ui/management/runs/{id}/view`.
pub(super) async fn part(visit: Visit, Path(id): Path<String>) -> ApiResult<Response> {
    let (request, run) = visit.app.request_and_run(None, &id).await?;
    let values = stands(&visit, &id, &request, run.as_ref()).await?;
    visit.part("run_view.html", values)
}

fn folder(visit: &Visit, run: &Run) -> RunFolder {
    RunFolder::new(&visit.app.config.runs_dir(), &run.run_id)
}

async fn both(visit: &Visit, id: &str) -> ApiResult<(Run, RunFolder)> {
    let (_, run) = visit.app.request_and_run(None, id).await?;
    let run = run.ok_or_else(|| ApiError::not_found("the request has no run yet"))?;
    let folder = folder(visit, &run);
    Ok((run, folder))
}

/// Everything about a run but its output.
async fn stands(visit: &Visit, id: &str, request: &Request, run: Option<&Run>) -> ApiResult<Value> {
    let ended = run.is_some_and(|run| run.status.is_terminal());
    let read = match run {
        None => None,
        Some(run) => {
            let folder = folder(visit, run);
            let read = tokio::task::spawn_blocking(move || {
                let result = ended.then(|| result(&folder)).flatten();
                let stderr = folder.logs(TAIL).stderr;
                let bundle = ended && folder.bundle(false).is_file();
                json!({
                    "artifacts": folder.artifact_names(), "files": management::tree(folder.path()), "result": result,
                    "stderr": stderr, "bundle": bundle,
                })
            });
            Some(read.await?)
        }
    };
    let run_values = run.map(|run| {
        json!({
            "run_id": run.run_id, "created": run.created_at, "started": run.started_at, "finished": run.finished_at,
            "took": took(run), "error": run.error, "warnings": run.warnings, "recovery": run.recovery_reason,
        })
    });
    Ok(context! {
        id, ended, run => Serde(run_values), read => Serde(read),
        skill => if request.skill_id.is_empty() { None } else { Some(request.skill_id.as_str()) },
        engine => request.engine.as_str(), model => request.model.as_deref(), created => request.created_at,
        status => run.map_or(RunStatus::Queued, |run| run.status).as_str(), waiting => run.is_none(),
        input => pretty(&request.input), parameter => pretty(&request.parameter),
        temporary => request.kind == Kind::Temp,
        api => Value::from_safe_string(of_kind(request.kind).to_owned()),
    })
}

/// Where the documented surface serves this kind of request.
fn of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Job => "/v1/jobs",
        Kind::Temp => "/v1/temp-skill-runs",
    }
}

fn pretty(value: &serde_json::Value) -> Option<String> {
    value.as_object().is_some_and(|map| !map.is_empty()).then(|| text(value))
}

/// As it is for people.
fn text(value: &serde_json::Value) -> String {
    // A value of JSON is JSON.
    String::from_utf8(values::pretty(value).unwrap_or_default()).unwrap_or_default()
}

/// The result as it is for people: pretty, or cut where it is very large. Blocking.
fn result(folder: &RunFolder) -> Option<String> {
    if std::fs::metadata(folder.result()).ok()?.len() > RESULT {
        return Some("…".to_owned());
    }
    let value = folder.read_result().ok()?;
    Some(text(value.get("data").filter(|data| !data.is_null()).unwrap_or(&value)))
}

/// `GET /ui/runs/{id}/view?path=`.
pub(super) async fn view(visit: Visit, Path(id): Path<String>, Params(wanted): Params<Wanted>) -> ApiResult<Response> {
    let path = inside(&wanted)?;
    let (_, folder) = both(&visit, &id).await?;
    let read = tokio::task::spawn_blocking(move || {
        Ok::<_, std::io::Error>((management::preview(folder.path(), &path)?, management::tree(folder.path())))
    });
    let (preview, files) = read.await??;
    let preview = preview.ok_or_else(|| ApiError::not_found("File not found"))?;
    visit.page(
        "file.html",
        "runs",
        context! {
            base => format!("/ui/runs/{id}"), owner => visit.text("run.title"), path => wanted.path,
            preview => Serde(preview), files => Serde(files), download => true,
        },
    )
}

/// `GET /ui/runs/{id}/download?path=`: any file of the run, as an attachment.
pub(super) async fn download(
    visit: Visit,
    Path(id): Path<String>,
    Params(wanted): Params<Wanted>,
) -> ApiResult<Response> {
    let path = inside(&wanted)?;
    let (_, folder) = both(&visit, &id).await?;
    let name = path.rsplit('/').next().unwrap_or("file").to_owned();
    let found = tokio::task::spawn_blocking(move || files::open_inside(folder.path(), &path)).await?;
    send_file(found.map_err(or_not_found("File not found"))?, "application/octet-stream", &name).await
}

fn inside(wanted: &Wanted) -> ApiResult<String> {
    let plain = files::plain_relative(&wanted.path);
    plain.map(|_| wanted.path.clone()).ok_or_else(|| ApiError::bad_request("path is not a path inside the run"))
}

/// Which log.
#[derive(Debug, Deserialize)]
pub(super) struct Tail {
    #[serde(default = "stderr")]
    stream: String,
}

fn stderr() -> String {
    "stderr".to_owned()
}

/// `GET /ui/runs/{id}/logs/tail?stream=`: the end of a stream, as text.
pub(super) async fn log_tail(visit: Visit, Path(id): Path<String>, Params(tail): Params<Tail>) -> ApiResult<Response> {
    let stream = Stream::parse(&tail.stream).filter(|stream| *stream != Stream::Pty);
    let stream = stream.ok_or_else(|| ApiError::bad_request("stream is one of stdout, stderr"))?;
    let (_, folder) = both(&visit, &id).await?;
    let logs = tokio::task::spawn_blocking(move || folder.logs(TAIL)).await?;
    let text = if stream == Stream::Stdout { logs.stdout } else { logs.stderr };
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// `POST /ui/runs/{id}/cancel`, and back to the page.
pub(super) async fn cancel(visit: Visit, Path(id): Path<String>) -> ApiResult<Redirect> {
    visit.app.cancel(None, &id).await?;
    Ok(Redirect::to(&format!("/ui/runs/{id}")))
}
