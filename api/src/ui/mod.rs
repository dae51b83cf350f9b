//! The pages under `/ui`: an operator's view of skills, runs and engines.
//!
//! ```text
//! request -> Visit (language, host) -> handler -> template -> page | part
//!                                         |
//!                        the same services as the API, no CLI is ever asked
//! ```
//!
//! | file | what it serves |
//! | --- | --- |
//! | `skills`, `skill` | the list with upload; one skill with its schemas, files and preview |
//! | `form`, `submit` | a form out of a skill's schemas, and what comes back of it |
//! | `runs`, `run`, `output` | the table; one run; its events as lines |
//! | `engines`, `terminal` | engines, updates, models; where the terminal stands |
//! | `load` | running, queued and what binds, on the head of every page |
//! | `visit`, `templates`, `messages`, `assets`, `errors` | how a page is made |
//!
//! Invariants: every page can be read without script; nothing is inline, so that the policy needs no exception; whatever
//! comes from a skill, an engine or a file is text, never markup; a part (`data-refresh` in the templates) is the same
//! template as in its page.

mod assets;
mod engines;
mod errors;
mod form;
mod load;
mod messages;
mod output;
mod run;
mod runs;
mod skill;
mod skills;
mod submit;
mod templates;
mod terminal;
mod visit;

pub(crate) use errors::as_page;

use crate::{error::ApiError, state::Shared};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    response::Redirect,
    routing::{any, get, post},
};

/// What a form may hold beside its files.
const FORM_TEXT: u64 = 8 << 20;

/// The routes of this room.
pub fn router(app: &Shared) -> Router {
    let largest = usize::try_from(app.config.upload_max.saturating_add(FORM_TEXT)).unwrap_or(usize::MAX);
    let routes = Router::new()
        .route("/", get(skills::page))
        .route("/load", get(load::part))
        .route("/assets/{name}", get(assets::file))
        .route("/skills", get(|| async { Redirect::permanent("/ui") }))
        .route("/skills/{id}", get(skill::page))
        .route("/skills/{id}/view", get(skill::view))
        .route("/skills/{id}/run", post(submit::run).layer(DefaultBodyLimit::max(largest)))
        .route("/engines", get(engines::page))
        .route("/engines/upgrades", post(engines::upgrade).layer(DefaultBodyLimit::max(4096)))
        .route("/engines/upgrades/{id}/status", get(engines::upgrade_part))
        .route("/engines/tui/session", get(terminal::session))
        .route("/engines/{engine}/models", get(engines::models))
        .route("/runs", get(runs::page))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/view", get(run::view))
        .route("/runs/{id}/download", get(run::download))
        .route("/runs/{id}/logs/tail", get(run::log_tail))
        .route("/runs/{id}/cancel", post(run::cancel))
        .route("/management/skills/table", get(skills::part))
        .route("/management/engines/table", get(engines::part))
        .route("/management/runs/table", get(runs::part))
        .route("/management/runs/{id}/view", get(run::part))
        .route("/{*rest}", any(|| async { ApiError::not_found("Not Found") }))
        .with_state(app.clone());
    Router::new().nest("/ui", routes).route("/ui/", get(|| async { Redirect::permanent("/ui") }))
}
