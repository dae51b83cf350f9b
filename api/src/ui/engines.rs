//! `/ui/engines`: what is installed, whether it is logged in and confined, updates, models.

use super::visit::Visit;
use crate::{
    engines::upgrades::NewUpgrade,
    error::{ApiError, ApiResult},
    http::extract::Params,
};
use axum::{
    Form,
    extract::Path,
    response::{Redirect, Response},
};
use minijinja::{Value, context, value::Serde};
use serde::Deserialize;
use skill_init::settings::keys;

/// Which update to show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Shown {
    upgrade: Option<String>,
}

/// `GET /ui/engines`.
pub(super) async fn page(visit: Visit, Params(shown): Params<Shown>) -> ApiResult<Response> {
    let upgrade = match shown.upgrade {
        Some(id) => visit.app.upgrade_record(&id).await?,
        None => visit.app.last_upgrade().await?,
    };
    let port = visit.app.config.settings.get(&keys::TTYD_PORT);
    let values = context! { upgrade => Serde(upgrade), port };
    visit.page("engines.html", "engines", context! { ..values, ..listed(&visit).await? })
}

/// `GET /ui/management/engines/table`.
pub(super) async fn part(visit: Visit) -> ApiResult<Response> {
    let values = listed(&visit).await?;
    visit.part("engines_table.html", values)
}

async fn listed(visit: &Visit) -> ApiResult<Value> {
    let mut engines = visit.app.engine_views().await?;
    for view in &mut engines {
        let name = view.get("engine").and_then(serde_json::Value::as_str).unwrap_or_default();
        let unavailable = visit.app.engines.get(name).and_then(|engine| engine.unavailable.clone());
        if let Some(map) = view.as_object_mut() {
            map.insert("unavailable".to_owned(), unavailable.into());
        }
    }
    Ok(context! { engines => Serde(engines), upgrading => visit.app.is_upgrading() })
}

/// `POST /ui/engines/upgrades`, and back to the page, which shows how it goes.
pub(super) async fn upgrade(visit: Visit, Form(new): Form<NewUpgrade>) -> ApiResult<Redirect> {
    let id = visit.app.start_upgrade(new).await?;
    Ok(Redirect::to(&format!("/ui/engines?upgrade={id}")))
}

/// `GET /ui/engines/upgrades/{id}/status`.
pub(super) async fn upgrade_part(visit: Visit, Path(id): Path<String>) -> ApiResult<Response> {
    let record = visit.app.upgrade_record(&id).await?;
    let record = record.ok_or_else(|| ApiError::not_found("Upgrade request not found"))?;
    visit.part("upgrade.html", context! { upgrade => Serde(record) })
}

/// `GET /ui/engines/{engine}/models`.
pub(super) async fn models(visit: Visit, Path(engine): Path<String>) -> ApiResult<Response> {
    let models = visit.app.models(&engine).await?;
    visit.page("models.html", "engines", context! { models => Serde(models) })
}
