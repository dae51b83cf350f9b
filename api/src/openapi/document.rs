//! The document itself, OpenAPI 3.1, out of the table.

use super::{
    schemas,
    table::{Body, Kind, Operation, Reply},
};
use crate::auth::Auth;
use serde_json::{Map, Value, json};

/// Makes it; security is asked of the guard itself.
pub(super) fn make(operations: &[Operation], auth: &Auth) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        // The document knows no wildcards: `{*path}` is a parameter that may hold slashes.
        let path = operation.path.replace("{*", "{");
        if let Value::Object(item) = paths.entry(path.clone()).or_insert_with(|| json!({})) {
            item.insert(operation.method.to_owned(), describe(operation, &path, auth));
        }
    }
    let mut tags: Vec<&str> = Vec::new();
    for operation in operations {
        if !tags.contains(&operation.doc.tag) {
            tags.push(operation.doc.tag);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Agent Skill Runner",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs skills through agent CLIs. Errors are {\"detail\": ...}: a text, or {code, message}. \
                The pages below /ui are not part of this document.",
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {"basic": {
                "type": "http", "scheme": "basic",
                "description": "Asked for where UI_BASIC_AUTH_ENABLED is on; UI_BASIC_AUTH_SCOPE says for what.",
            }},
        },
    })
}

fn describe(operation: &Operation, path: &str, auth: &Auth) -> Value {
    let doc = &operation.doc;
    let mut out = Map::new();
    out.insert("operationId".to_owned(), json!(operation_id(operation.method, path)));
    out.insert("tags".to_owned(), json!([doc.tag]));
    out.insert("summary".to_owned(), json!(doc.summary));
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
        let wild = operation.path.contains(&format!("{{*{name}}}"));
        match wild {
            true => json!({
                "name": name, "in": "path", "required": true, "description": "As the list names it; its slashes stay slashes.",
                "schema": {"type": "string", "pattern": "^artifacts/."}, "example": "artifacts/report.md",
            }),
            false => json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}),
        }
    });
    let in_query = doc.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": parameter.required, "description": parameter.about,
            "schema": schema_of(parameter.kind),
        })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = request_body(doc.body) {
        out.insert("requestBody".to_owned(), body);
    }
    out.insert("responses".to_owned(), responses(operation, path, auth));
    if auth.protects(path) {
        // Where nothing is asked for now, a client may still be ready for it.
        let needed = if auth.is_on() { json!([{"basic": []}]) } else { json!([{}, {"basic": []}]) };
        out.insert("security".to_owned(), needed);
    }
    Value::Object(out)
}

fn schema_of(kind: Kind) -> Value {
    match kind {
        Kind::Number(most) => json!({"type": "integer", "minimum": 0, "maximum": most}),
        Kind::Text => json!({"type": "string", "minLength": 1}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
    }
}

/// `get_v1_jobs_id_events`: unique, because method and path are.
fn operation_id(method: &str, path: &str) -> String {
    let name: String = path
        .chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    match name.trim_matches('_') {
        "" => format!("{method}_root"),
        name => format!("{method}_{name}"),
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn request_body(body: Body) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Json(schema) => {
            Some(json!({"required": true, "content": {"application/json": {"schema": reference(schema)}}}))
        }
        Body::Form(files) => {
            let properties: Map<String, Value> = files
                .iter()
                .map(|(name, _)| {
                    let zip = json!({"type": "string", "format": "binary", "contentMediaType": "application/zip"});
                    ((*name).to_owned(), zip)
                })
                .collect();
            let required: Vec<&str> = files.iter().filter(|(_, required)| *required).map(|(name, _)| *name).collect();
            let schema = json!({"type": "object", "properties": properties, "required": required});
            Some(json!({"required": true, "content": {"multipart/form-data": {"schema": schema}}}))
        }
    }
}

fn responses(operation: &Operation, path: &str, auth: &Auth) -> Value {
    let doc = &operation.doc;
    let mut out = Map::new();
    let success =
        |schema: Value| json!({"description": "Success", "content": {"application/json": {"schema": schema}}});
    match doc.reply {
        Reply::Json(schema) => drop(out.insert("200".to_owned(), success(reference(schema)))),
        Reply::List(schema) => {
            out.insert("200".to_owned(), success(json!({"type": "array", "items": reference(schema)})));
        }
        Reply::Bytes(kind) => {
            let frames = "Frames: snapshot {status, cursor}, chat_event (its data is an Event, its id the sequence number), \
                heartbeat {ts}, shutdown";
            let (description, of) = match kind {
                // A schema would be that of the whole stream, which has no end.
                "text/event-stream" => (frames, json!({})),
                text if text.starts_with("text/") => ("Success", json!({"schema": {"type": "string"}})),
                _ => ("Success", json!({"schema": {"type": "string", "format": "binary"}})),
            };
            out.insert("200".to_owned(), json!({"description": description, "content": {kind: of}}));
        }
        Reply::Empty => drop(out.insert("204".to_owned(), json!({"description": "Success, without a body"}))),
        Reply::Never => {}
    }
    let mut codes: Vec<u16> = doc.errors.to_vec();
    let served = doc.reply != Reply::Never;
    if served && (!doc.query.is_empty() || matches!(doc.body, Body::Json(_))) {
        codes.push(422);
    }
    if served && doc.body != Body::None {
        // The body stopped before its end, or has none within the limit.
        codes.extend([408, 413]);
    }
    if auth.protects(path) {
        codes.push(401);
    }
    if operation.method == "post" {
        // A page of another site sent it.
        codes.push(403);
    }
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let meaning = axum::http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
        let content = json!({"application/json": {"schema": reference("Error")}});
        out.insert(code.to_string(), json!({"description": meaning.unwrap_or("Failure"), "content": content}));
    }
    // 500 of any, 503 of a stopping worker, 507 of a full volume.
    out.insert(
        "5XX".to_owned(),
        json!({
            "description": "A fault of the worker, which its log explains; it is stopping; its volume is full; or too many large requests came at once",
            "content": {"application/json": {"schema": reference("Error")}},
        }),
    );
    Value::Object(out)
}
