//! The JSON Schema (draft 2020-12) of the configuration file, for editors that complete and check TOML.
//!
//! It says what a schema can say; what it cannot (a signal's name, a clash of ports) the loader says.

use serde_json::{Map, Value, json};
use skill_init::settings::{self, Field, Form, Kind, keys};

/// The schema as text.
pub(super) fn text() -> Result<String, String> {
    serde_json::to_string_pretty(&schema()).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// The schema.
pub(super) fn schema() -> Value {
    let mut sections: Map<String, Value> = Map::new();
    for spec in keys::ALL.iter().filter(|spec| !keys::is_environment_only(spec)) {
        let Some((section, name)) = spec.key.split_once('.') else { continue };
        let table = sections.entry(section).or_insert_with(|| table(Map::new()));
        let Some(properties) = table.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        let mut entry = kind(spec.kind);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("description".to_owned(), json!(format!("{} ({})", spec.help, spec.env)));
        }
        properties.insert(name.to_owned(), entry);
        if spec.kind == Kind::Secret {
            let about = json!({ "type": "string", "pattern": "^/", "description": "a file that holds the secret" });
            properties.insert(format!("{name}_file"), about);
        }
    }
    let service = object(settings::FIELDS);
    sections.insert(
        "service".to_owned(),
        json!({
            "type": "object",
            "description": "services of your own, and what is changed of the built-in ones",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]{0,31}$" },
            "additionalProperties": service,
        }),
    );
    let mut schema = table(sections);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("skill-init configuration file"));
    }
    schema
}

fn table(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// What every value may also be: the environment's spelling.
fn or_string(mut other: Value) -> Value {
    if let Some(other) = other.as_object_mut() {
        let kind = other.get("type").cloned().unwrap_or(Value::Null);
        other.insert("type".to_owned(), json!([kind, "string"]));
    }
    other
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Secret | Kind::Host => json!({ "type": "string" }),
        Kind::Path => json!({ "type": "string", "pattern": "^(/.*)?$" }),
        Kind::Address => json!({ "type": "string", "pattern": "^(.+:[0-9]+)?$" }),
        Kind::Bool => or_string(json!({ "type": "boolean" })),
        Kind::Int { min, max } => or_string(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Kind::Float { min, max } => or_string(json!({ "type": "number", "minimum": min, "maximum": max })),
        Kind::Duration => form(Form::Duration),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::List | Kind::Command => form(Form::Command),
        Kind::User => form(Form::User),
    }
}

fn object(fields: &[Field]) -> Value {
    let properties = fields
        .iter()
        .map(|field| {
            let mut entry = form(field.form);
            if let Some(entry) = entry.as_object_mut() {
                let default =
                    if field.default.is_empty() { String::new() } else { format!("; default: {}", field.default) };
                entry.insert("description".to_owned(), json!(format!("{}{default}", field.help)));
            }
            (field.name.to_owned(), entry)
        })
        .collect();
    table(properties)
}

fn probe(ways: &[&str]) -> Value {
    let all: Vec<Field> = settings::PROBE_FIELDS
        .iter()
        .filter(|field| ways.contains(&field.name) || !["fd", "notify"].contains(&field.name))
        .copied()
        .collect();
    object(&all)
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => json!({ "type": "string", "minLength": 1 }),
        Form::Bool => json!({ "type": "boolean" }),
        Form::Duration => {
            json!({ "type": ["string", "number"], "pattern": "^\\s*[0-9.]+\\s*(ms|s|m|h)?\\s*$|^$", "minimum": 0 })
        }
        Form::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Form::List => json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true }),
        Form::Command => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Form::OneOf(words) => json!({ "enum": words }),
        Form::Env => json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } }),
        Form::Limits => json!({
            "type": "object",
            "propertyNames": { "enum": settings::LIMITS },
            "additionalProperties": { "type": ["integer", "string"], "minimum": 0 },
        }),
        Form::Signal => json!({ "type": ["string", "integer"] }),
        Form::User => json!({ "type": ["string", "integer"], "pattern": "^([0-9]+(:[0-9]+)?)?$", "minimum": 0 }),
        Form::Backoff => object(settings::BACKOFF_FIELDS),
        Form::Budget => object(settings::BUDGET_FIELDS),
        Form::Readiness => probe(&["fd", "notify"]),
        Form::Liveness => probe(&[]),
        Form::True => json!({ "const": true }),
    }
}
