//! From what an engine said to a result: find the JSON object, check it against the promise. Pure but for the files
//! that the promise names.

use super::output_schema::{Contract, Examiner};
use crate::values;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::{collections::VecDeque, path::Path};

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

/// Objects that are held against the promise, the last ones: an answer stands at the end.
const CANDIDATES: usize = 1000;
/// Bytes of all messages that are parsed in search of objects, those that are parsed twice counted twice: braces without an
/// end would cost the square of their number.
const SEARCH: usize = 64 << 20;

/// Reads the messages, last one first; `None` where none holds an object.
pub(super) fn read(messages: &[String], contract: &Contract, run: &Path) -> Option<Outcome> {
    let examiner = contract.examiner(run);
    let (mut left, mut search) = (CANDIDATES, SEARCH);
    let mut best: Option<Outcome> = None;
    for message in messages.iter().rev() {
        for (object, repair) in objects(message, left, &mut search) {
            left -= 1;
            let outcome = check(object, repair, &examiner);
            if outcome.broken.is_empty() && (outcome.done || best.is_none()) {
                return Some(outcome);
            }
            let better = best.as_ref().is_none_or(|known| outcome.done && !known.done);
            if better {
                best = Some(outcome);
            }
        }
        if left == 0 {
            break;
        }
    }
    best
}

fn check(mut object: Map<String, Value>, repair: RepairLevel, examiner: &Examiner<'_>) -> Outcome {
    let done = object.remove(DONE).and_then(|marker| marker.as_bool()).unwrap_or(false);
    let (data, broken) = examiner.broken(object);
    Outcome { data, repair, done, broken }
}

/// The last objects in a message, at most so many, last one first: the message itself, fenced blocks, then whatever starts
/// with a brace.
fn objects(message: &str, most: usize, search: &mut usize) -> Vec<(Map<String, Value>, RepairLevel)> {
    let whole = message.trim();
    if let Ok(Value::Object(object)) = values::parse(whole.as_bytes()) {
        return vec![(object, RepairLevel::None)];
    }
    let blocks: Vec<&str> =
        whole.split("```").enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, block)| block).collect();
    let fenced: Vec<_> = blocks
        .into_iter()
        .rev()
        .filter_map(|block| {
            let body = block.split_once('\n').filter(|(tag, _)| !tag.contains('{')).map_or(block, |(_, body)| body);
            match values::parse(body.trim().as_bytes()) {
                Ok(Value::Object(object)) => Some((object, RepairLevel::Found)),
                _ => None,
            }
        })
        .take(most)
        .collect();
    if !fenced.is_empty() {
        return fenced;
    }
    let (mut found, mut at) = (VecDeque::new(), 0);
    while let Some(brace) = whole.get(at..).and_then(|rest| rest.find('{')) {
        let rest = whole.get(at + brace..).unwrap_or_default();
        // Its end first, which takes no memory.
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let (next, parsed) = match stream.next() {
            Some(Ok(_)) => {
                let end = stream.byte_offset();
                match values::parse(rest.get(..end).unwrap_or_default().as_bytes()) {
                    Ok(Value::Object(object)) => {
                        if found.len() == most {
                            found.pop_front();
                        }
                        found.push_back((object, RepairLevel::Found));
                        (end, end)
                    }
                    // Too deep or too large; what lies in it may not be.
                    _ => (1, end),
                }
            }
            Some(Err(error)) => (1, reached(rest, &error)),
            None => (1, 1),
        };
        at += brace + next;
        *search = search.saturating_sub(parsed);
        if *search == 0 {
            break;
        }
    }
    found.into_iter().rev().collect()
}

/// How far a parser came in a text.
fn reached(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column()
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
    fn the_answer_is_found_behind_any_number_of_braces() {
        let prose = format!("{} so the answer is {{\"n\": 4}}", "fn f() { if x { y } } ".repeat(100));
        assert_eq!(one(&prose).unwrap().data, json!({"n": 4}));
        // Each brace is parsed to the greatest depth: the search ends, whatever it has found by then.
        let (mut search, endless) = (1 << 20, "{\"a\":[".repeat(1 << 20));
        assert!(objects(&endless, 9, &mut search).is_empty());
        assert_eq!(search, 0);
    }

    #[test]
    fn any_number_of_objects_costs_one_schema_and_the_last_ones_count() {
        let made = || crate::runs::schema::tests::MADE.get();
        let before = made();
        let answers = |wrong: usize| {
            let mut messages = vec![r#"{"n": 1}"#.to_owned()];
            messages.extend(std::iter::repeat_n(r#"{"n": "x"}"#.to_owned(), wrong - 2));
            // Two in one message.
            messages.push(r#"{"n": "x"} and {"n": "y"}"#.to_owned());
            read(&messages, &contract(), Path::new("/nowhere")).unwrap()
        };
        assert_eq!(answers(CANDIDATES).data, json!({"n": "y"}), "the first one is not looked at any more");
        assert_eq!(made() - before, 1);
        let outcome = one(&format!("{}{}", r#"{"n": 1}"#, r#"{"n": "x"}"#.repeat(CANDIDATES))).unwrap();
        assert_eq!(outcome.broken.len(), 1);
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
