//! One skill: what `assets/runner.json` and SKILL.md say, checked, with everything defaulted.
//!
//! Lenient where the documented discovery is (only the two files are needed), strict about what would make a run
//! meaningless: an id that is no plain name, no engine left, an unknown execution mode.

use super::FrontMatter;
use crate::{files::read_small_text, values};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How a run of the skill proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// To the end without a question.
    Auto,
    /// The engine may ask its user.
    Interactive,
}

impl Mode {
    /// By its name.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "interactive" => Some(Self::Interactive),
            _ => None,
        }
    }
}

/// Relative paths of the three schema files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Schemas {
    /// Input.
    pub input: Option<String>,
    /// Parameter.
    pub parameter: Option<String>,
    /// Output.
    pub output: Option<String>,
}

/// A skill as `GET /v1/skills` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Skill {
    /// Its id: a plain name.
    pub id: String,
    /// Its folder, absolute.
    pub path: PathBuf,
    /// Version as written; empty where there is none.
    pub version: String,
    /// Name for people.
    pub name: String,
    /// One paragraph.
    pub description: String,
    /// Engines it asks for; empty: all.
    pub engines: Vec<String>,
    /// Engines it refuses.
    pub unsupported_engines: Vec<String>,
    /// What is left.
    pub effective_engines: Vec<String>,
    /// At least one.
    pub execution_modes: Vec<Mode>,
    /// Attempts of an interactive run.
    pub max_attempt: Option<u64>,
    /// Prompts per engine, as written.
    pub entrypoint: Value,
    /// Required artifacts, as written.
    pub artifacts: Value,
    /// Schema files.
    pub schemas: Schemas,
    /// Dependencies and default options, as written.
    pub runtime: Value,
}

/// Why a folder is not a skill.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file is missing or cannot be read.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `runner.json` is not a JSON object.
    #[error("{path} is not a JSON object: {reason}", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// A field has a value that is not allowed.
    #[error("runner.json: {field} {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Is this a name that can be a folder and a part of a URL?
pub(crate) fn plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl Skill {
    /// Reads a folder; the second value holds warnings.
    pub fn read(folder: &Path, known_engines: &[String]) -> Result<(Self, Vec<String>), Problem> {
        let text_of = |path: PathBuf| read_small_text(&path).map_err(|source| Problem::Read { path, source });
        let front = FrontMatter::parse(&text_of(folder.join("SKILL.md"))?);
        let runner_path = folder.join("assets/runner.json");
        let runner: Map<String, Value> = values::parse(text_of(runner_path.clone())?.as_bytes())
            .map_err(|error| Problem::Json { path: runner_path, reason: error.to_string() })?;
        Self::from_parts(folder, &runner, front, known_engines)
    }

    fn from_parts(
        folder: &Path,
        runner: &Map<String, Value>,
        front: FrontMatter,
        known: &[String],
    ) -> Result<(Self, Vec<String>), Problem> {
        let mut warnings = Vec::new();
        let folder_name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |key: &str| runner.get(key).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").unwrap_or_else(|| folder_name.clone());
        if !plain_name(&id) {
            return Err(Problem::Field { field: "id", reason: format!("\"{id}\" is not a plain name") });
        }
        if id != folder_name {
            warnings.push(format!("id \"{id}\" differs from the folder's name \"{folder_name}\""));
        }
        let engines = words(runner, "engines")?;
        let unsupported_engines = words(runner, "unsupported_engines")?;
        let effective_engines: Vec<String> = known
            .iter()
            .filter(|e| engines.is_empty() || engines.contains(e))
            .filter(|e| !unsupported_engines.contains(e))
            .cloned()
            .collect();
        if effective_engines.is_empty() {
            return Err(Problem::Field { field: "engines", reason: "leaves no known engine".to_owned() });
        }
        let mut execution_modes = Vec::new();
        for word in words(runner, "execution_modes")? {
            execution_modes.push(Mode::named(&word).ok_or_else(|| Problem::Field {
                field: "execution_modes",
                reason: format!("\"{word}\" is neither auto nor interactive"),
            })?);
        }
        if execution_modes.is_empty() {
            warnings.push("no execution_modes; auto is assumed".to_owned());
            execution_modes.push(Mode::Auto);
        }
        let version = match runner.get("version") {
            Some(Value::String(version)) => version.clone(),
            Some(Value::Number(version)) => version.to_string(),
            _ => String::new(),
        };
        let max_attempt = match runner.get("max_attempt") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().filter(|n| *n >= 1).ok_or_else(|| Problem::Field {
                field: "max_attempt",
                reason: format!("{value} is not a whole number from 1"),
            })?),
        };
        let skill = Self {
            path: folder.to_owned(),
            version,
            name: text("name").or(front.name).unwrap_or_else(|| id.clone()),
            description: text("description").or(front.description).unwrap_or_default(),
            engines,
            unsupported_engines,
            effective_engines,
            execution_modes,
            max_attempt,
            entrypoint: runner.get("entrypoint").cloned().unwrap_or(Value::Null),
            artifacts: runner.get("artifacts").cloned().unwrap_or_else(|| Value::Array(Vec::new())),
            schemas: schemas(folder, runner, &mut warnings),
            runtime: runner.get("runtime").cloned().unwrap_or(Value::Null),
            id,
        };
        Ok((skill, warnings))
    }

    /// Reads one of its schema files; `None` where the skill has none.
    pub fn schema(&self, which: Option<&String>) -> Result<Option<Value>, Problem> {
        let Some(relative) = which else { return Ok(None) };
        let path = self.path.join(relative);
        let text = read_small_text(&path).map_err(|source| Problem::Read { path: path.clone(), source })?;
        values::parse(text.as_bytes()).map(Some).map_err(|error| Problem::Json { path, reason: error.to_string() })
    }
}

/// The declared files, else the fixed names; a declaration that leaves the folder counts as missing.
fn schemas(folder: &Path, runner: &Map<String, Value>, warnings: &mut Vec<String>) -> Schemas {
    let mut one = |key: &str| {
        let declared = runner.get("schemas").and_then(|s| s.get(key)).and_then(Value::as_str);
        if let Some(relative) = declared {
            if crate::files::inside(folder, relative).is_some() {
                return Some(relative.to_owned());
            }
            warnings.push(format!("schemas.{key}: no such file in the skill: {relative}"));
        }
        let fixed = format!("assets/{key}.schema.json");
        crate::files::inside(folder, &fixed).is_some().then_some(fixed)
    };
    Schemas { input: one("input"), parameter: one("parameter"), output: one("output") }
}

/// A list of words in lower case; missing is empty.
pub(crate) fn words(runner: &Map<String, Value>, field: &'static str) -> Result<Vec<String>, Problem> {
    let list = match runner.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Problem::Field { field, reason: "is not a list".to_owned() }),
    };
    list.iter()
        .map(|value| value.as_str().map(|word| word.trim().to_ascii_lowercase()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Problem::Field { field, reason: "holds something that is not a word".to_owned() })
}
