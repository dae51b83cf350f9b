//! JSON Schemas of a skill: parameters, inline input, files.
//!
//! An input property is a file unless its `x-input-source` says `inline`; files are checked for being there, the rest
//! by the schema. No schema reaches out: remote references are not resolved.

use crate::excerpt::shown;
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Most bytes of what is said about one value, which is quoted in it.
const MESSAGE: usize = 1024;

/// A schema that is ready to check many values: making it costs more than a check.
#[derive(Debug)]
pub(super) struct Checked(Result<jsonschema::Validator, String>);

impl Checked {
    /// Of a schema; one that is not valid finds that in every value.
    pub(super) fn new(schema: &Value) -> Self {
        #[cfg(test)]
        tests::MADE.set(tests::MADE.get() + 1);
        Self(jsonschema::validator_for(schema).map_err(|error| format!("the schema itself is not valid: {error}")))
    }

    /// What is wrong with a value, in the order found: `field: message`.
    pub(super) fn errors(&self, instance: &Value) -> Vec<String> {
        let found = self.findings(instance).into_iter();
        found.map(|(at, message)| if at.is_empty() { message } else { format!("{at}: {message}") }).collect()
    }

    fn findings(&self, instance: &Value) -> Vec<(String, String)> {
        let validator = match &self.0 {
            Ok(validator) => validator,
            Err(problem) => return vec![(String::new(), problem.clone())],
        };
        let errors = validator.iter_errors(instance).take(20);
        errors
            .map(|error| {
                let at = error.instance_path().to_string();
                (at.trim_start_matches('/').to_owned(), shown(&error.to_string(), MESSAGE))
            })
            .collect()
    }
}

/// What is wrong with one value, in the order found: `field: message`.
pub(super) fn errors(schema: &Value, instance: &Value) -> Vec<String> {
    Checked::new(schema).errors(instance)
}

/// The same as pairs: a JSON pointer without its first slash (empty: the whole), and the message.
pub(crate) fn findings(schema: &Value, instance: &Value) -> Vec<(String, String)> {
    Checked::new(schema).findings(instance)
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Names of the properties that are files.
pub(crate) fn file_keys(schema: &Value) -> Vec<String> {
    properties(schema)
        .filter(|(_, p)| p.get("x-input-source").and_then(Value::as_str) != Some("inline"))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Of those, the required ones.
pub(super) fn required_file_keys(schema: &Value) -> Vec<String> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    file_keys(schema).into_iter().filter(|key| required.contains(&key.as_str())).collect()
}

/// The schema without its files: what can be checked before an upload.
pub(crate) fn inline_part(schema: &Value) -> Value {
    let files = file_keys(schema);
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| files.iter().any(|file| file == name)));
        }
        if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, property) in properties.iter_mut() {
                if files.contains(name) {
                    *property = Value::Bool(true);
                }
            }
        }
    }
    schema
}

/// Puts the uploaded files' paths into the input: the declared path, else the key's name, else the key's name with an
/// extension. Gives the missing required keys.
pub(super) fn resolve_files(schema: &Value, input: &mut Map<String, Value>, uploads: &Path) -> Vec<String> {
    let required = required_file_keys(schema);
    let mut missing = Vec::new();
    for key in file_keys(schema) {
        let declared = input
            .get(&key)
            .and_then(Value::as_str)
            .and_then(|path| crate::files::inside(uploads, path.strip_prefix("uploads/").unwrap_or(path)));
        match declared.or_else(|| crate::files::inside(uploads, &key)).or_else(|| with_extension(uploads, &key)) {
            Some(path) => {
                input.insert(key, Value::String(path.to_string_lossy().into_owned()));
            }
            None if required.contains(&key) => missing.push(key),
            None => {}
        }
    }
    missing
}

fn with_extension(uploads: &Path, key: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(uploads)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem == key))
        .collect();
    if found.len() == 1 { found.pop() } else { None }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    thread_local! {
        /// How many schemas this thread has made ready.
        pub(in crate::runs) static MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[test]
    fn files_are_told_from_inline_input_and_resolved() {
        let schema = json!({"type": "object", "required": ["paper", "query"], "additionalProperties": false,
            "properties": {"paper": {"type": "string"}, "query": {"type": "string", "x-input-source": "inline"}}});
        assert_eq!(required_file_keys(&schema), ["paper"]);
        assert!(errors(&inline_part(&schema), &json!({"query": "x"})).is_empty());
        assert_eq!(errors(&inline_part(&schema), &json!({"query": 3})).len(), 1);
        assert_eq!(errors(&inline_part(&schema), &json!({})).len(), 1);
        let dir = tempfile::tempdir().unwrap();
        let mut input = json!({"query": "x"}).as_object().unwrap().clone();
        assert_eq!(resolve_files(&schema, &mut input, dir.path()), ["paper"]);
        fs::write(dir.path().join("paper.pdf"), "p").unwrap();
        assert!(resolve_files(&schema, &mut input, dir.path()).is_empty());
        assert!(input["paper"].as_str().unwrap().ends_with("/paper.pdf"));
    }
}
