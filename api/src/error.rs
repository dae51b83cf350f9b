//! One error type for every handler: a status and `{"detail": ...}`.
//!
//! What a client may know is in `detail`; what only the operator may know is logged where it happens.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What `detail` holds: text, or an object such as `{"code": ..., "message": ...}`.
    pub detail: Value,
}

/// What a handler gives.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// Any status with a text.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: Value::String(detail.into()) }
    }
    /// 400: the request is wrong; the text says what would be right.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
    /// 400 with a code of the contract, such as `SKILL_ENGINE_UNSUPPORTED`.
    pub fn coded(code: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: json!({"code": code, "message": message.into()}) }
    }
    /// 404.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }
    /// 408: the request's body stopped before its end.
    pub fn cut_off() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the request's body stopped before its end")
    }
    /// 409: it exists, but not in the state that this needs.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
    /// 413: larger than the limit, which the text names.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
    /// 422: well-formed, but a field has a value that is not allowed.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
    /// 429: the queue is full; nothing was written.
    pub fn queue_full() -> Self {
        Self::too_many("Execution queue is full, please retry later")
    }
    /// 429: later there may be room.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }
    /// 501: part of the documented surface that this worker does not serve yet (docs/compat.md).
    pub fn not_implemented(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not served by this worker"))
    }
    /// 503: the worker is stopping.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the worker is stopping; retry on the next one")
    }
    /// 507: a volume of the worker is full; the cause goes to the log.
    pub fn no_room(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a volume of the worker is full");
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no room is left on the worker's volume")
    }
    /// 500: the cause goes to the log, not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the worker's log has the cause")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"detail": self.detail}))).into_response()
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Value::String(text) => write!(f, "{}: {text}", self.status),
            other => write!(f, "{}: {other}", self.status),
        }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        if matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            return Self::no_room(error);
        }
        Self::internal(error)
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}
