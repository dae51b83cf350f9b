//! The registry over the skills folder.
//!
//! A skill is a folder with `SKILL.md` and `assets/runner.json`; anything else is skipped with a warning.

mod front_matter;
mod manifest;
mod registry;

pub(crate) use front_matter::FrontMatter;
pub use manifest::{Mode, Problem, Schemas, Skill};
pub(crate) use manifest::{plain_name, words};
pub use registry::{Registry, Snapshot};
