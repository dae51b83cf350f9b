//! The two routes.

use crate::{
    error::{ApiError, ApiResult},
    http::{extract::Path, form::Form, upload},
    openapi::{Doc, Table},
    state::Shared,
    store::Install,
};
use axum::{Json, extract::State, routing::post};
use serde::Serialize;

/// `/v1/skill-packages/*`.
pub fn routes(app: &Shared) -> Table<()> {
    Table::new()
        .post_with(
            "/v1/skill-packages/install",
            post(install).layer(upload::form_max(app.config.upload_max)),
            Doc::new("skill packages", "Installs or updates a skill in the background")
                .form(&[("file", true)])
                .ok("InstallAccepted")
                .errors(&[422, 429]),
        )
        .get(
            "/v1/skill-packages/{request_id}",
            status,
            Doc::new("skill packages", "How an installation stands").ok("Install").errors(&[404]),
        )
        .with_state(app.clone())
}

/// A package was taken over.
#[derive(Debug, Serialize)]
struct Accepted {
    request_id: String,
    status: &'static str,
}

async fn install(State(app): State<Shared>, form: Form) -> ApiResult<Json<Accepted>> {
    app.accepts_packages()?;
    let received = upload::receive(form, &app.package_uploads(), &[("file", app.config.upload_max)]).await?;
    let request_id = app.install_package(received).await?;
    Ok(Json(Accepted { request_id, status: "queued" }))
}

async fn status(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult<Json<Install>> {
    app.store.install(&id).await?.map(Json).ok_or_else(|| ApiError::not_found("Install request not found"))
}
