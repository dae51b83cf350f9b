//! The style sheet, the script and the icon: embedded, named by their content, kept by browsers for good.

use crate::error::{ApiError, ApiResult};
use axum::{
    extract::Path,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Name, type, content.
const FILES: [(&str, &str, &str); 3] = [
    ("app.css", "text/css; charset=utf-8", include_str!("assets/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// What the addresses carry, so that a new program is never seen with an old style sheet.
pub(super) fn stamp() -> &'static str {
    static STAMP: OnceLock<String> = OnceLock::new();
    STAMP.get_or_init(|| {
        let mut hash = Sha256::new();
        FILES.iter().for_each(|(_, _, content)| hash.update(content));
        crate::runs::archive::hex(hash.finalize().get(..6).unwrap_or_default())
    })
}

/// `GET /ui/assets/{name}`.
pub(super) async fn file(Path(name): Path<String>) -> ApiResult<Response> {
    let (_, kind, content) =
        FILES.iter().find(|(known, ..)| *known == name).ok_or_else(|| ApiError::not_found("Not Found"))?;
    Ok(([(CONTENT_TYPE, *kind), (CACHE_CONTROL, "private, max-age=31536000, immutable")], *content).into_response())
}
