//! A run's life.
//!
//! ```text
//! create -> [upload] -> submit -> queue -> execute -> closing -> finish: result.json, bundles, status
//!                                   ^         |                     |
//!                               recovery   prepare, trust        upkeep (retention, trust retries)
//! ```

pub mod archive;
mod cache_key;
mod cancel;
mod closing;
mod create;
mod execute;
mod finish;
mod folder;
mod options;
mod outcome;
mod output_schema;
mod prepare;
mod prompt;
mod recorder;
mod recovery;
pub(crate) mod schema;
mod settled;
pub(crate) mod sink;
mod skill_copy;
mod submit;
mod trust;
mod upkeep;
mod upload;

pub use cancel::{CancelOutcome, Live};
pub use create::{Created, DEFAULT_ENGINE, NewJob, NewTemp};
pub use folder::{Logs, RunFolder, Stream};
pub use options::Options;
pub use outcome::{Outcome, RepairLevel};
pub(crate) use prompt::problem as prompt_problem;
pub(crate) use recorder::Input;
pub use settled::SettledRun;
pub use upkeep::Cleaned;
