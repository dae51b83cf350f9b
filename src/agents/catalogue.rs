//! The table of engines: data, embedded, with an optional file laid over it key by key.
//!
//! Pure: text in, table out. Unknown keys are mistakes, so a misspelt override is heard of.

use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use toml_edit::{DocumentMut, Item};

const BUILT_IN: &str = include_str!("catalogue.toml");

/// Which trust store an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// `[projects."PATH"] trust_level` in codex's config.toml: the exact working directory or git root counts.
    Codex,
    /// gemini's trustedFolders.json: a rule covers everything below its folder.
    Gemini,
}

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
    /// Name of the repair that an existing file gets at every start; `iflow` is the only one.
    #[serde(default)]
    pub repair: Option<String>,
}

/// The shape that a credential file must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// codex `auth.json`.
    CodexAuth,
    /// gemini `oauth_creds.json`.
    GoogleOauth,
    /// gemini `google_accounts.json`.
    GoogleAccounts,
    /// iflow `oauth_creds.json`.
    IflowOauth,
    /// iflow `iflow_accounts.json`.
    IflowAccounts,
    /// opencode `auth.json`: provider -> entry, merged per provider.
    OpencodeAuth,
    /// The opencode antigravity plugin's account list.
    AntigravityAccounts,
    /// Any JSON object.
    JsonObject,
}

/// A credential file: where it is imported from and to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Path below the import folder.
    pub source: PathBuf,
    /// Path below the agent home.
    pub dest: PathBuf,
    /// Required shape.
    pub shape: Shape,
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
    /// Trust store; absent: it has none.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// Arguments in the web terminal.
    #[serde(default)]
    pub terminal_args: Vec<String>,
    /// The same where the engine's sandbox does not work here; absent: `terminal_args` stands.
    #[serde(default)]
    pub terminal_free: Option<Vec<String>>,
    /// Files written into a terminal session's own folder: what keeps the session tame.
    #[serde(default, rename = "session")]
    pub session_files: Vec<SessionFile>,
    /// Arguments that log in, for the terminal; absent: no such command, empty: the bare CLI asks itself.
    #[serde(default)]
    pub login: Option<Vec<String>>,
    /// How a run is launched.
    #[serde(default)]
    pub run: Run,
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

impl Engine {
    /// The sandbox range for a version.
    pub fn sandbox_for(&self, version: Version) -> Option<&SandboxRange> {
        self.sandbox.iter().find(|range| range.below.is_none_or(|below| version < below))
    }
}

/// Every engine, in the order of the reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// The engines.
    pub engines: Vec<Engine>,
}

/// Why a catalogue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It cannot be read.
    #[error("the engine table {path} cannot be read: {source}; correct SKILL_INIT_CATALOGUE or unset it")]
    Read {
        /// The file.
        path: PathBuf,
        /// errno.
        source: std::io::Error,
    },
    /// It is not what an engine table is.
    #[error("the engine table {path} is not understood: {reason}; its form is that of docs/agents.md")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and key.
        reason: String,
    },
}

impl Catalogue {
    /// The built-in table, with the file laid over it where there is one.
    pub fn load(file: Option<&Path>) -> Result<Self, CatalogueError> {
        let Some(path) = file else { return Ok(Self::built_in()) };
        let text =
            std::fs::read_to_string(path).map_err(|source| CatalogueError::Read { path: path.to_owned(), source })?;
        Self::merged(&text).map_err(|reason| CatalogueError::Parse { path: path.to_owned(), reason })
    }

    /// The built-in table.
    pub fn built_in() -> Self {
        // The tests load it; a table that does not parse never leaves the build.
        Self::merged("").unwrap_or(Self { engines: Vec::new() })
    }

    /// The built-in table with this TOML text over it: a key of an engine replaces the built-in one.
    pub fn merged(over: &str) -> Result<Self, String> {
        let mut table: DocumentMut = BUILT_IN.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
        let over: DocumentMut = over.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
        for (key, item) in over.iter() {
            let engines = match (key, item.as_table_like()) {
                ("engine", Some(engines)) => engines,
                _ => return Err(format!("\"{key}\": only [engine.NAME] tables are known here")),
            };
            for (name, item) in engines.iter() {
                let keys = item.as_table_like().ok_or_else(|| format!("engine.{name} is not a table"))?;
                if let Some(known) =
                    table.get_mut("engine").and_then(|e| e.get_mut(name)).and_then(Item::as_table_like_mut)
                {
                    for (key, value) in keys.iter() {
                        known.insert(key, value.clone());
                    }
                } else if let Some(all) = table.get_mut("engine").and_then(Item::as_table_like_mut) {
                    all.insert(name, item.clone());
                }
            }
        }
        let file: File = toml_edit::de::from_document(table).map_err(|e| e.to_string())?;
        Ok(Self { engines: file.engine.0 })
    }

    /// The engine of this name.
    pub fn get(&self, name: &str) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.name == name)
    }

    /// The engines that a setting of `all`, `none` or a list of names means, in table order.
    ///
    /// `all` leaves out the optional ones. The error is the first unknown name, with those that are known.
    pub fn select<S: AsRef<str>>(&self, words: &[S]) -> Result<Vec<&Engine>, String> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if let Some(unknown) = words.iter().find(|w| !matches!(**w, "all" | "none") && self.get(w).is_none()) {
            let known: Vec<&str> = self.engines.iter().map(|engine| engine.name.as_str()).collect();
            return Err(format!("no engine is called \"{unknown}\"; known are all, none, {}", known.join(", ")));
        }
        let all = words.contains(&"all");
        Ok(self
            .engines
            .iter()
            .filter(|engine| words.contains(&engine.name.as_str()) || (all && !engine.optional))
            .collect())
    }
}

#[derive(Deserialize)]
struct File {
    engine: InOrder,
}

/// A map's values in the order of the file, each knowing its key.
struct InOrder(Vec<Engine>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = InOrder;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[engine.NAME] tables")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut engines = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let engine: Engine = map.next_value()?;
                    // An empty reason, as an override file gives it, means that it can be installed.
                    let unavailable = engine.unavailable.clone().filter(|reason| !reason.is_empty());
                    engines.push(Engine { name, unavailable, ..engine });
                }
                Ok(InOrder(engines))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A version of three numbers; what follows them (`-nightly.1`) does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64, pub u64, pub u64);

impl Version {
    /// The first `N.N.N` in a text.
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
            let mut parts = word.trim_matches('.').split('.').map(|part| part.parse().ok());
            Some(Self(parts.next()??, parts.next()??, parts.next()??))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::find(&text).ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a version of three numbers")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_parses_and_keeps_the_documented_order() {
        let names: Vec<String> = Catalogue::merged("").unwrap().engines.into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["codex", "gemini", "iflow", "opencode", "claude", "qwen", "kilo", "codebuddy"]);
    }

    #[test]
    fn the_documented_default_files_have_the_documented_bytes() {
        let table = Catalogue::built_in();
        let content = |name: &str| table.get(name).unwrap().configs[0].content.clone();
        assert_eq!(content("codex").len(), 36);
        assert_eq!(content("gemini").len(), 83);
        assert_eq!(content("iflow").len(), 81);
        for engine in &table.engines {
            for config in engine.configs.iter().filter(|c| c.format != Format::Toml) {
                serde_json::from_str::<serde_json::Value>(&config.content).unwrap();
            }
        }
    }

    #[test]
    fn a_file_replaces_single_keys_and_adds_engines() {
        let table = Catalogue::merged(
            "[engine.codex]\npackage = \"@me/codex\"\n[engine.new]\npackage = \"p\"\nbinary = \"b\"\nversion = \"{version}\"\n",
        )
        .unwrap();
        let codex = table.get("codex").unwrap();
        assert_eq!((codex.package.as_str(), codex.binary.as_str()), ("@me/codex", "codex"));
        assert_eq!(table.engines.last().unwrap().name, "new");
    }

    #[test]
    fn an_empty_reason_makes_an_engine_available_again() {
        let table = Catalogue::merged("[engine.iflow]\nunavailable = \"\"\n").unwrap();
        assert_eq!(table.get("iflow").unwrap().unavailable, None);
        assert!(Catalogue::built_in().get("iflow").unwrap().unavailable.is_some());
    }

    #[test]
    fn a_misspelt_key_is_a_mistake() {
        let reason = Catalogue::merged("[engine.codex]\npakage = \"x\"\n").unwrap_err();
        assert!(reason.contains("pakage"), "{reason}");
        assert!(Catalogue::merged("[engin.codex]\n").is_err());
    }

    #[test]
    fn all_leaves_out_the_optional_engines_and_unknown_names_are_told() {
        let table = Catalogue::built_in();
        let names =
            |words: &[&str]| -> Vec<String> { table.select(words).unwrap().iter().map(|e| e.name.clone()).collect() };
        assert_eq!(names(&["all"]), ["codex", "gemini", "iflow", "opencode"]);
        assert_eq!(names(&["claude", "codex"]), ["codex", "claude"]);
        assert!(names(&["none"]).is_empty());
        assert!(table.select(&["codexx"]).unwrap_err().contains("opencode"));
    }

    #[test]
    fn flags_follow_the_version() {
        let table = Catalogue::built_in();
        let codex = table.get("codex").unwrap();
        let range = |text: &str| codex.sandbox_for(Version::find(text).unwrap()).unwrap();
        assert_eq!(range("0.114.0").mechanism.as_deref(), Some("landlock"));
        assert_eq!(range("0.146.9").start, ["--full-auto"]);
        assert_eq!(range("codex-cli 0.147.0").start, ["--sandbox", "workspace-write"]);
    }

    #[test]
    fn versions_are_found_in_the_lines_that_the_clis_print() {
        assert_eq!(Version::find("codex-cli 0.169.0"), Some(Version(0, 169, 0)));
        assert_eq!(Version::find("2.1.197 (Claude Code)"), Some(Version(2, 1, 197)));
        assert_eq!(Version::find("v1.18.33-beta.1"), Some(Version(1, 18, 33)));
        assert_eq!(Version::find("no version 1.2"), None);
    }
}
