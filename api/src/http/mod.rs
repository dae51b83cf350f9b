//! The documented surface, one file per group of routes.

pub mod bodies;
mod core;
mod engines;
pub mod extract;
pub mod form;
mod jobs;
mod later;
mod live;
mod metrics;
mod reads;
mod skills;
mod statuses;
pub mod upload;

pub use live::{EventsQuery, HistoryQuery, events, history};
pub use reads::{RangeQuery, log_range, status_record};
pub(crate) use reads::{or_not_found, send_file};
pub use statuses::Statuses;

use crate::{openapi::Table, state::Shared};

/// All of them.
pub fn routes(app: &Shared) -> Table<()> {
    Table::new()
        .merge(core::routes())
        .merge(skills::routes(app))
        .merge(engines::routes(app))
        .merge(jobs::routes(app))
        .merge(later::routes())
        .merge(metrics::routes(app))
}
