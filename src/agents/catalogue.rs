//! The table of engines: data, embedded, with an optional file laid over it key by key.
//!
//! Pure: text in, table out. Unknown keys are mistakes, so a misspelt override is heard of.

mod check;
mod engine;
mod form;
mod output;
mod read;
mod run_config;
mod shape;
mod trust;
mod version;

pub use engine::{Credential, DefaultConfig, Engine, Format, Repair, Run, SandboxRange, SessionFile};
pub use output::{Output, OutputForm, Rule};
pub use run_config::{RunConfig, RunConfigForm};
pub use shape::{Entries, Kind, Shape};
pub use trust::{Trust, TrustLock};
pub use version::Version;

use crate::settings::{FileProblem, Files, Mistake, Origin, Settings, SystemFiles, keys};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The built-in table has 20 KiB.
const MOST_BYTES: u64 = 1 << 20;

/// Every engine, in the order of the reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The engines.
    pub engines: Vec<Engine>,
    /// The shapes of credential files, by name.
    pub shapes: BTreeMap<String, Arc<Shape>>,
    /// The trust lists, by name.
    pub trusts: BTreeMap<String, Arc<Trust>>,
    /// The ways to read an output, by name.
    pub outputs: BTreeMap<String, Arc<Output>>,
}

/// Why a catalogue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It cannot be read.
    #[error("the engine table {path} cannot be read: {source}; correct SKILL_INIT_CATALOGUE or unset it")]
    Read {
        /// The file.
        path: PathBuf,
        /// Missing, no regular file, too large.
        source: FileProblem,
    },
    /// It is not what an engine table is.
    #[error("the engine table {path} is not understood; its form is that of docs/agents.md{}", listed(mistakes))]
    Parse {
        /// The file.
        path: PathBuf,
        /// All of them, each with file and line.
        mistakes: Vec<Mistake>,
    },
    /// A setting chooses an engine that is in no row.
    #[error("{place}: {reason}")]
    Engines {
        /// The variable, or the file and line.
        place: String,
        /// The name, and those that are known.
        reason: String,
    },
}

impl Catalogue {
    /// The table that the settings name, and the words by which they choose from it.
    pub fn of(settings: &Settings) -> Result<(Self, Vec<String>), CatalogueError> {
        let catalogue = Self::load(settings.get_opt(&keys::CATALOGUE).as_deref())?;
        // The later releases' name counts where ours is not set.
        let later = settings.get_opt(&keys::BOOTSTRAP_ENGINES);
        let later = later.filter(|_| settings.origin(&keys::ENGINES) == Origin::Default);
        let key = if later.is_some() { &keys::BOOTSTRAP_ENGINES } else { &keys::ENGINES };
        let words = later.unwrap_or_else(|| settings.get(&keys::ENGINES));
        if let Err(reason) = catalogue.select(&words) {
            let place = match (settings.origin(key), &settings.file) {
                (Origin::File { line }, Some(file)) => format!("{}:{line}", file.display()),
                _ => format!("env {}", key.spec.env),
            };
            return Err(CatalogueError::Engines { place, reason });
        }
        Ok((catalogue, words))
    }

    /// The built-in table, with the file laid over it where there is one.
    pub fn load(file: Option<&Path>) -> Result<Self, CatalogueError> {
        let Some(path) = file else { return Ok(Self::built_in()) };
        let failed = |source| CatalogueError::Read { path: path.to_owned(), source };
        let bytes = SystemFiles::at("/").read(path, MOST_BYTES).map_err(failed)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| failed(FileProblem::Io { reason: "it is not UTF-8 text".to_owned() }))?;
        read::over(&text, &path.display().to_string())
            .map_err(|mistakes| CatalogueError::Parse { path: path.to_owned(), mistakes })
    }

    /// The built-in table.
    pub fn built_in() -> Self {
        // The tests load it; a table that does not parse never leaves the build.
        read::built_in().unwrap_or_default()
    }

    /// The built-in table with this TOML text over it: a key of a row replaces the built-in one.
    pub fn merged(over: &str) -> Result<Self, String> {
        read::over(over, "the table").map_err(|mistakes| listed(&mistakes))
    }

    /// The engine whose sandbox LANDLOCK_ENABLED speaks of.
    pub fn landlock_engine(&self) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.landlock)
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

/// Mistakes, one a line.
fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect()
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
        let reason = Catalogue::merged("[shape.mine]\nanny = [\"key\"]\n").unwrap_err();
        assert!(reason.contains("`shape.mine.anny`; did you mean `shape.mine.any`?"), "{reason}");
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
    fn a_table_that_is_a_pipe_or_has_no_end_is_told_of_and_waited_for_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let huge = dir.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(MOST_BYTES + 1).unwrap();
        for (path, words) in
            [(&pipe, "not a regular file"), (&huge, "larger than"), (&dir.path().join("none"), "no such file")]
        {
            let told = Catalogue::load(Some(path)).unwrap_err().to_string();
            assert!(told.contains(words) && told.contains("SKILL_INIT_CATALOGUE"), "{told}");
        }
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_once_with_its_line_and_what_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engines.toml");
        let text = "[engine.codex]\npakage = \"x\"\ndisk_mib = \"much\"\n\n[engine.mine]\npackage = \"../up\"\nbinary = \"b\"\n\
                    version = \"v\"\ntrust = \"gemni\"\noutput = \"stream_json\"\n\n[engine.mine.run_config]\nform = \"file\"\n\
                    format = \"toml\"\nargument = [\"-c\"]\n\n[[engine.half.config]]\npath = \"a\"\nformat = \"yaml\"\n\n\
                    [trust.odd]\nfile = \"/etc/x\"\nformat = \"json\"\nvalue = \"yes\"\nvalues = [\"no\"]\n\n\
                    [output.odd]\nform = \"lines\"\non = [\n  { type = \"x\", message = [\"text\"] },\n]\n\n[engin.z]\n";
        std::fs::write(&path, text).unwrap();
        let told = Catalogue::load(Some(&path)).unwrap_err().to_string();
        let at = |line: usize, words: &str| {
            let begin = format!("{}:{line}: ", path.display());
            let found = told.lines().any(|told| told.trim_start().starts_with(&begin) && told.contains(words));
            assert!(found, "no \"{words}\" at {line} in {told}");
        };
        at(2, "unknown key `engine.codex.pakage`; did you mean `engine.codex.package`?");
        at(3, "`engine.codex.disk_mib` is \"much\", not a whole number from 0");
        at(6, "engine.mine: ../up must be a path below its folder");
        at(9, "no trust list is called \"gemni\"; known are codex, gemini, odd; did you mean \"gemini\"?");
        at(10, "no output is called \"stream_json\"");
        at(12, "form \"file\" needs a path");
        at(15, "form \"file\" takes no argument");
        at(17, "`engine.half` lacks `package`");
        at(17, "`engine.half.config[0]` lacks `content`");
        at(19, "is \"yaml\", not \"toml\" or \"json\" or \"jsonc\"");
        at(22, "/etc/x must be a path below");
        at(25, "values must hold the value \"yes\" too");
        at(30, "\"text\" is no JSON pointer");
        at(33, "unknown key `engin`; did you mean `engine`?");
        let broken = Catalogue::merged("[engine.codex\n").unwrap_err();
        assert!(broken.contains("the table:1: is not TOML"), "{broken}");
    }

    #[test]
    fn an_older_override_keeps_what_the_row_says_beside_it() {
        let table = Catalogue::merged("[engine.codex]\nrun = { start = [\"{prompt}\"], resume = [] }\n").unwrap();
        let codex = table.get("codex").unwrap();
        assert!(codex.run_config.is_some() && codex.output.form == OutputForm::Lines);
        let fork = "[engine.fork]\npackage = \"p\"\nbinary = \"b\"\nversion = \"{version}\"\ntrust = \"codex\"\n";
        let table = Catalogue::merged(fork).unwrap();
        assert_eq!(table.get("fork").unwrap().trust.as_ref().unwrap().file, Path::new(".codex/config.toml"));
        let none = Catalogue::merged("[engine.codex]\ntrust = \"\"\n").unwrap();
        assert_eq!(none.get("codex").unwrap().trust, None);
    }

    #[test]
    fn landlock_enabled_speaks_of_one_engine() {
        let second = "[engine.gemini]\nlandlock = true\n";
        assert!(Catalogue::merged(second).unwrap_err().contains("engine.codex has it already"));
        let moved = Catalogue::merged(&format!("{second}[engine.codex]\nlandlock = false\n")).unwrap();
        assert_eq!(moved.landlock_engine().unwrap().name, "gemini");
    }

    #[test]
    fn the_table_sets_no_variable_of_ours() {
        for name in ["HOME", "PATH", "XDG_CONFIG_HOME", "SKILL_RUNNER_RUN_ID", "A=B"] {
            let reason = Catalogue::merged(&format!("[engine.codex.environment]\n{name:?} = \"x\"\n")).unwrap_err();
            assert!(reason.contains("not for the table to set"), "{name}: {reason}");
        }
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
