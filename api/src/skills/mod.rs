//! The registry over the skills folder.
//!
//! A skill is a folder with `SKILL.md` and `assets/runner.json`; anything else is skipped with a warning.

mod front_matter;
mod manifest;
mod registry;

pub use manifest::{Mode, Problem, Schemas, Skill};
pub use registry::{Registry, Snapshot};
