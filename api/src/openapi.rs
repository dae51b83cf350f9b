//! `/openapi.json`, generated from the code.

use crate::state::Shared;
use axum::Router;

/// The routes of this room.
pub fn router(_app: &Shared) -> Router {
    Router::new()
}
