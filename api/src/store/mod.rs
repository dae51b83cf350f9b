//! SQLite (WAL) on a thread of its own; no handler ever waits inside it.
//!
//! Rows are the truth about a run; the JSON files in its folder are copies for people and older tools. Every change of
//! a run's status is one conditional UPDATE, so of two that want to end it exactly one does.

mod folders;
mod installs;
mod migrations;
mod requests;
mod runs;
mod thread;
mod upkeep;

pub use installs::{Install, InstallStatus};
pub use requests::{Kind, Put, Request};
pub use runs::{Finish, Run, RunFilter, RunStatus};
pub use thread::{Store, StoreError};
pub use upkeep::{Expired, TrustLeft};
