//! The documented surface, one file per group of routes.

mod core;
mod engines;
pub mod extract;
mod skills;

use crate::state::Shared;
use axum::Router;

/// All of them.
pub fn router(app: &Shared) -> Router {
    Router::new().merge(core::router()).merge(skills::router(app)).merge(engines::router(app))
}
