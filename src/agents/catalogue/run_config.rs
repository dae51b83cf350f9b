//! The configuration that an engine gets for one run, as data: a file in the run's folder, or arguments.

use super::Format;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// How it reaches the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunConfigForm {
    /// A file below the run's folder.
    File,
    /// Arguments, one group for each value.
    Arguments,
}

/// Layers, later ones win: `default`, the skill's own asset, `enforced`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// How it reaches the engine.
    pub form: RunConfigForm,
    /// The syntax of the asset, and of the file; with arguments, of a value.
    pub format: Format,
    /// The skill's own layer, a path below its assets; absent: a skill has none.
    #[serde(default)]
    pub asset: Option<PathBuf>,
    /// With `file`: where it is written, below the run's folder.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// With `arguments`: the words of one value; `{key}` stands for its dotted path, `{value}` for it.
    #[serde(default)]
    pub argument: Vec<String>,
    /// What counts where a skill says nothing.
    #[serde(default)]
    pub default: Map<String, Value>,
    /// What counts whatever a skill says.
    #[serde(default)]
    pub enforced: Map<String, Value>,
    /// Dotted keys that a skill's asset has no say in, with all that is below them.
    #[serde(default)]
    pub reserved: Vec<String>,
}

impl RunConfig {
    /// A skill has no say in this dotted key.
    pub fn is_reserved(&self, key: &str) -> bool {
        self.reserved
            .iter()
            .any(|reserved| key.strip_prefix(reserved.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.')))
    }
}
