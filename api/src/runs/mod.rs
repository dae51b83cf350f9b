//! A run's life.
//!
//! ```text
//! create -> [upload] -> queue -> execute -> outcome -> result.json, bundles, status
//!                         ^                    |
//!                      recovery            upkeep (retention, trust retries)
//! ```

pub mod archive;
mod cache_key;
mod cancel;
mod create;
mod execute;
mod finish;
mod folder;
mod options;
mod outcome;
mod output_schema;
mod prompt;
mod recorder;
mod recovery;
pub(crate) mod schema;
pub(crate) mod sink;
mod skill_copy;
mod upkeep;

pub use cancel::{CancelOutcome, Live};
pub use create::{Created, NewJob, NewTemp};
pub use execute::SettledRun;
pub use folder::{Logs, RunFolder, Stream};
pub use options::Options;
pub use outcome::{Outcome, RepairLevel};
pub(crate) use prompt::problem as prompt_problem;
pub(crate) use recorder::Input;
pub use upkeep::Cleaned;
