//! The schemas of bodies, by name, a file per group. A field of an answer is always there, `null` where it has no value.

mod engines;
mod management;
mod requests;
mod runs;
mod shape;
mod skills;

use serde_json::{Map, Value, json};
use shape::{one_of, record, text};

/// A group of schemas with their names.
type Group = Vec<(&'static str, Value)>;

/// Every one.
pub(super) fn all() -> Value {
    let mut out = Map::new();
    for group in [common(), skills::all(), requests::all(), runs::all(), engines::all(), management::all()] {
        for (name, schema) in group {
            out.insert(name.to_owned(), schema);
        }
    }
    Value::Object(out)
}

fn common() -> Group {
    let coded =
        json!({"type": "object", "properties": {"code": text(), "message": text()}, "required": ["code", "message"]});
    vec![
        ("Error", record(&[("detail", json!({"anyOf": [text(), coded]}))])),
        ("Alive", record(&[("message", text())])),
        ("OpenApi", json!({"type": "object", "additionalProperties": true})),
        ("Status", one_of(&["queued", "running", "waiting_user", "succeeded", "failed", "canceled"])),
        (
            "Failure",
            json!({"type": ["object", "null"], "properties": {"code": text(), "message": text()}, "required": ["code", "message"]}),
        ),
    ]
}
