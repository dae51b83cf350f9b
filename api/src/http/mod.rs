//! The documented surface, one file per group of routes.

mod core;
mod engines;
pub mod extract;
mod jobs;
mod later;
mod live;
mod metrics;
mod reads;
mod skills;
pub mod upload;

pub use live::{EventsQuery, HistoryQuery, events, history};
pub(crate) use reads::send_file;
pub use reads::{RangeQuery, log_range, status_record};

use crate::state::Shared;
use axum::Router;

/// All of them.
pub fn router(app: &Shared) -> Router {
    Router::new()
        .merge(core::router())
        .merge(skills::router(app))
        .merge(engines::router(app))
        .merge(jobs::router(app))
        .merge(later::router())
        .merge(metrics::router(app))
}
