//! A form out of a skill's schemas, and values out of a form. Pure but for [`Form::new`].
//!
//! ```text
//! input.schema.json, parameter.schema.json -> fields -> what a person wrote -> input, parameter | errors at their field
//! ```
//!
//! A property is text, a number, a check box or a choice where its schema says so in one word, a file where the input
//! contract says so, and JSON otherwise. A schema that names no property is one JSON field.

use super::visit::Visit;
use crate::{error::ApiResult, runs::schema, skills::Skill};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// The form of a skill's page.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Form {
    pub(super) fields: Vec<Field>,
    /// `{name, version, ready, usable, models}` of each engine that the skill may use.
    pub(super) engines: Vec<Value>,
    pub(super) engine: String,
    pub(super) model: String,
    pub(super) no_cache: bool,
    /// Seconds, as written.
    pub(super) timeout: String,
    /// What is wrong and belongs to no field.
    pub(super) errors: Vec<String>,
    /// It can only be sent by another client.
    pub(super) automatic: bool,
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Text,
    Lines,
    Number,
    Boolean,
    Choice,
    Json,
    File,
}

/// One field.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Field {
    /// `input` or `parameter`.
    pub(super) group: &'static str,
    /// The property; empty: the whole of the group.
    pub(super) key: String,
    /// The name in the form.
    pub(super) name: String,
    pub(super) label: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    whole: bool,
    /// `(value, label)`.
    options: Vec<(String, String)>,
    pub(super) value: String,
    limits: Map<String, Value>,
    /// Endings of a file, for the browser's dialogue.
    accept: String,
    pub(super) error: Option<String>,
}

impl Form {
    /// The empty form.
    pub(super) async fn new(visit: &Visit, skill: &Arc<Skill>) -> ApiResult<Self> {
        let read = Arc::clone(skill);
        let read = tokio::task::spawn_blocking(move || {
            let of = |which: &Option<String>| read.schema(which.as_ref());
            Ok::<_, crate::skills::Problem>((of(&read.schemas.input)?, of(&read.schemas.parameter)?))
        });
        let mut form =
            Self { automatic: skill.execution_modes.contains(&crate::skills::Mode::Auto), ..Self::default() };
        match read.await? {
            Ok((input, parameter)) => {
                form.fields = fields("input", input.as_ref());
                form.fields.extend(fields("parameter", parameter.as_ref()));
            }
            Err(problem) => form.errors.push(problem.to_string()),
        }
        let (engines, ready) = (&visit.app.engines, visit.app.auth_ready().await?);
        let status = engines.status().await;
        for name in &skill.effective_engines {
            let view = visit.app.model_view(name).await?;
            form.engines.push(json!({
                "name": name, "version": status.version(name), "ready": ready.get(name),
                "usable": engines.verdict(name).await.usable, "models": view.get("models"),
            }));
        }
        let is = |engine: &&Value, key: &str| {
            engine.get(key).is_some_and(|value| *value != json!(null) && *value != json!(false))
        };
        let chosen = form.engines.iter().find(|one| is(one, "version") && is(one, "ready") && is(one, "usable"));
        let chosen = chosen.or_else(|| form.engines.iter().find(|one| is(one, "version") && is(one, "usable")));
        let chosen = chosen.or_else(|| form.engines.first()).and_then(|one| one.get("name")).and_then(Value::as_str);
        form.engine = chosen.unwrap_or_default().to_owned();
        Ok(form)
    }

    /// Is anything wrong?
    pub(super) fn refused(&self) -> bool {
        !self.errors.is_empty() || self.fields.iter().any(|field| field.error.is_some())
    }

    /// Takes what was written; gives input and parameter. What is wrong stands at its field.
    pub(super) fn take(&mut self, mut written: BTreeMap<String, String>, files: &[String]) -> (Value, Value) {
        let (mut input, mut parameter) = (Map::new(), Map::new());
        for field in &mut self.fields {
            let group = if field.group == "input" { &mut input } else { &mut parameter };
            let text = written.remove(&field.name);
            match field.read(text, files.contains(&field.key)) {
                Ok(Some(Value::Object(whole))) if field.whole => *group = whole,
                Ok(Some(value)) => drop(group.insert(field.key.clone(), value)),
                Ok(None) => {}
                Err(reason) => field.error = Some(reason.to_owned()),
            }
        }
        let mut word = |name: &str| written.remove(name).unwrap_or_default().trim().to_owned();
        (self.engine, self.model, self.timeout) = (word("engine"), word("model"), word("timeout"));
        self.no_cache = !word("no_cache").is_empty();
        (Value::Object(input), Value::Object(parameter))
    }

    /// Puts a finding of the schema where it belongs.
    pub(super) fn blame(&mut self, group: &str, at: &str, message: &str) {
        let key = at.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        let quoted = |field: &Field| message.contains(&format!("\"{}\" is a required", field.key));
        let of = |field: &&mut Field| {
            field.group == group && (field.whole || field.key == key || at.is_empty() && quoted(field))
        };
        match self.fields.iter_mut().find(of) {
            Some(field) => drop(field.error.get_or_insert_with(|| message.to_owned())),
            None => self.errors.push(format!("{group}: {message}")),
        }
    }
}

impl Field {
    /// The value of what was written, `None` where nothing was; the error is a key of the catalogue.
    fn read(&mut self, text: Option<String>, has_file: bool) -> Result<Option<Value>, &'static str> {
        if self.kind == Kind::File {
            return if self.required && !has_file { Err("form.file-required") } else { Ok(None) };
        }
        if self.kind == Kind::Boolean {
            let on = text.is_some();
            self.value = on.to_string();
            return Ok(Some(on.into()));
        }
        // Forms send line ends as CR LF.
        self.value = text.unwrap_or_default().replace("\r\n", "\n");
        let trimmed = self.value.trim();
        if trimmed.is_empty() {
            return if self.required { Err("form.required") } else { Ok(None) };
        }
        match self.kind {
            Kind::Text | Kind::Lines => Ok(Some(self.value.clone().into())),
            Kind::Number => {
                let number = serde_json::from_str::<serde_json::Number>(trimmed).map_err(|_| "form.number")?;
                Ok(Some(Value::Number(number)))
            }
            Kind::Choice => {
                let known = self.options.iter().any(|(value, _)| value == trimmed);
                let value = serde_json::from_str(trimmed).map_err(|_| "form.choice")?;
                if known { Ok(Some(value)) } else { Err("form.choice") }
            }
            Kind::Json | Kind::File | Kind::Boolean => {
                let value: Value = serde_json::from_str(trimmed).map_err(|_| "form.json")?;
                if self.whole && !value.is_object() { Err("form.object") } else { Ok(Some(value)) }
            }
        }
    }
}

/// The fields of a schema.
fn fields(group: &'static str, schema: Option<&Value>) -> Vec<Field> {
    let Some(schema) = schema else { return Vec::new() };
    let properties = schema.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty());
    let Some(properties) = properties else {
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let any = schema.as_object().is_some_and(|map| {
            map.keys().any(|key| !matches!(key.as_str(), "$schema" | "type" | "properties" | "title" | "$id"))
        });
        return if closed || !any { Vec::new() } else { vec![of(group, "", schema, Kind::Json, true)] };
    };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let files = if group == "input" { schema::file_keys(schema) } else { Vec::new() };
    let mut out: Vec<Field> = properties
        .iter()
        .map(|(key, property)| {
            let kind = if files.contains(key) { Kind::File } else { kind(property) };
            of(group, key, property, kind, required.contains(&key.as_str()))
        })
        .collect();
    // What must be filled in comes first; the schema's order stays otherwise.
    out.sort_by_key(|field| !field.required);
    out
}

fn kind(property: &Value) -> Kind {
    if property.get("enum").is_some_and(Value::is_array) {
        return Kind::Choice;
    }
    let word = match property.get("type") {
        Some(Value::String(word)) => word.as_str(),
        _ => return Kind::Json,
    };
    let long = property.get("maxLength").and_then(Value::as_u64).is_some_and(|n| n > 200)
        || property.get("contentMediaType").is_some()
        || property.get("format").and_then(Value::as_str) == Some("multiline");
    match word {
        "string" if long => Kind::Lines,
        "string" => Kind::Text,
        "integer" | "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => Kind::Json,
    }
}

fn of(group: &'static str, key: &str, property: &Value, kind: Kind, required: bool) -> Field {
    let text = |name: &str| property.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let default = property.get("default").filter(|value| !value.is_null());
    let mut limits = Map::new();
    let taken: &[(&str, &str)] = match kind {
        Kind::Text | Kind::Lines => &[("minLength", "minlength"), ("maxLength", "maxlength"), ("pattern", "pattern")],
        Kind::Number => &[("minimum", "min"), ("maximum", "max")],
        _ => &[],
    };
    for (ours, html) in taken {
        if let Some(value) = property.get(*ours) {
            limits.insert((*html).to_owned(), plain(value).into());
        }
    }
    // A pattern of a schema may match anywhere, one of a form matches all; only an anchored one means the same.
    let anchored =
        limits.get("pattern").and_then(Value::as_str).is_some_and(|p| p.starts_with('^') && p.ends_with('$'));
    if !anchored || kind == Kind::Lines {
        limits.remove("pattern");
    }
    if kind == Kind::Number {
        let whole = property.get("type").and_then(Value::as_str) == Some("integer");
        limits.insert("step".to_owned(), if whole { "1" } else { "any" }.into());
    }
    let endings = property.get("extensions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let title = text("title");
    Field {
        group,
        key: key.to_owned(),
        name: if key.is_empty() { group.to_owned() } else { format!("{group}.{key}") },
        label: if title.is_empty() { key.to_owned() } else { title },
        help: text("description"),
        kind,
        required: required && kind != Kind::Boolean,
        whole: key.is_empty(),
        options: property
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|value| (value.to_string(), plain(value)))
            .collect(),
        value: match (kind, default) {
            (_, None) => String::new(),
            (Kind::Choice | Kind::Json, Some(value)) => value.to_string(),
            (_, Some(value)) => plain(value),
        },
        limits,
        accept: endings.map(|end| format!(".{}", end.trim_start_matches('.'))).collect::<Vec<_>>().join(","),
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let input = json!({"type": "object", "required": ["paper", "topic"], "properties": {
            "paper": {"type": "string", "extensions": ["pdf", ".txt"]},
            "note": {"type": "string", "x-input-source": "inline", "maxLength": 4000},
            "topic": {"type": "string", "x-input-source": "inline", "pattern": "^[a-z]+$"}}});
        let parameter = json!({"type": "object", "required": ["depth"], "properties": {
            "depth": {"type": "integer", "minimum": 1, "default": 2}, "style": {"enum": ["short", 7]},
            "loud": {"type": "boolean", "default": true}, "extra": {"type": ["object", "null"]}}});
        let mut form = Form { fields: fields("input", Some(&input)), ..Form::default() };
        form.fields.extend(fields("parameter", Some(&parameter)));
        form
    }

    fn written(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn each_property_becomes_the_field_that_fits_it() {
        let form = form();
        let kinds: Vec<(&str, Kind)> = form.fields.iter().map(|field| (field.name.as_str(), field.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("input.paper", Kind::File),
                ("input.topic", Kind::Text),
                ("input.note", Kind::Lines),
                ("parameter.depth", Kind::Number),
                ("parameter.style", Kind::Choice),
                ("parameter.loud", Kind::Boolean),
                ("parameter.extra", Kind::Json)
            ]
        );
        assert_eq!(form.fields[0].accept, ".pdf,.txt");
        assert_eq!((form.fields[3].value.as_str(), &form.fields[3].limits["min"]), ("2", &json!("1")));
    }

    #[test]
    fn what_is_written_becomes_values_of_their_types() {
        let mut form = form();
        let all = [
            ("input.topic", "cats"),
            ("input.note", "a\r\nb"),
            ("parameter.depth", "3"),
            ("parameter.style", "7"),
            ("parameter.extra", "{\"a\": 1}"),
            ("engine", "codex"),
            ("no_cache", "on"),
        ];
        let (input, parameter) = form.take(written(&all), &["paper".to_owned()]);
        assert!(!form.refused(), "{form:?}");
        assert_eq!(input, json!({"topic": "cats", "note": "a\nb"}));
        assert_eq!(parameter, json!({"depth": 3, "style": 7, "loud": false, "extra": {"a": 1}}));
        assert!(form.no_cache && form.engine == "codex");
    }

    #[test]
    fn what_is_wrong_stands_at_its_field_and_what_was_written_stays() {
        let mut form = form();
        let all = [("parameter.depth", "many"), ("parameter.style", "\"long\""), ("parameter.extra", "{")];
        form.take(written(&all), &[]);
        let error = |form: &Form, name: &str| form.fields.iter().find(|f| f.name == name).unwrap().error.clone();
        for (name, want) in [
            ("input.paper", "form.file-required"),
            ("input.topic", "form.required"),
            ("parameter.depth", "form.number"),
            ("parameter.style", "form.choice"),
            ("parameter.extra", "form.json"),
        ] {
            assert_eq!(error(&form, name).as_deref(), Some(want), "{name}");
        }
        assert_eq!(form.fields[3].value, "many");
        let mut form = self::form();
        form.blame("parameter", "depth", "0 is less than 1");
        form.blame("input", "", "\"topic\" is a required property");
        form.blame("input", "", "too many properties");
        assert_eq!(error(&form, "parameter.depth").as_deref(), Some("0 is less than 1"));
        assert!(error(&form, "input.topic").is_some());
        assert_eq!(form.errors, ["input: too many properties"]);
    }

    #[test]
    fn a_schema_without_properties_is_one_json_field_or_none() {
        assert!(fields("input", Some(&json!({"type": "object", "additionalProperties": false}))).is_empty());
        assert!(fields("input", Some(&json!({"type": "object"}))).is_empty() && fields("input", None).is_empty());
        let whole = fields("parameter", Some(&json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]})));
        assert_eq!((whole[0].name.as_str(), whole[0].kind), ("parameter", Kind::Json));
        let mut form = Form { fields: whole, ..Form::default() };
        let (_, parameter) = form.take(written(&[("parameter", "{\"a\": 1}")]), &[]);
        assert_eq!(parameter, json!({"a": 1}));
    }
}
