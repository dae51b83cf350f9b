//! The table of engines: data, embedded, with an optional file laid over it key by key.
//!
//! Pure: text in, table out. Unknown keys are mistakes, so a misspelt override is heard of.

mod engine;
mod shape;
mod version;

pub use engine::{Credential, DefaultConfig, Engine, Format, Repair, Run, SandboxRange, SessionFile, Trust};
pub use shape::{Entries, Kind, Shape};
pub use version::Version;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};
use toml_edit::{DocumentMut, Item};

const BUILT_IN: &str = include_str!("catalogue/engines.toml");
/// The same as JSON (build.rs), for every start that lays nothing over it.
const BUILT_IN_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/engines.json"));

/// Every engine, in the order of the reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// The engines.
    pub engines: Vec<Engine>,
    /// The shapes of credential files, by name.
    pub shapes: BTreeMap<String, Arc<Shape>>,
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
        serde_json::from_str(BUILT_IN_JSON)
            .map_err(|error| error.to_string())
            .and_then(Self::checked)
            .unwrap_or(Self { engines: Vec::new(), shapes: BTreeMap::new() })
    }

    /// The built-in table with this TOML text over it: a key of an engine replaces the built-in one.
    pub fn merged(over: &str) -> Result<Self, String> {
        let mut table: DocumentMut = BUILT_IN.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
        let over: DocumentMut = over.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
        for (root, item) in over.iter() {
            let tables = match (root, item.as_table_like()) {
                ("engine" | "shape", Some(tables)) => tables,
                _ => return Err(format!("\"{root}\": only [engine.NAME] and [shape.NAME] tables are known here")),
            };
            for (name, item) in tables.iter() {
                let keys = item.as_table_like().ok_or_else(|| format!("{root}.{name} is not a table"))?;
                if let Some(known) = table.get_mut(root).and_then(|t| t.get_mut(name)).and_then(Item::as_table_like_mut)
                {
                    for (key, value) in keys.iter() {
                        known.insert(key, value.clone());
                    }
                } else if let Some(all) = table.get_mut(root).and_then(Item::as_table_like_mut) {
                    all.insert(name, item.clone());
                }
            }
        }
        toml_edit::de::from_document(table).map_err(|e| e.to_string()).and_then(Self::checked)
    }

    /// What a parser cannot know: names and paths that lead nowhere else, shapes that exist.
    fn checked(file: File) -> Result<Self, String> {
        let shapes: BTreeMap<String, Arc<Shape>> = file.shape.into_iter().map(|(k, v)| (k, Arc::new(v))).collect();
        let mut engines = file.engine.0;
        for engine in &mut engines {
            check_paths(engine)?;
            check_repairs(engine)?;
            if engine.variables.iter().any(String::is_empty) {
                return Err(format!("engine.{}: variables: an empty beginning lets every secret through", engine.name));
            }
            for credential in &mut engine.credentials {
                let name = &credential.shape_name;
                credential.shape = shapes.get(name).cloned().ok_or_else(|| {
                    let known: Vec<&str> = shapes.keys().map(String::as_str).collect();
                    format!("engine.{}: no shape is called \"{name}\"; known are {}", engine.name, known.join(", "))
                })?;
            }
        }
        Ok(Self { engines, shapes })
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
#[serde(deny_unknown_fields)]
struct File {
    shape: BTreeMap<String, Shape>,
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

/// Names and paths of an engine are joined to folders of ours: none of them may lead out.
fn check_paths(engine: &Engine) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if engine.name.is_empty() || !engine.name.chars().all(plain) {
        return Err(format!("engine.{:?}: a name is made of letters, digits, - and _", engine.name));
    }
    let credentials = engine.credentials.iter().flat_map(|c| [&c.source, &c.dest]);
    let files = engine.session_files.iter().map(|file| &file.path);
    let paths = credentials.chain(engine.configs.iter().map(|config| &config.path)).chain(&engine.dirs).chain(files);
    // The package's name is a path below node_modules, the command's one below bin.
    let names = [&engine.package, &engine.binary].map(Path::new);
    for path in paths.map(PathBuf::as_path).chain(names) {
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!(
                "engine.{}: {} must be a path below its folder, without / at its start and without ..",
                engine.name,
                path.display()
            ));
        }
    }
    Ok(())
}

/// A repair takes its value from the default content, which therefore has one that will do: else it would never end.
fn check_repairs(engine: &Engine) -> Result<(), String> {
    for config in engine.configs.iter().filter(|config| !config.repairs.is_empty()) {
        let file = config.path.display();
        let defaults: Value = match config.format {
            Format::Toml => return Err(format!("engine.{}: {file}: only JSON files have repairs", engine.name)),
            Format::Json | Format::Jsonc => serde_json::from_str(&config.content)
                .map_err(|error| format!("engine.{}: the content of {file} is no JSON: {error}", engine.name))?,
        };
        if let Some(repair) = config.repairs.iter().find(|repair| !repair.is_ready(defaults.get(&repair.key))) {
            let key = &repair.key;
            return Err(format!(
                "engine.{}: {file}: the content's own {key} is not one that its repair takes",
                engine.name
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_json_is_the_table_of_the_toml_file() {
        let table = Catalogue::built_in();
        assert!(!table.engines.is_empty());
        assert_eq!(Ok(table), Catalogue::merged(""));
    }

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
    fn a_new_engine_brings_the_shape_of_its_credentials_along() {
        let engine = "[engine.new]\npackage = \"p\"\nbinary = \"b\"\nversion = \"{version}\"\n\
                      [[engine.new.credential]]\nsource = \"new/key.json\"\ndest = \".new/key.json\"\nshape = \"mine\"\n\
                      required = true\n";
        let reason = Catalogue::merged(engine).unwrap_err();
        assert!(reason.contains("engine.new") && reason.contains("codex-auth"), "{reason}");
        let table = Catalogue::merged(&format!("{engine}[shape.mine]\nany = [\"key\"]\n")).unwrap();
        assert_eq!(table.get("new").unwrap().credentials[0].shape.any, ["key"]);
        assert!(Catalogue::merged("[shape.mine]\nanny = [\"key\"]\n").unwrap_err().contains("anny"));
    }

    #[test]
    fn no_name_or_path_leads_out_of_its_folder() {
        for line in ["package = \"../up\"", "binary = \"/bin/sh\"", "dirs = [\"a/../../b\"]"] {
            let reason = Catalogue::merged(&format!("[engine.codex]\n{line}\n")).unwrap_err();
            assert!(reason.contains("must be a path below"), "{line}: {reason}");
        }
    }

    #[test]
    fn a_repair_whose_default_would_not_do_is_a_mistake() {
        let config = |rest: &str| {
            let head = "[[engine.codex.config]]\npath = \".codex/x\"\ncontent = '{\"url\": \"ftp://x\"}'\n";
            Catalogue::merged(&format!("{head}{rest}\n")).map(|_| ())
        };
        let repair = "repair = [{ key = \"url\", prefixes = [\"http://\"] }]";
        let reason = config(&format!("format = \"json\"\n{repair}")).unwrap_err();
        assert!(reason.contains("own url"), "{reason}");
        assert!(config(&format!("format = \"toml\"\n{repair}")).unwrap_err().contains("only JSON"));
        config("format = \"json\"\nrepair = [{ key = \"url\" }]").unwrap();
    }

    #[test]
    fn no_engine_is_shown_every_variable() {
        let reason = Catalogue::merged("[engine.codex]\nvariables = [\"OPENAI_\", \"\"]\n").unwrap_err();
        assert!(reason.contains("every secret"), "{reason}");
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
}
