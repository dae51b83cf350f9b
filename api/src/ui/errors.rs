//! Errors under `/ui` as pages, where a browser asks for one; the status and every header stay what they were.

use super::visit::Visit;
use crate::state::Shared;
use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{
        StatusCode,
        header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use minijinja::context;
use serde_json::Value;

/// Largest error that is turned into a page.
const DETAIL: usize = 64 * 1024;

/// The middleware: outermost, so that refusals of every layer are pages too.
pub(crate) async fn as_page(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let page = path == "/ui" || path.starts_with("/ui/");
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !page || !accepts.contains("text/html") {
        return next.run(request).await;
    }
    let visit = Visit::new(&app, request.headers());
    let response = next.run(request).await;
    let json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json || !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let detail = to_bytes(body, DETAIL).await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Ok(mut page) = of(&visit, parts.status, detail.as_ref().and_then(|error| error.get("detail"))) else {
        return parts.status.into_response();
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    // What the inner layers said stays, but the policy of data is not that of a page.
    for (name, value) in &parts.headers {
        if !page.headers().contains_key(name) {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

fn of(visit: &Visit, status: StatusCode, detail: Option<&Value>) -> crate::error::ApiResult<Response> {
    let message = text(detail);
    let title = match status.as_u16() {
        401 => "error.401",
        403 => "error.403",
        404 => "error.404",
        405 => "error.405",
        503 => "error.503",
        500.. => "error.500",
        _ => "error.other",
    };
    visit.page_with(
        status,
        "error.html",
        "",
        context! { status => status.as_u16(), title => visit.text(title), message },
    )
}

/// A `detail` in words.
pub(super) fn text(detail: Option<&Value>) -> String {
    match detail {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) => map
            .get("message")
            .and_then(Value::as_str)
            .map_or_else(|| Value::Object(map.clone()).to_string(), str::to_owned),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
