//! The JSON Schema (draft 2020-12) of the configuration file, for editors that complete and check TOML.
//!
//! It says what a schema can say; what it cannot (a signal's name, a clash of ports) the loader says.

use serde_json::{Map, Value, json};
use skill_init::settings::{self, Field, Form, Kind, keys};

/// A span of time.
const DURATION: &str = r"^\s*[0-9.]+\s*(ms|s|m|h)?\s*$";
/// `UID` or `UID:GID`.
const USER: &str = "^[0-9]+(:[0-9]+)?$";
/// One limit, or soft and hard.
const LIMIT: &str = r"^\s*(unlimited|infinity|\+?[0-9]+)\s*(:\s*(unlimited|infinity|\+?[0-9]+)\s*)?$";

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
    let built_in: Map<String, Value> =
        settings::BUILT_IN.iter().map(|name| ((*name).to_owned(), service(true))).collect();
    sections.insert(
        "service".to_owned(),
        json!({
            "type": "object",
            "description": "services of your own, and what is changed of the built-in ones",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]{0,31}$" },
            "properties": built_in,
            "additionalProperties": service(false),
        }),
    );
    let mut schema = table(sections);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("skill-init configuration file"));
    }
    schema
}

/// `[service.NAME]`; a built-in one keeps its command and kind, and its probes their way of asking.
fn service(built_in: bool) -> Value {
    let kept = |field: &&Field| !(built_in && ["command", "kind"].contains(&field.name));
    let fields: Vec<Field> = settings::FIELDS.iter().filter(kept).copied().collect();
    let mut service = object(&fields);
    let secrets: Vec<&str> = keys::ALL.iter().filter(|spec| spec.kind == Kind::Secret).map(|spec| spec.env).collect();
    let mut more = vec![
        ("cwd", "pattern", json!("^/")),
        ("env", "propertyNames", json!({ "pattern": "^[^=]+$" })),
        ("secrets", "items", json!({ "enum": secrets })),
    ];
    if !built_in {
        let ways = ["http", "tcp", "exec", "fd", "notify"];
        let one_of = |ways: &[&str]| ways.iter().map(|way| json!({ "required": [way] })).collect::<Value>();
        more.push(("readiness", "oneOf", one_of(&ways)));
        more.push(("liveness", "oneOf", one_of(&ways[..3])));
    }
    for (field, key, value) in more {
        if let Some(Value::Object(entry)) = service.get_mut("properties").and_then(|all| all.get_mut(field)) {
            entry.insert(key.to_owned(), value);
        }
    }
    if let Some(service) = service.as_object_mut().filter(|_| !built_in) {
        service.insert("required".to_owned(), json!(["command"]));
        let oneshot = json!({ "properties": { "kind": { "const": "oneshot" } }, "required": ["kind"] });
        service.insert("if".to_owned(), oneshot);
        let then = json!({ "restart": { "enum": ["on-failure", "never"] }, "readiness": false, "liveness": false });
        service.insert("then".to_owned(), json!({ "properties": then }));
    }
    service
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
        // Empty is unset.
        Kind::Duration => json!({ "type": ["string", "number"], "pattern": format!("{DURATION}|^$"), "minimum": 0 }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::List | Kind::Command => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Kind::User => json!({ "type": ["string", "integer"], "pattern": format!("{USER}|^$"), "minimum": 0 }),
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
    let mut probe = object(&all);
    for (way, pattern) in [("http", "^http://"), ("tcp", ":[0-9]+$")] {
        if let Some(Value::Object(entry)) = probe.get_mut("properties").and_then(|all| all.get_mut(way)) {
            entry.insert("pattern".to_owned(), json!(pattern));
        }
    }
    probe
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => json!({ "type": "string", "minLength": 1 }),
        Form::Bool => json!({ "type": "boolean" }),
        Form::Duration => {
            json!({ "type": ["string", "number"], "pattern": DURATION, "minimum": 0 })
        }
        Form::Int(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Form::List => json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true }),
        Form::Command => {
            json!({ "type": ["string", "array"], "pattern": "\\S", "minItems": 1, "items": { "type": "string" } })
        }
        Form::OneOf(words) => json!({ "enum": words }),
        Form::Env => json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } }),
        Form::Limits => json!({
            "type": "object",
            "propertyNames": { "enum": settings::LIMITS },
            "additionalProperties": { "type": ["integer", "string"], "minimum": 0, "pattern": LIMIT },
        }),
        Form::Signal => json!({ "type": ["string", "integer"], "minimum": 1, "maximum": 64 }),
        Form::User => json!({ "type": ["string", "integer"], "pattern": USER, "minimum": 0 }),
        Form::Backoff => object(settings::BACKOFF_FIELDS),
        Form::Budget => object(settings::BUDGET_FIELDS),
        Form::Readiness => probe(&["fd", "notify"]),
        Form::Liveness => probe(&[]),
        Form::True => json!({ "const": true }),
    }
}
