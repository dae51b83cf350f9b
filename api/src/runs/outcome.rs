//! From what an engine said to a result: find the JSON object, check it against the promise. Pure but for the files
//! that the promise names.

use super::output_schema::Contract;
use serde_json::{Map, Value};
use std::path::Path;

/// The done marker, which an engine adds to its last object.
pub(super) const DONE: &str = "__SKILL_DONE__";

/// How much mending the answer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairLevel {
    /// The message was the object.
    None,
    /// The object was found inside the message.
    Found,
}

impl RepairLevel {
    /// As in result.json.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Found => "deterministic_generic",
        }
    }
}

/// What became of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The object, without the marker.
    pub data: Value,
    /// How it was found.
    pub repair: RepairLevel,
    /// The marker was there.
    pub done: bool,
    /// What is not as promised; empty: valid.
    pub broken: Vec<String>,
}

/// Reads the messages, last one first; `None` where none holds an object.
pub(super) fn read(messages: &[String], contract: &Contract, run: &Path) -> Option<Outcome> {
    let mut best: Option<Outcome> = None;
    for message in messages.iter().rev() {
        for (object, repair) in objects(message) {
            let outcome = check(object, repair, contract, run);
            if outcome.broken.is_empty() && (outcome.done || best.is_none()) {
                return Some(outcome);
            }
            let better = best.as_ref().is_none_or(|known| outcome.done && !known.done);
            if better {
                best = Some(outcome);
            }
        }
    }
    best
}

fn check(mut object: Map<String, Value>, repair: RepairLevel, contract: &Contract, run: &Path) -> Outcome {
    let done = object.remove(DONE).and_then(|marker| marker.as_bool()).unwrap_or(false);
    contract.normalise(&mut object, run);
    let data = Value::Object(object);
    let broken = contract.broken(&data, run);
    Outcome { data, repair, done, broken }
}

/// The objects in a message: the message itself, fenced blocks, then whatever starts with a brace.
fn objects(message: &str) -> Vec<(Map<String, Value>, RepairLevel)> {
    let whole = message.trim();
    if let Ok(Value::Object(object)) = serde_json::from_str(whole) {
        return vec![(object, RepairLevel::None)];
    }
    let mut found = Vec::new();
    let mut blocks =
        whole.split("```").enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, block)| block).collect::<Vec<_>>();
    blocks.reverse();
    for block in blocks {
        let body = block.split_once('\n').filter(|(tag, _)| !tag.contains('{')).map_or(block, |(_, body)| body);
        if let Ok(Value::Object(object)) = serde_json::from_str(body.trim()) {
            found.push((object, RepairLevel::Found));
        }
    }
    if found.is_empty() {
        let mut at = 0;
        // A message full of braces costs at most this many tries.
        for _ in 0..64 {
            let Some(brace) = whole.get(at..).and_then(|rest| rest.find('{')) else { break };
            let rest = whole.get(at + brace..).unwrap_or_default();
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            if let Some(Ok(Value::Object(object))) = stream.next() {
                at += brace + stream.byte_offset();
                found.push((object, RepairLevel::Found));
            } else {
                at += brace + 1;
            }
        }
        found.reverse();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contract() -> Contract {
        Contract {
            schema: Some(json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})),
            ..Contract::default()
        }
    }

    fn one(message: &str) -> Option<Outcome> {
        read(&[message.to_owned()], &contract(), Path::new("/nowhere"))
    }

    #[test]
    fn the_object_is_found_bare_fenced_or_in_prose() {
        let bare = one(r#"{"n": 1, "__SKILL_DONE__": true}"#).unwrap();
        assert_eq!((bare.data, bare.repair, bare.done), (json!({"n": 1}), RepairLevel::None, true));
        let fenced = one("Here:\n```json\n{\"n\": 2}\n```\nDone.").unwrap();
        assert_eq!((fenced.data, fenced.repair, fenced.done), (json!({"n": 2}), RepairLevel::Found, false));
        let prose = one("I used {x} and got {\"n\": 3} at last").unwrap();
        assert_eq!((prose.data, prose.broken.len()), (json!({"n": 3}), 0));
        assert_eq!(one("no object"), None);
    }

    #[test]
    fn an_object_that_breaks_the_promise_says_how() {
        let outcome = one(r#"{"n": "x"}"#).unwrap();
        assert_eq!(outcome.broken.len(), 1);
        assert!(outcome.broken[0].starts_with("n: "), "{:?}", outcome.broken);
    }

    #[test]
    fn an_earlier_valid_answer_counts_where_the_last_message_has_none() {
        let messages = [r#"{"n": 1, "__SKILL_DONE__": true}"#.to_owned(), "All done.".to_owned()];
        assert_eq!(read(&messages, &contract(), Path::new("/x")).unwrap().data, json!({"n": 1}));
    }

    #[test]
    fn a_required_artifact_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let contract = Contract {
            required_artifacts: vec!["r.md".to_owned()],
            file_properties: vec!["report".to_owned()],
            ..contract()
        };
        let text = format!(r#"{{"n": 1, "report": "{}/artifacts/r.md"}}"#, dir.path().display());
        let check = || read(std::slice::from_ref(&text), &contract, dir.path()).unwrap();
        assert_eq!(check().broken.len(), 2);
        std::fs::create_dir(dir.path().join("artifacts")).unwrap();
        std::fs::write(dir.path().join("artifacts/r.md"), "x").unwrap();
        assert_eq!(check().broken.len(), 0);
        assert_eq!(check().data["report"], "artifacts/r.md");
    }
}
