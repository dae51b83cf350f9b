//! What the table says of one engine. Data only: paths, arguments and flags, nothing that acts.

use super::{Output, RunConfig, Shape, Trust, Version};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The syntax of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON; the CLI accepts nothing else.
    Json,
    /// JSON with comments and trailing commas.
    Jsonc,
}

/// A configuration file that is written where it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultConfig {
    /// Path below the agent home.
    pub path: PathBuf,
    /// Its syntax.
    pub format: Format,
    /// Path below the application folder of an asset that replaces `content` where it exists and parses.
    #[serde(default)]
    pub asset: Option<PathBuf>,
    /// The bytes to write.
    pub content: String,
    /// Top-level keys that an existing file gets back from `content` where their value is of no use.
    #[serde(default, rename = "repair")]
    pub repairs: Vec<Repair>,
}

/// What a top-level key of a JSON configuration file must hold. What is empty (no value, null, false, 0, an empty text,
/// list or object) never will do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The key.
    pub key: String,
    /// Texts that will not do either.
    #[serde(default)]
    pub refused: Vec<String>,
    /// It must be a text that begins with one of these; none: anything.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// The engine is ready with one of these texts only; none: with all that will do.
    #[serde(default)]
    pub ready: Vec<String>,
}

impl Repair {
    /// The value will do.
    pub fn takes(&self, value: Option<&Value>) -> bool {
        match value {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => {
                let begins = self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| text.starts_with(prefix));
                !text.is_empty() && !self.refused.contains(text) && begins
            }
            Some(Value::Bool(true)) => self.prefixes.is_empty(),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0) && self.prefixes.is_empty(),
            Some(Value::Array(list)) => !list.is_empty() && self.prefixes.is_empty(),
            Some(Value::Object(map)) => !map.is_empty() && self.prefixes.is_empty(),
        }
    }

    /// The engine is ready with this value.
    pub fn is_ready(&self, value: Option<&Value>) -> bool {
        let listed = |text: &str| self.ready.iter().any(|ready| ready == text);
        self.takes(value) && (self.ready.is_empty() || value.and_then(Value::as_str).is_some_and(listed))
    }
}

/// A credential file: where it is imported from and to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Path below the import folder.
    pub source: PathBuf,
    /// Path below the agent home.
    pub dest: PathBuf,
    /// The name of its shape, a `[shape.NAME]` table.
    #[serde(rename = "shape")]
    pub shape_name: String,
    /// That shape.
    #[serde(skip)]
    pub shape: Arc<Shape>,
    /// Needed for the engine to be ready.
    pub required: bool,
}

/// How a run of an engine is launched. Words in braces are placeholders: `{prompt}`, `{session}`,
/// `{sandbox}` (the flags of the verdict), `{model}` (the words of `model`, or nothing).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Arguments of a first run.
    pub start: Vec<String>,
    /// Arguments of a resumed run.
    pub resume: Vec<String>,
    /// What `{model}` stands for where a model is asked for.
    #[serde(default)]
    pub model: Vec<String>,
}

/// What confinement an engine has, for a range of its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxRange {
    /// First version that the range no longer covers; absent: every later one.
    #[serde(default)]
    pub below: Option<Version>,
    /// What confines it: `landlock`, `bubblewrap`, `container-engine`; absent: it has no sandbox.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// Arguments to the CLI that run `{command}` inside its own sandbox.
    #[serde(default)]
    pub probe: Vec<String>,
    /// The same in an older form, tried where `probe` is not understood.
    #[serde(default)]
    pub probe_old: Vec<String>,
    /// A program that shows whether the mechanism works, where the CLI cannot show it itself; `{needed}` is
    /// the first program found of `needs_any`.
    #[serde(default)]
    pub probe_program: Vec<String>,
    /// Programs of which one must be on PATH.
    #[serde(default)]
    pub needs_any: Vec<String>,
    /// Programs that must all be on PATH.
    #[serde(default)]
    pub needs_all: Vec<String>,
    /// Flags of a confined first run.
    #[serde(default)]
    pub start: Vec<String>,
    /// Flags of a confined resumed run.
    #[serde(default)]
    pub resume: Vec<String>,
    /// Flags of an unconfined run.
    #[serde(default)]
    pub free: Vec<String>,
    /// `--full-auto`, which LANDLOCK_ENABLED=1 stands for, exists in these versions.
    #[serde(default)]
    pub full_auto: bool,
}

/// A file of a terminal session's own folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFile {
    /// Path below the session's folder.
    pub path: PathBuf,
    /// Its content; `{sandbox}` stands for `true` or `false`.
    pub content: String,
}

/// One agent CLI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name, the key of every report.
    #[serde(skip)]
    pub name: String,
    /// npm package.
    pub package: String,
    /// Name of the command in `PREFIX/bin`.
    pub binary: String,
    /// Form of the line that `--version` prints; `{version}` stands for the number.
    pub version: String,
    /// Size on disk once installed, MiB: what the free space is checked against.
    #[serde(default = "default_size")]
    pub disk_mib: u64,
    /// The package's own install scripts must run.
    #[serde(default)]
    pub scripts: bool,
    /// Folders below the agent home, made at every start.
    #[serde(default)]
    pub dirs: Vec<PathBuf>,
    /// Configuration files written where missing.
    #[serde(default, rename = "config")]
    pub configs: Vec<DefaultConfig>,
    /// Credential files.
    #[serde(default, rename = "credential")]
    pub credentials: Vec<Credential>,
    /// How the names of the variables begin that its runs see beside everybody's, its secrets among them.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Variables that every engine's runs get, as one agent may call another.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The name of its trust list, a `[trust.NAME]` table; absent or empty: it has none.
    #[serde(default, rename = "trust")]
    pub trust_name: Option<String>,
    /// That list.
    #[serde(skip)]
    pub trust: Option<Arc<Trust>>,
    /// LANDLOCK_ENABLED speaks of its sandbox; of one engine at most.
    #[serde(default)]
    pub landlock: bool,
    /// Arguments in the web terminal.
    #[serde(default)]
    pub terminal_args: Vec<String>,
    /// The same where the engine's sandbox does not work here; absent: `terminal_args` stands.
    #[serde(default)]
    pub terminal_free: Option<Vec<String>>,
    /// Variables that no session of the web terminal gets.
    #[serde(default)]
    pub terminal_withheld: Vec<String>,
    /// Files written into a terminal session's own folder: what keeps the session tame.
    #[serde(default, rename = "session")]
    pub session_files: Vec<SessionFile>,
    /// Arguments that log in, for the terminal; absent: no such command, empty: the bare CLI asks itself.
    #[serde(default)]
    pub login: Option<Vec<String>>,
    /// Arguments that print its models, `PROVIDER/MODEL` a line; absent: they are pinned in files.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// How a run is launched.
    #[serde(default)]
    pub run: Run,
    /// The configuration that one run gets; absent: none.
    #[serde(default)]
    pub run_config: Option<RunConfig>,
    /// The name of how its output is read, an `[output.NAME]` table.
    #[serde(default = "text", rename = "output")]
    pub output_name: String,
    /// That way.
    #[serde(skip)]
    pub output: Arc<Output>,
    /// Arguments of a run that ask for this output, where `run.start` does not have the first of them.
    #[serde(default)]
    pub output_args: Vec<String>,
    /// Sandbox by version range.
    #[serde(default)]
    pub sandbox: Vec<SandboxRange>,
    /// Why it cannot be installed; absent: it can.
    #[serde(default)]
    pub unavailable: Option<String>,
    /// Not part of `all`.
    #[serde(default)]
    pub optional: bool,
}

const fn default_size() -> u64 {
    200
}

fn text() -> String {
    "text".to_owned()
}

impl Engine {
    /// The sandbox range for a version.
    pub fn sandbox_for(&self, version: Version) -> Option<&SandboxRange> {
        self.sandbox.iter().find(|range| range.below.is_none_or(|below| version < below))
    }
}
