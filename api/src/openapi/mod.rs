//! `/openapi.json`: one table builds the router and the document, so neither can have what the other lacks.
//!
//! The document is made at its first request and kept as bytes: most workers never serve it. Its schemas are in
//! `schemas`; `tests/openapi.rs` holds every answer of every operation against them, unknown fields included.

mod document;
mod page;
mod schemas;
mod table;

pub use table::{Body, CURSOR, Doc, FILE, HISTORY, Operation, PAGES, PROTOCOL, Param, RANGE, Reply, Table};

use crate::state::Shared;
use axum::{
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{Html, IntoResponse},
};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// What the document is made of, once every room has added its routes.
pub type Operations = Arc<OnceLock<Vec<Operation>>>;

/// The document and a page over it. `operations` is filled when the whole table is known.
pub fn routes(app: &Shared, operations: &Operations) -> Table<()> {
    let (operations, guard) = (Arc::clone(operations), app.clone());
    let made: Arc<OnceLock<Bytes>> = Arc::default();
    let document = move || {
        let bytes = made.get_or_init(|| {
            let operations = operations.get().map(Vec::as_slice).unwrap_or_default();
            Bytes::from(document::make(operations, &guard.auth).to_string())
        });
        let answer = ([(CONTENT_TYPE, "application/json")], bytes.clone());
        async move { answer }
    };
    Table::new()
        .get("/openapi.json", document, Doc::new("meta", "This document").ok("OpenApi"))
        .get("/docs", page, Doc::new("meta", "A page over this document").page())
        .get("/redoc", page, Doc::new("meta", "The same page").page())
}

async fn page() -> impl IntoResponse {
    let policy = format!(
        "default-src 'none'; connect-src 'self'; style-src {}; script-src {}; frame-ancestors 'self'; base-uri 'none'",
        page::STYLE_HASH.as_str(),
        page::SCRIPT_HASH.as_str(),
    );
    let policy = HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page::PAGE))
}
