//! What is wrong with a package, everything at once. Blocking; reads only.
//!
//! Stricter than the discovery of the skills folder: what an author uploads is held to the documented format.

use super::version;
use crate::{
    engines::Engines,
    excerpt::shown,
    files,
    runs::prompt_problem,
    skills::{self, FrontMatter, Mode, Skill},
};
use serde_json::{Map, Value};
use skill_init::agents::{catalogue::Format, edit::json::Object};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A package that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// The skill's id, the name of its folder.
    pub(crate) id: String,
    /// As written; empty where there is none.
    pub(crate) version: String,
}

/// The one folder that an unpacked archive consists of; what macOS adds beside it goes.
pub(crate) fn top_folder(unpacked: &Path) -> Result<PathBuf, String> {
    let problem = |error: std::io::Error| format!("{}: {error}", unpacked.display());
    files::remove_tree(&unpacked.join("__MACOSX")).map_err(problem)?;
    let mut tops = Vec::new();
    for entry in fs::read_dir(unpacked).map_err(problem)? {
        tops.push(entry.map_err(problem)?.path());
    }
    tops.sort();
    match tops.as_slice() {
        [top] if top.is_dir() => Ok(top.clone()),
        [] => Err("the archive is empty: a package is a zip with exactly one folder, the skill's".to_owned()),
        _ => {
            let names: Vec<_> =
                tops.iter().take(5).filter_map(|top| top.file_name()).map(|n| n.to_string_lossy()).collect();
            Err(format!("the archive has not exactly one top folder but: {}", names.join(", ")))
        }
    }
}

impl Package {
    /// Checks an unpacked skill folder, the engine configurations in its assets among it; every mistake that was found.
    pub(crate) fn check(top: &Path, engines: &Engines) -> Result<Self, Vec<String>> {
        let mut checker = Checker { top, wrong: Wrong::default() };
        let id = top.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !skills::plain_name(&id) {
            checker.wrong.push(format!("the folder's name \"{id}\" is no skill id: letters, digits, '-', '_' and '.'"));
        }
        checker.document(&id);
        let version = match checker.object("assets/runner.json") {
            Some(runner) => checker.runner(&id, &runner, engines.names()),
            None => String::new(),
        };
        checker.configs(&engines.skill_configs());
        if checker.wrong.0.is_empty() {
            // What the registry would say of it: nothing may be installed that is then not listed.
            match Skill::read(top, engines.names()) {
                Ok(_) => return Ok(Self { id, version }),
                Err(problem) => checker.wrong.push(problem.to_string()),
            }
        }
        Err(checker.wrong.told())
    }
}

/// Mistakes of a package, each an excerpt of at most 1 KiB; the hundredth is the last, since a package may make a million.
#[derive(Debug, Default)]
struct Wrong(Vec<String>);

impl Wrong {
    const MOST: usize = 100;

    fn push(&mut self, mistake: impl AsRef<str>) {
        if self.0.len() <= Self::MOST {
            self.0.push(shown(mistake.as_ref(), 1024));
        }
    }
    fn told(mut self) -> Vec<String> {
        if self.0.len() > Self::MOST {
            self.0.truncate(Self::MOST);
            self.0.push("and more".to_owned());
        }
        self.0
    }
}

struct Checker<'a> {
    top: &'a Path,
    wrong: Wrong,
}

impl Checker<'_> {
    fn text(&mut self, relative: &str) -> Option<String> {
        match files::read_small_text(&self.top.join(relative)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.wrong.push(format!("{relative} is missing"));
                None
            }
            Err(error) => {
                self.wrong.push(format!("{relative} cannot be read: {error}"));
                None
            }
        }
    }

    fn object(&mut self, relative: &str) -> Option<Map<String, Value>> {
        let text = self.text(relative)?;
        match crate::values::parse::<Value>(text.trim_start_matches('\u{feff}').as_bytes()) {
            Ok(Value::Object(map)) => Some(map),
            Ok(_) => {
                self.wrong.push(format!("{relative} is not a JSON object"));
                None
            }
            Err(error) => {
                self.wrong.push(format!("{relative} is not JSON: {error}"));
                None
            }
        }
    }

    fn document(&mut self, id: &str) {
        let Some(text) = self.text("SKILL.md") else { return };
        match FrontMatter::parse(&text).name {
            Some(name) if name == id => {}
            Some(name) => {
                self.wrong
                    .push(format!("SKILL.md's front matter has the name \"{name}\", the folder is called \"{id}\""));
            }
            None => self.wrong.push("SKILL.md has no front matter with a name"),
        }
    }

    fn runner(&mut self, id: &str, runner: &Map<String, Value>, engines: &[String]) -> String {
        match runner.get("id").map(|id| id.as_str().unwrap_or_default()) {
            Some(given) if given == id => {}
            Some(given) => {
                self.wrong.push(format!("runner.json has the id \"{given}\", the folder is called \"{id}\""));
            }
            None => self.wrong.push("runner.json has no id"),
        }
        self.schemas(runner);
        let wanted = self.words(runner, "engines");
        let refused = self.words(runner, "unsupported_engines");
        if !engines.iter().any(|known| (wanted.is_empty() || wanted.contains(known)) && !refused.contains(known)) {
            let known = engines.join(", ");
            self.wrong.push(format!("runner.json: engines and unsupported_engines leave no engine; known are {known}"));
        }
        let modes = self.words(runner, "execution_modes");
        if modes.is_empty() {
            self.wrong.push("runner.json: execution_modes is empty: name auto, interactive or both");
        }
        for mode in modes.iter().filter(|mode| Mode::named(mode).is_none()) {
            self.wrong.push(format!("runner.json: execution_modes: \"{mode}\" is neither auto nor interactive"));
        }
        let mut must = |key: &str, good: bool, what: &str| {
            if !good {
                self.wrong.push(format!("runner.json: {key} is not {what}"));
            }
        };
        let given = |key: &str| runner.get(key).filter(|value| !value.is_null());
        must("max_attempt", given("max_attempt").is_none_or(|n| n.as_u64().is_some_and(|n| n >= 1)), "a number from 1");
        must("artifacts", given("artifacts").is_none_or(Value::is_array), "a list");
        must("runtime", given("runtime").is_none_or(Value::is_object), "an object");
        must("entrypoint", given("entrypoint").is_none_or(Value::is_object), "an object");
        let dependencies = given("runtime").and_then(|runtime| runtime.get("dependencies"));
        let texts = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        must("runtime.dependencies", dependencies.is_none_or(texts), "a list of texts");
        self.prompts(runner);
        let version = match given("version") {
            None => String::new(),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => other.to_string(),
        };
        if !version.is_empty()
            && let Err(problem) = version::parse(&version)
        {
            self.wrong.push(format!("runner.json: {problem}"));
        }
        version
    }

    fn words(&mut self, runner: &Map<String, Value>, field: &'static str) -> Vec<String> {
        skills::words(runner, field).unwrap_or_else(|problem| {
            self.wrong.push(problem.to_string());
            Vec::new()
        })
    }

    fn prompts(&mut self, runner: &Map<String, Value>) {
        let Some(prompts) = runner.get("entrypoint").and_then(|entry| entry.get("prompts")) else { return };
        let Some(prompts) = prompts.as_object() else {
            return self.wrong.push("runner.json: entrypoint.prompts is not an object");
        };
        for (engine, prompt) in prompts {
            match prompt.as_str() {
                None => self.wrong.push(format!("runner.json: entrypoint.prompts.{engine} is not a text")),
                Some(text) => {
                    if let Some(problem) = prompt_problem(text) {
                        self.wrong.push(format!("runner.json: entrypoint.prompts.{engine}: {problem}"));
                    }
                }
            }
        }
    }

    fn schemas(&mut self, runner: &Map<String, Value>) {
        let Some(schemas) = runner.get("schemas").and_then(Value::as_object) else {
            return self.wrong.push("runner.json: schemas with input, parameter and output is missing");
        };
        for key in ["input", "parameter", "output"] {
            let Some(relative) = schemas.get(key).and_then(Value::as_str) else {
                self.wrong.push(format!("runner.json: schemas.{key} is missing"));
                continue;
            };
            if files::inside(self.top, relative).is_none() {
                self.wrong.push(format!("runner.json: schemas.{key}: there is no file {relative} in the package"));
                continue;
            }
            if let Some(schema) = self.object(relative) {
                self.schema(key, relative, &Value::Object(schema));
            }
        }
    }

    fn schema(&mut self, key: &str, relative: &str, schema: &Value) {
        if let Err(error) = jsonschema::validator_for(schema) {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
            self.wrong.push(format!("{relative} is not a valid JSON Schema{at}: {error}"));
        }
        let (keyword, allowed): (_, &[&str]) = match key {
            "input" => ("x-input-source", &["file", "inline"]),
            "output" => ("x-type", &["artifact", "file"]),
            _ => return,
        };
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let Some(value) = property.get(keyword) else { continue };
            if !value.as_str().is_some_and(|value| allowed.contains(&value)) {
                let allowed = allowed.join(" or ");
                self.wrong.push(format!("{relative}: properties.{name}.{keyword} is {value}, not {allowed}"));
            }
        }
    }

    fn configs(&mut self, configs: &[(PathBuf, Format)]) {
        for (name, format) in configs {
            let relative = format!("assets/{}", name.display());
            if !self.top.join(&relative).exists() {
                continue;
            }
            if *format == Format::Json {
                self.object(&relative);
                continue;
            }
            let Some(text) = self.text(&relative) else { continue };
            if *format == Format::Jsonc {
                if let Err(why) = Object::parse(text.as_bytes()) {
                    self.wrong.push(format!("{relative} {why}"));
                }
            } else if let Err(error) = text.parse::<toml_edit::DocumentMut>() {
                let line = error.to_string();
                self.wrong.push(format!("{relative} is not TOML: {}", line.lines().next().unwrap_or_default()));
            }
        }
    }
}
