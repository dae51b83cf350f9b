//! The engine's configuration for one run, as its row of the table says: a file in the run's folder, or arguments; the
//! global files are never touched.
//!
//! Layers, later ones win: default, the skill's own asset, enforced. Blocking.

use crate::files;
use serde::Serialize;
use serde_json::{Map, Value};
use skill_init::agents::{
    catalogue::{Engine, Format, RunConfig, RunConfigForm},
    edit::json::Object,
};
use std::{fs, io, path::Path};
use toml_edit::{DocumentMut, TableLike};

/// Writes what the engine reads from the run's folder; gives the arguments that carry the rest.
pub(crate) fn write(engine: &Engine, skill: &Path, run: &Path) -> io::Result<Vec<String>> {
    let Some(config) = &engine.run_config else { return Ok(Vec::new()) };
    let own = match &config.asset {
        Some(name) => own_layer(config.format, skill, &format!("assets/{}", name.display()))?,
        None => Asset::Json(Map::new()),
    };
    match (config.form, &config.path) {
        (RunConfigForm::File, Some(path)) => {
            layered(config, own.values()?, &run.join(path))?;
            Ok(Vec::new())
        }
        (RunConfigForm::File, None) => Ok(Vec::new()),
        (RunConfigForm::Arguments, _) => arguments(config, &own),
    }
}

/// A skill is somebody else's: its file is read inside its folder, bounded, and never waited for.
fn own_layer(format: Format, skill: &Path, relative: &str) -> io::Result<Asset> {
    let named = |why: String| invalid(format!("{} {why}", skill.join(relative).display()));
    match files::read_small_inside(skill, relative) {
        Ok(Some(bytes)) => parse(format, &bytes).map_err(named),
        Ok(None) => Ok(Asset::Json(Map::new())),
        Err(error) => Err(named(format!("cannot be read: {error}"))),
    }
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// A skill's own layer.
#[derive(Debug)]
enum Asset {
    Json(Map<String, Value>),
    /// Kept as written: a value that becomes an argument keeps its spelling.
    Toml(DocumentMut),
}

impl Asset {
    fn values(self) -> io::Result<Map<String, Value>> {
        match self {
            Self::Json(map) => Ok(map),
            Self::Toml(document) => toml_edit::de::from_document(document).map_err(|error| invalid(error.to_string())),
        }
    }
}

/// Most bytes of a skill's own layer: parsed, they are a hundred times as many.
const CONFIG_MAX: usize = 1 << 20;

/// The error is what the file is, or is not.
fn parse(format: Format, bytes: &[u8]) -> Result<Asset, String> {
    let object = |value: Value| match value {
        Value::Object(map) => Ok(Asset::Json(map)),
        _ => Err("is not a JSON object".to_owned()),
    };
    if bytes.len() > CONFIG_MAX {
        return Err(format!("has more than {CONFIG_MAX} bytes"));
    }
    match format {
        Format::Json => object(crate::values::parse(bytes).map_err(|error| format!("is not JSON: {error}"))?),
        Format::Jsonc => object(Object::parse(bytes).map_err(|why| why.to_string())?.meaning()),
        Format::Toml => {
            let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
            text.parse().map(Asset::Toml).map_err(|error: toml_edit::TomlError| format!("is not TOML: {error}"))
        }
    }
}

fn layered(config: &RunConfig, mut own: Map<String, Value>, target: &Path) -> io::Result<()> {
    drop_reserved(config, &mut own, "");
    let mut layers = Value::Object(config.default.clone());
    merge(&mut layers, Value::Object(own));
    merge(&mut layers, Value::Object(config.enforced.clone()));
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    match config.format {
        Format::Json | Format::Jsonc => files::write_json(target, &layers),
        Format::Toml => {
            let text = toml_edit::ser::to_string_pretty(&layers).map_err(|error| invalid(error.to_string()))?;
            files::write_atomic(target, text.as_bytes())
        }
    }
}

fn drop_reserved(config: &RunConfig, own: &mut Map<String, Value>, above: &str) {
    own.retain(|key, value| {
        let path = format!("{above}{key}");
        if let Value::Object(inner) = value {
            drop_reserved(config, inner, &format!("{path}."));
        }
        !config.is_reserved(&path)
    });
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Dotted keys with their values as text, in the order of the arguments.
#[derive(Debug, Default)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// A later layer's value takes the place of what stands above or below it.
    fn set(&mut self, key: String, value: String) {
        let covers = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.0.retain(|(known, _)| !covers(known, &key) && !covers(&key, known));
        self.0.push((key, value));
    }

    fn values(&mut self, format: Format, above: &str, values: &Map<String, Value>) -> io::Result<()> {
        for (key, value) in values {
            let path = format!("{above}{key}");
            match value {
                Value::Object(inner) => self.values(format, &format!("{path}."), inner)?,
                value => self.set(path, text(format, value)?),
            }
        }
        Ok(())
    }

    fn table(&mut self, above: &str, table: &dyn TableLike) {
        for (key, item) in table.iter() {
            let path = format!("{above}{key}");
            if let Some(inner) = item.as_table_like() {
                self.table(&format!("{path}."), inner);
            } else if let Some(value) = item.as_value() {
                let mut value = value.clone();
                value.decor_mut().clear();
                self.set(path, value.to_string());
            }
        }
    }
}

/// A value in the engine's syntax.
fn text(format: Format, value: &Value) -> io::Result<String> {
    match format {
        Format::Json | Format::Jsonc => Ok(value.to_string()),
        Format::Toml => {
            let value = value.serialize(toml_edit::ser::ValueSerializer::new());
            value.map(|value| value.to_string()).map_err(|error| invalid(error.to_string()))
        }
    }
}

fn arguments(config: &RunConfig, asset: &Asset) -> io::Result<Vec<String>> {
    let mut own = Pairs::default();
    match asset {
        Asset::Json(map) => own.values(config.format, "", map)?,
        Asset::Toml(document) => own.table("", document.as_table()),
    }
    own.0.retain(|(key, _)| !config.is_reserved(key));
    if let Some((key, _)) = own.0.iter().find(|(key, _)| !plain(key)) {
        return Err(invalid(format!("the key {key:?} of the skill's configuration cannot be given as an argument")));
    }
    let mut all = Pairs::default();
    all.values(config.format, "", &config.default)?;
    own.0.into_iter().for_each(|(key, value)| all.set(key, value));
    all.values(config.format, "", &config.enforced)?;
    // What a value says is no place for another.
    let fill = |word: &String, key: &str, value: &str| {
        word.split("{key}").map(|part| part.replace("{value}", value)).collect::<Vec<_>>().join(key)
    };
    Ok(all.0.iter().flat_map(|(key, value)| config.argument.iter().map(move |word| fill(word, key, value))).collect())
}

/// The engine reads this key as it is meant: one with `=` or spaces at its ends could stand for a reserved one.
fn plain(key: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.trim() == part && !part.contains(['=', '"', '\'']);
    key.split('.').all(part) && !key.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skill_init::agents::catalogue::Catalogue;

    struct Skill(tempfile::TempDir);

    impl Skill {
        fn new(assets: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("assets")).unwrap();
            fs::create_dir(dir.path().join("run")).unwrap();
            for (name, content) in assets {
                fs::write(dir.path().join("assets").join(name), content).unwrap();
            }
            Self(dir)
        }
        fn write_of(&self, table: &Catalogue, engine: &str) -> io::Result<Vec<String>> {
            write(table.get(engine).unwrap(), self.0.path(), &self.0.path().join("run"))
        }
        fn write(&self, engine: &str) -> io::Result<Vec<String>> {
            self.write_of(&Catalogue::built_in(), engine)
        }
        fn written(&self, path: &str) -> String {
            fs::read_to_string(self.0.path().join("run").join(path)).unwrap()
        }
    }

    #[test]
    fn a_layer_that_is_a_pipe_or_a_link_out_of_the_skill_is_neither_waited_for_nor_read() {
        let pipe: fn(&Path) = |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let link: fn(&Path) = |path| std::os::unix::fs::symlink("/proc/self/environ", path).unwrap();
        let folder: fn(&Path) = |path| fs::create_dir(path).unwrap();
        for (what, put) in [("a pipe", pipe), ("a link", link), ("a folder", folder)] {
            let skill = Skill::new(&[]);
            put(&skill.0.path().join("assets/codex_config.toml"));
            let told = skill.write("codex").unwrap_err().to_string();
            assert!(told.contains("codex_config.toml cannot be read") && !told.contains("PATH="), "{what}: {told}");
        }
    }

    #[test]
    fn a_skill_cannot_loosen_its_sandbox() {
        let toml = "model_reasoning_effort = \"high\" # why\nsandbox_mode = \"danger-full-access\"\n[tools]\nweb_search = true\n";
        let json = r#"{"permission":{"external_directory":"allow"},"x":1}"#;
        let skill = Skill::new(&[("codex_config.toml", toml), ("opencode_config.json", json)]);
        assert_eq!(
            skill.write("codex").unwrap(),
            ["-c", "model_reasoning_effort=\"high\"", "-c", "tools.web_search=true"]
        );
        assert!(skill.write("opencode").unwrap().is_empty());
        let config: Value = serde_json::from_str(&skill.written("opencode.json")).unwrap();
        assert_eq!((&config["permission"]["external_directory"], &config["x"]), (&json!("deny"), &json!(1)));
        assert!(skill.write("gemini").is_ok() && skill.0.path().join("run/.gemini/settings.json").exists());
    }

    #[test]
    fn no_spelling_of_a_reserved_key_gets_through() {
        for line in ["\"sandbox_workspace_write.network_access\" = true", "\"profiles.x\" = 1", "projects.x.y = 1"] {
            assert!(Skill::new(&[("codex_config.toml", line)]).write("codex").unwrap().is_empty(), "{line}");
        }
        for line in ["\" sandbox_mode\" = 1", "'sandbox_mode=\"danger-full-access\" #' = 1", "'\"sandbox_mode\"' = 1"] {
            let error = Skill::new(&[("codex_config.toml", line)]).write("codex").unwrap_err();
            assert!(error.to_string().contains("cannot be given"), "{line}: {error}");
        }
    }

    /// What the engines were given before the table said it.
    #[test]
    fn the_files_of_the_documented_engines_keep_their_bytes() {
        let skill = Skill::new(&[("iflow_settings.json", r#"{"z": 1, "sandbox": true}"#)]);
        for engine in ["gemini", "iflow", "opencode"] {
            assert!(skill.write(engine).unwrap().is_empty());
        }
        assert!(skill.write("codex").unwrap().is_empty() && skill.write("claude").unwrap().is_empty());
        let gemini = "{\n  \"general\": {\n    \"disableAutoUpdate\": true\n  }\n}\n";
        let iflow = "{\n  \"z\": 1,\n  \"sandbox\": \"false\",\n  \"approvalMode\": \"yolo\"\n}\n";
        let opencode = "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"autoupdate\": false,\n  \"permission\": {\n    \
                        \"edit\": \"allow\",\n    \"bash\": \"allow\",\n    \"webfetch\": \"allow\",\n    \
                        \"external_directory\": \"deny\",\n    \"question\": \"deny\"\n  }\n}\n";
        assert_eq!(skill.written(".gemini/settings.json"), gemini);
        assert_eq!(skill.written(".iflow/settings.json"), iflow);
        assert_eq!(skill.written("opencode.json"), opencode);
    }

    #[test]
    fn an_engine_of_an_override_is_configured_in_either_form_and_syntax() {
        let row = "[engine.mine]\npackage = \"p\"\nbinary = \"b\"\nversion = \"{version}\"\n[engine.mine.run_config]\n";
        let table = |rest: &str| Catalogue::merged(&format!("{row}{rest}")).unwrap();
        let skill = Skill::new(&[("mine.toml", "a = 1\nlevel = \"low\"\n[box]\nopen = true\n")]);
        let file = table(
            "form = \"file\"\nformat = \"toml\"\nasset = \"mine.toml\"\npath = \".mine/run.toml\"\nreserved = [\"box.open\"]\n\
             default = { level = \"mid\", depth = 2 }\nenforced = { update = false }\n",
        );
        assert!(skill.write_of(&file, "mine").unwrap().is_empty());
        let written: Value = toml_edit::de::from_str(&skill.written(".mine/run.toml")).unwrap();
        assert_eq!(written, json!({"level": "low", "depth": 2, "a": 1, "box": {}, "update": false}));
        let arguments = table(
            "form = \"arguments\"\nformat = \"toml\"\nasset = \"mine.toml\"\nargument = [\"--set={key}:{value}\"]\n\
             default = { level = \"mid\", depth = 2 }\nenforced = { box = \"shut\" }\n",
        );
        let words = ["--set=depth:2", "--set=a:1", "--set=level:\"low\"", "--set=box:\"shut\""];
        assert_eq!(skill.write_of(&arguments, "mine").unwrap(), words);
        let broken = Skill::new(&[("mine.toml", "a =")]).write_of(&file, "mine").unwrap_err();
        assert!(broken.to_string().contains("mine.toml is not TOML"), "{broken}");
    }
}
