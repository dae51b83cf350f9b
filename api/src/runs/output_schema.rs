//! What a skill promises to give: its output schema, and the artifacts that must be there.

use super::schema::Checked;
use crate::{files, skills::Skill};
use serde_json::{Map, Value};
use std::path::Path;

/// The promise.
#[derive(Debug, Clone, Default)]
pub(super) struct Contract {
    /// The output schema.
    pub(super) schema: Option<Value>,
    /// File names below `artifacts/`, with a `*` allowed, that must be there.
    pub(super) required_artifacts: Vec<String>,
    /// Properties that name a file.
    pub(super) file_properties: Vec<String>,
}

impl Contract {
    /// Of a skill; a schema that cannot be read is a mistake of the skill.
    pub(super) fn of(skill: &Skill) -> Result<Self, String> {
        let schema = skill.schema(skill.schemas.output.as_ref()).map_err(|problem| problem.to_string())?;
        let mut out = Self::default();
        let listed = skill.artifacts.as_array().cloned().unwrap_or_default();
        for artifact in &listed {
            let name = ["pattern", "filename", "path"].iter().find_map(|key| artifact.get(key)).and_then(Value::as_str);
            if let Some(name) = name
                && artifact.get("required").and_then(Value::as_bool).unwrap_or(false)
            {
                out.required_artifacts.push(name.trim_start_matches("artifacts/").to_owned());
            }
        }
        if let Some(schema) = &schema {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if !matches!(property.get("x-type").and_then(Value::as_str), Some("artifact" | "file")) {
                    continue;
                }
                out.file_properties.push(name.clone());
                if let Some(file) = property.get("x-filename").and_then(Value::as_str)
                    && required.contains(&name.as_str())
                    && listed.is_empty()
                {
                    out.required_artifacts.push(file.trim_start_matches("artifacts/").to_owned());
                }
            }
        }
        out.schema = schema;
        Ok(out)
    }

    /// Makes file properties relative to the run's folder, where they lie inside it.
    fn normalise(&self, data: &mut Map<String, Value>, run: &Path) {
        for key in &self.file_properties {
            if let Some(Value::String(path)) = data.get_mut(key)
                && let Ok(relative) = Path::new(&*path).strip_prefix(run)
            {
                *path = relative.to_string_lossy().into_owned();
            }
        }
    }

    /// Ready to look at what a run that has ended said.
    pub(super) fn examiner<'a>(&'a self, run: &'a Path) -> Examiner<'a> {
        let present = files::list_files(&run.join("artifacts"));
        let missing = self.required_artifacts.iter().filter(|wanted| !present.iter().any(|name| matches(wanted, name)));
        Examiner {
            contract: self,
            run,
            schema: self.schema.as_ref().map(Checked::new),
            missing: missing.map(|wanted| format!("required artifact is missing: artifacts/{wanted}")).collect(),
        }
    }
}

/// A promise and the run that it is held against: what is the same for every object is looked at once.
#[derive(Debug)]
pub(super) struct Examiner<'a> {
    contract: &'a Contract,
    run: &'a Path,
    schema: Option<Checked>,
    /// What is said of the artifacts that are not there.
    missing: Vec<String>,
}

impl Examiner<'_> {
    /// Makes an object's file properties relative to the run's folder; gives everything that is not as promised.
    pub(super) fn broken(&self, mut object: Map<String, Value>) -> (Value, Vec<String>) {
        self.contract.normalise(&mut object, self.run);
        let data = Value::Object(object);
        let mut out = self.schema.as_ref().map(|schema| schema.errors(&data)).unwrap_or_default();
        for key in &self.contract.file_properties {
            if let Some(path) = data.get(key).and_then(Value::as_str)
                && files::inside(self.run, path).is_none()
            {
                out.push(format!("{key}: no such file in the run: {path}"));
            }
        }
        out.extend(self.missing.iter().cloned());
        (data, out)
    }
}

/// `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut last: Option<&str> = None;
    for part in parts {
        if let Some(before) = last {
            let Some(at) = rest.find(before) else { return false };
            rest = rest.get(at + before.len()..).unwrap_or_default();
        }
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("report.md", "report.md", true),
            ("report.md", "report.mdx", false),
            ("*.md", "a/b.md", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a*", "a", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
