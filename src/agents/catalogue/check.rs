//! What the form of the table cannot say: names that lead to other rows, paths that stay below their folders, values that
//! belong together. Pure; every mistake is found.

use super::{
    engine::{Engine, Format},
    form::Wrong,
    output::Output,
    run_config::{RunConfig, RunConfigForm},
    trust::Trust,
};
use crate::settings::nearest;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// The mistakes of one row, found so far.
#[derive(Debug)]
pub(super) struct Row<'w> {
    /// `engine.NAME` and the like, as parts.
    pub(super) place: [String; 2],
    pub(super) wrong: &'w mut Vec<Wrong>,
}

impl Row<'_> {
    fn add(&mut self, below: &[&str], words: String) {
        let place: Vec<String> =
            self.place.iter().cloned().chain(below.iter().map(|part| (*part).to_owned())).collect();
        let name = self.place.join(".");
        self.wrong.push((place, format!("{name}: {words}")));
    }

    /// The name of a row becomes a part of paths.
    fn name(&mut self) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let [root, name] = &self.place;
        if name.is_empty() || !name.chars().all(plain) {
            let words = format!("{root}.{name:?}: a name is made of letters, digits, - and _");
            self.wrong.push((self.place.to_vec(), words));
        }
    }

    /// It is joined to a folder of ours, and must not lead out of it.
    fn path(&mut self, below: &[&str], path: &Path) {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.as_os_str().is_empty() {
            let shown = path.display();
            self.add(below, format!("{shown} must be a path below its folder, without / at its start and without .."));
        }
    }

    /// A name of another row.
    pub(super) fn refers<'a>(
        &mut self,
        key: &[&str],
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        let list = known.clone().collect::<Vec<_>>().join(", ");
        let meant = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        self.add(key, format!("no {what} is called \"{name}\"; known are {list}{meant}"));
    }
}

/// Variables that every run has from init.
const OURS: &[&str] = &["HOME", "ZDOTDIR", "PATH", "UV_CACHE_DIR", "UV_PROJECT_ENVIRONMENT"];

/// An engine's row.
pub(super) fn engine(engine: &Engine, row: &mut Row<'_>) {
    row.name();
    // The package's name is a path below node_modules, the command's one below bin.
    row.path(&["package"], Path::new(&engine.package));
    row.path(&["binary"], Path::new(&engine.binary));
    let lists: [(&str, Vec<&PathBuf>); 4] = [
        ("dirs", engine.dirs.iter().collect()),
        ("config", engine.configs.iter().map(|config| &config.path).collect()),
        ("credential", engine.credentials.iter().flat_map(|c| [&c.source, &c.dest]).collect()),
        ("session", engine.session_files.iter().map(|file| &file.path).collect()),
    ];
    for (key, paths) in lists {
        paths.into_iter().for_each(|path| row.path(&[key], path));
    }
    for config in &engine.configs {
        config.asset.iter().for_each(|asset| row.path(&["config"], asset));
    }
    repairs(engine, row);
    if engine.variables.iter().any(String::is_empty) {
        row.add(&["variables"], "variables: an empty beginning lets every secret through".to_owned());
    }
    let ours = |name: &str| OURS.contains(&name) || ["XDG_", "SKILL_"].iter().any(|own| name.starts_with(own));
    for name in engine.environment.keys() {
        if name.is_empty() || name.contains(['=', '\0']) || ours(name) {
            row.add(&["environment", name], format!("environment: {name:?} is not for the table to set"));
        }
    }
    if let Some(config) = &engine.run_config {
        run_config(config, row);
    }
}

/// A repair takes its value from the default content, which therefore has one that will do: else it would never end.
fn repairs(engine: &Engine, row: &mut Row<'_>) {
    for config in engine.configs.iter().filter(|config| !config.repairs.is_empty()) {
        let file = config.path.display();
        let defaults: Value = match config.format {
            Format::Toml => {
                row.add(&["config"], format!("{file}: only JSON files have repairs"));
                continue;
            }
            Format::Json | Format::Jsonc => match serde_json::from_str(&config.content) {
                Ok(value) => value,
                Err(error) => {
                    row.add(&["config"], format!("the content of {file} is no JSON: {error}"));
                    continue;
                }
            },
        };
        if let Some(repair) = config.repairs.iter().find(|repair| !repair.is_ready(defaults.get(&repair.key))) {
            let key = &repair.key;
            row.add(&["config"], format!("{file}: the content's own {key} is not one that its repair takes"));
        }
    }
}

fn run_config(config: &RunConfig, row: &mut Row<'_>) {
    const ROW: &str = "run_config";
    if let Some(asset) = &config.asset {
        row.path(&[ROW, "asset"], asset);
    }
    match (config.form, &config.path) {
        (RunConfigForm::File, None) => row.add(&[ROW], "run_config: form \"file\" needs a path".to_owned()),
        (RunConfigForm::File, Some(path)) => row.path(&[ROW, "path"], path),
        (RunConfigForm::Arguments, Some(_)) => {
            row.add(&[ROW, "path"], "run_config: form \"arguments\" writes no file, so it takes no path".to_owned());
        }
        (RunConfigForm::Arguments, None) => {}
    }
    let has = |mark: &str| config.argument.iter().any(|word| word.contains(mark));
    match config.form {
        RunConfigForm::File if !config.argument.is_empty() => {
            row.add(&[ROW, "argument"], "run_config: form \"file\" takes no argument".to_owned());
        }
        RunConfigForm::Arguments if !(has("{key}") && has("{value}")) => {
            row.add(&[ROW, "argument"], "run_config: argument needs {key} and {value}".to_owned());
        }
        _ => {}
    }
    if config.reserved.iter().any(String::is_empty) {
        row.add(&[ROW, "reserved"], "run_config: reserved: an empty key means nothing".to_owned());
    }
}

/// A trust list's row.
pub(super) fn trust(trust: &Trust, row: &mut Row<'_>) {
    row.name();
    row.path(&["file"], &trust.file);
    match &trust.value {
        Some(value) if !trust.loads(value) => row.add(&["values"], format!("values must hold the value {value} too")),
        None if trust.table.is_empty() => {
            row.add(&["table"], "without a value the folders are an array, and table is the way to it".to_owned());
        }
        None if trust.key.is_some() || !trust.values.is_empty() => {
            row.add(
                &["value"],
                "without a value the folders are an array, which takes no key and no values".to_owned(),
            );
        }
        _ => {}
    }
    if trust.table.iter().chain(&trust.key).any(String::is_empty) {
        row.add(&["table"], "an empty key leads nowhere".to_owned());
    }
    if trust.format == Format::Toml && trust.table.is_empty() && trust.key.is_none() && !trust.values.is_empty() {
        // Every other key of the file would be taken for a folder with a wrong value.
        row.add(&["table"], "a TOML file that is a list of folders itself takes no values".to_owned());
    }
}

/// An output's row.
pub(super) fn output(output: &Output, row: &mut Row<'_>) {
    row.name();
    for (index, rule) in output.rules.iter().enumerate() {
        let at = format!("[{index}]");
        if let Some(pointer) = rule.pointers().find(|pointer| !pointer.starts_with('/')) {
            row.add(&["on", &at], format!("on[{index}]: {pointer:?} is no JSON pointer, such as \"/message/text\""));
        }
    }
}
