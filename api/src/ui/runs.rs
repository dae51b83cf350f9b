//! `/ui/runs`: every run, newest first, by state, in pages.

use super::visit::Visit;
use crate::{
    error::{ApiError, ApiResult},
    http::extract::Params,
    store::{Run, RunFilter, RunStatus},
    time::now_ms,
};
use axum::response::Response;
use minijinja::{Value, context, value::Serde};
use serde::Deserialize;
use serde_json::json;

/// Runs of a page.
const SIZE: usize = 25;

/// Which runs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    status: String,
    page: Option<usize>,
}

/// `GET /ui/runs`.
pub(super) async fn page(visit: Visit, Params(which): Params<Which>) -> ApiResult<Response> {
    let values = listed(&visit, which).await?;
    visit.page("runs.html", "runs", values)
}

/// `GET /ui/management/runs/table`.
pub(super) async fn part(visit: Visit, Params(which): Params<Which>) -> ApiResult<Response> {
    let values = listed(&visit, which).await?;
    visit.part("runs_table.html", values)
}

async fn listed(visit: &Visit, which: Which) -> ApiResult<Value> {
    let status = match which.status.as_str() {
        "" => None,
        word => Some(RunStatus::named(word).ok_or_else(|| ApiError::bad_request("status is not a state of a run"))?),
    };
    let page = which.page.unwrap_or(1).max(1);
    let filter = RunFilter { status, limit: SIZE, offset: (page - 1).saturating_mul(SIZE) };
    let (runs, total) = visit.app.store.runs(filter).await?;
    let runs: Vec<_> = runs.iter().map(row).collect();
    let states: Vec<_> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
    Ok(context! {
        runs => Serde(runs), total, page, pages => total.div_ceil(SIZE as u64).max(1), status => which.status,
        states => Serde(states),
    })
}

fn row(run: &Run) -> serde_json::Value {
    json!({
        "id": run.request_id, "status": run.status, "skill": run.skill_id, "engine": run.engine, "model": run.model,
        "created": run.created_at, "took": took(run),
        "error": run.error.as_ref().and_then(|error| error.get("code")),
    })
}

/// Milliseconds from its slot to its end, or until now.
pub(super) fn took(run: &Run) -> Option<i64> {
    run.started_at.map(|started| run.finished_at.unwrap_or_else(now_ms) - started)
}
