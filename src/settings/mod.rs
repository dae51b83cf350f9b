//! Every environment variable and config key, in one registry, each value with its origin.
//!
//! Order of precedence: environment (an empty string counts as unset; `NAME_FILE` for secrets), then the
//! TOML file named by `SKILL_INIT_CONFIG` (default `/etc/skill-init/init.toml`), then defaults.
#![forbid(unsafe_code)]

pub mod keys;
mod load;
mod registry;
pub mod service;
mod value;

pub use load::{Environment, Mistake, Mistakes, Settings};
pub use registry::{Key, Kind, Spec};
pub use value::{FromValue, Origin, Secret, Value};
