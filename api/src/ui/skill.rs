//! `/ui/skills/{id}`: manifest, run form, schemas and files; `/view?path=` shows one file as text.
//!
//! A file is shown escaped inside `<pre>`, whatever it is: no preview can run script, be styled by its content or load
//! anything.

use super::{form::Form, visit::Visit};
use crate::{
    error::{ApiError, ApiResult},
    http::extract::Params,
    management,
    skills::Skill,
};
use axum::{extract::Path, http::StatusCode, response::Response};
use minijinja::{context, value::Serde};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Which file.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    pub(super) path: String,
}

/// `GET /ui/skills/{id}`.
pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> ApiResult<Response> {
    let skill = known(&visit, &id).await?;
    let form = Form::new(&visit, &skill).await?;
    show(&visit, &skill, &form, StatusCode::OK).await
}

pub(super) async fn known(visit: &Visit, id: &str) -> ApiResult<Arc<Skill>> {
    let skill = visit.app.skills.skill(id).await;
    skill.ok_or_else(|| ApiError::not_found(format!("Skill '{id}' not found")))
}

/// The page with a form as it stands.
pub(super) async fn show(visit: &Visit, skill: &Arc<Skill>, form: &Form, status: StatusCode) -> ApiResult<Response> {
    let read = Arc::clone(skill);
    let (schemas, files) = tokio::task::spawn_blocking(move || {
        let of = |name: &str, which: &Option<String>| {
            let text = match read.schema(which.as_ref()) {
                Ok(Some(schema)) => format!("{schema:#}"),
                Ok(None) => return None,
                Err(problem) => problem.to_string(),
            };
            Some(json!({"name": name, "file": which, "text": text}))
        };
        let schemas = [
            of("input", &read.schemas.input),
            of("parameter", &read.schemas.parameter),
            of("output", &read.schemas.output),
        ];
        (schemas.into_iter().flatten().collect::<Vec<_>>(), management::tree(&read.path))
    })
    .await?;
    let skill = json!(skill.as_ref());
    visit.page_with(
        status,
        "skill.html",
        "skills",
        context! { skill => Serde(skill), schemas => Serde(schemas), files => Serde(files), form => Serde(form) },
    )
}

/// `GET /ui/skills/{id}/view?path=`.
pub(super) async fn view(visit: Visit, Path(id): Path<String>, Params(wanted): Params<Wanted>) -> ApiResult<Response> {
    let skill = known(&visit, &id).await?;
    if crate::files::plain_relative(&wanted.path).is_none() {
        return Err(ApiError::bad_request("path is not a path inside the skill"));
    }
    let (root, path) = (skill.path.clone(), wanted.path.clone());
    let read = tokio::task::spawn_blocking(move || {
        Ok::<_, std::io::Error>((management::preview(&root, &path)?, management::tree(&root)))
    });
    let (preview, files) = read.await??;
    let preview = preview.ok_or_else(|| ApiError::not_found("File not found"))?;
    visit.page(
        "file.html",
        "skills",
        context! {
            base => format!("/ui/skills/{id}"), owner => skill.name.as_str(), path => wanted.path,
            preview => Serde(preview), files => Serde(files), download => false,
        },
    )
}
