//! The head of every page: how much runs and waits, and what binds. The page's script asks for it again.

use super::visit::Visit;
use crate::error::ApiResult;
use axum::response::Response;
use minijinja::{context, value::Serde};

/// `GET /ui/load`.
pub(super) async fn part(visit: Visit) -> ApiResult<Response> {
    visit.part("load.html", context! { load => Serde(visit.app.concurrency()) })
}
