//! Edits of files that belong to the user: what was asked for happens, everything else stays, a second edit changes nothing.

use serde_json::Value;
use skill_init::{
    agents::{
        catalogue::{Catalogue, Trust},
        edit::json::{Change, Object},
        trust::{self, Decision, Request},
    },
    plan::files::{Config, ConfigDecision, decide_config},
};
use std::sync::LazyLock;

const RUNS: &str = "/data/runs";

/// Lists of other forms than those of the built-in table: values further down, entries further down, arrays.
static MORE: LazyLock<Catalogue> = LazyLock::new(|| {
    let toml = "[trust.flat]\nfile = \"f.toml\"\nformat = \"toml\"\ntable = [\"trust\", \"folders\"]\nvalue = true\n";
    let json = "[trust.deep]\nfile = \"d.json\"\nformat = \"jsonc\"\ntable = [\"projects\"]\nkey = \"trusted\"\nvalue = true\n";
    let arrays = "[trust.rows]\nfile = \"r.toml\"\nformat = \"toml\"\ntable = [\"trust\", \"folders\"]\n\
                  [trust.list]\nfile = \"l.json\"\nformat = \"json\"\ntable = [\"projects\", \"folders\"]\n";
    Catalogue::merged(&format!("{toml}{json}{arrays}")).unwrap()
});

/// A list in a TOML file: codex's `config.toml`, and one of values.
pub(crate) fn codex_trust(bytes: &[u8]) {
    for (name, head) in [("codex", "projects"), ("flat", "trust"), ("rows", "trust")] {
        trust_file(&MORE.trusts[name], bytes, |text| {
            toml_edit::de::from_str::<Value>(text).ok().map(|mut value| {
                value.as_object_mut().and_then(|all| all.shift_remove(head));
                value
            })
        });
    }
}

/// A list in a JSON file: gemini's `trustedFolders.json`, and one further down.
pub(crate) fn gemini_trust(bytes: &[u8]) {
    trust_file(&MORE.trusts["gemini"], bytes, |_| None);
    for name in ["deep", "list"] {
        trust_file(&MORE.trusts[name], bytes, |text| {
            let mut value = Object::parse(text.as_bytes()).ok()?.meaning();
            value.as_object_mut().and_then(|all| all.shift_remove("projects"));
            Some(value)
        });
    }
}

/// Adds, adds again, removes; `rest` gives what of the file is no trust entry.
fn trust_file(how: &Trust, bytes: &[u8], rest: impl Fn(&str) -> Option<Value>) {
    let add = Request { add: Some(RUNS.to_owned()), default: String::new(), ..Request::default() };
    let text = match trust::decide(how, Some(bytes), &add) {
        Ok(Decision::Write { text, unusable }) => {
            if let (false, Ok(before)) = (unusable, std::str::from_utf8(bytes)) {
                assert_eq!(rest(before), rest(&text), "something else changed");
                for line in before.lines().map(str::trim).filter(|line| line.starts_with("# ")) {
                    assert!(text.contains(line), "the comment {line:?} is gone");
                }
            }
            text
        }
        Ok(Decision::Keep) => String::from_utf8(bytes.to_vec()).unwrap(),
        Err(error) => panic!("adding must always be possible: {error}"),
    };
    assert_eq!(trust::decide(how, Some(text.as_bytes()), &add), Ok(Decision::Keep), "not idempotent: {text:?}");
    let entries = trust::entries(how, text.as_bytes()).unwrap();
    let entry = entries.iter().rfind(|entry| entry.path == RUNS).expect("what was added is listed");
    match how.value {
        Some(_) => assert!(matches!(entry.level.as_deref(), Some("trusted" | "TRUST_FOLDER" | "true")), "{entry:?}"),
        None => assert_eq!(entry.level, None),
    }
    let remove = Request { remove: vec![RUNS.to_owned()], ..Request::default() };
    match trust::decide(how, Some(text.as_bytes()), &remove) {
        Ok(Decision::Write { text, .. }) => {
            let left = trust::entries(how, text.as_bytes()).unwrap();
            let kept = |entry: &trust::Entry| entry.path == RUNS && (entry.level.is_some() || how.value.is_none());
            assert!(!left.iter().any(kept), "{left:?}");
            let others = |list: &[trust::Entry]| list.iter().filter(|e| e.path != RUNS).cloned().collect::<Vec<_>>();
            assert_eq!(others(&left), others(&entries), "another entry changed");
        }
        other => panic!("what was added can be removed: {other:?}"),
    }
}

/// Objects with comments: keys set and removed.
pub(crate) fn json_edit(bytes: &[u8]) {
    let Ok(object) = Object::parse(bytes) else { return };
    let first = object.members().first().map_or_else(|| "a".to_owned(), |member| member.key.clone());
    let changes = [
        Change::Set("skill".to_owned(), Value::from("\u{1f980} \"x\"")),
        Change::Remove(first.clone()),
        Change::Set("n".to_owned(), Value::from(1)),
    ];
    for strict in [false, true] {
        let Ok(Some(text)) = object.edited(&changes, strict) else { continue };
        let edited = Object::parse(text.as_bytes()).expect("an edit that does not parse");
        if strict {
            assert!(!edited.has_trailing_commas(), "{text:?}");
        }
        for (key, value) in [("skill", Value::from("\u{1f980} \"x\"")), ("n", Value::from(1))] {
            if key != first {
                assert_eq!(edited.get(key), Some(&value));
            }
        }
        for member in object.members().iter().filter(|m| m.key != first && m.key != "skill" && m.key != "n") {
            assert!(
                edited.members().iter().any(|m| m.key == member.key && m.value == member.value),
                "{} changed",
                member.key
            );
        }
        if !["skill", "n"].contains(&first.as_str()) {
            assert_eq!(edited.edited(&changes, strict), Ok(None), "not idempotent: {text:?}");
        }
    }
}

/// Every default configuration over whatever stands there.
pub(crate) fn default_config(bytes: &[u8]) {
    for engine in &Catalogue::built_in().engines {
        for config in &engine.configs {
            let config =
                Config { format: config.format, content: config.content.clone(), repairs: config.repairs.clone() };
            if let ConfigDecision::Write { text, .. } = decide_config(&config, Some(bytes)) {
                assert_eq!(
                    decide_config(&config, Some(text.as_bytes())),
                    ConfigDecision::Keep,
                    "not idempotent: {text:?}"
                );
            }
        }
    }
}
