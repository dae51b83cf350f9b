//! Every environment variable and config key, in one registry, each value with its origin.
//!
//! Order of precedence: environment (an empty string counts as unset; `NAME_FILE` for secrets), then the
//! TOML file named by `SKILL_INIT_CONFIG` (default `/etc/skill-init/init.toml`), then defaults.
//!
//! ```text
//! env, files --load--> resolve --> parse  --> Settings { value + origin }
//!                file (TOML) --+-> tables --> services, overrides
//!                              +-> unknown, check, graph --> every mistake at once, exit 78
//! ```
//!
//! Nothing here touches the system except `files::SystemFiles` and `quiet::QuietFiles`, which only read.
#![forbid(unsafe_code)]

mod check;
mod fields;
mod file;
mod files;
pub mod graph;
pub mod keys;
mod load;
mod mistake;
mod overrides;
mod parse;
mod probes;
mod quiet;
mod reader;
mod registry;
mod resolve;
pub mod service;
pub mod signal;
mod tables;
#[cfg(test)]
mod tests;
mod unknown;
mod value;

pub use fields::{BACKOFF_FIELDS, BUDGET_FIELDS, BUILT_IN, FIELDS, Field, Form, LIMITS, PROBE_FIELDS};
pub use files::{FileProblem, Files, MapFiles, NoFiles, SystemFiles};
pub use load::{Environment, Settings};
pub use mistake::{Mistake, Mistakes};
pub use overrides::{BackoffOverride, BudgetOverride, Defaults, ProbeOverride, ServiceOverride};
pub use parse::{duration, duration_text, words};
pub use quiet::{PATIENCE, QuietFiles};
pub use registry::{Key, Kind, Spec};
pub(crate) use unknown::nearest;
pub use value::{FromValue, Origin, Secret, Value};
