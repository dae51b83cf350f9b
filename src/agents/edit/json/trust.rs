//! Trust entries in a JSON file: `{"PATH": "TRUST_FOLDER"}`, or further down, `{"projects": {"PATH": {"trusted": true}}}`.

use super::{Change, Object};
use crate::agents::{
    catalogue::{Format, Trust},
    edit::{Unusable, trusted::expected},
};
use serde_json::{Map, Value};

/// The text with `add` trusted, `remove` not mentioned, and values that the CLI refuses to load taken out, and whether
/// something that it would not load had to go; `None`: nothing to change.
pub fn edited(
    object: &Object<'_>,
    how: &Trust,
    add: Option<&str>,
    remove: &[String],
) -> Result<Option<(String, bool)>, Unusable> {
    let strict = how.format == Format::Json;
    let now = object.meaning();
    let (wanted, repaired) = expected(&now, how, add, remove);
    let repaired = repaired || (strict && object.has_trailing_commas());
    let mut steps = Vec::new();
    if let (Value::Object(now), Value::Object(wanted)) = (&now, &wanted) {
        differences(now, wanted, how.table.len() + usize::from(how.key.is_some()), &[], &mut steps);
    }
    let mut text: Option<String> = None;
    for (way, changes) in &steps {
        let edited = match &text {
            None => object.edited_at(way, changes, strict)?,
            Some(text) => Object::parse(text.as_bytes())?.edited_at(way, changes, strict)?,
        };
        text = edited.or(text);
    }
    // Commas that the CLI refuses go wherever they are.
    let tidy = match &text {
        None => object.edited(&[], strict)?,
        Some(text) => Object::parse(text.as_bytes())?.edited(&[], strict)?,
    };
    let Some(text) = tidy.or(text) else { return Ok(None) };
    if Object::parse(text.as_bytes())?.meaning() != wanted {
        return Err(Unusable::Form);
    }
    Ok(Some((text, repaired)))
}

/// The changes that make one object of the other, those of each object together, no deeper than `depth` objects.
fn differences(
    now: &Map<String, Value>,
    wanted: &Map<String, Value>,
    depth: usize,
    way: &[String],
    steps: &mut Vec<(Vec<String>, Vec<Change>)>,
) {
    let removed = now.keys().filter(|key| !wanted.contains_key(*key)).map(|key| Change::Remove(key.clone()));
    let mut changes: Vec<Change> = removed.collect();
    for (key, value) in wanted {
        match (now.get(key), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) if depth > 0 => {
                differences(old, new, depth - 1, &below(way, key), steps);
            }
            // The array of folders: texts come and go, nothing else changes.
            (Some(Value::Array(old)), Value::Array(new)) => {
                let texts =
                    |all: &[Value]| all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect::<Vec<_>>();
                let (old, new) = (texts(old), texts(new));
                let gone = old.iter().filter(|path| !new.contains(path)).cloned().map(Change::Remove);
                let fresh = new.iter().filter(|path| !old.contains(path));
                let fresh = fresh.map(|path| Change::Set(path.clone(), Value::from(path.as_str())));
                steps.push((below(way, key), gone.chain(fresh).collect()));
            }
            (_, new) => changes.push(Change::Set(key.clone(), new.clone())),
        }
    }
    if !changes.is_empty() {
        steps.push((way.to_vec(), changes));
    }
}

fn below(way: &[String], key: &String) -> Vec<String> {
    way.iter().chain([key]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how() -> Trust {
        let rows = "file = \"x.json\"\nformat = \"jsonc\"\ntable = [\"projects\"]\nkey = \"trusted\"\nvalue = true\n";
        toml_edit::de::from_str(rows).unwrap()
    }
    fn edit(text: &str, add: Option<&str>, remove: &[&str]) -> Option<String> {
        let remove: Vec<String> = remove.iter().map(|path| (*path).to_owned()).collect();
        edited(&Object::parse(text.as_bytes()).unwrap(), &how(), add, &remove).unwrap().map(|(text, _)| text)
    }

    #[test]
    fn a_list_further_down_is_edited_in_place_and_comes_back_as_it_was() {
        let text =
            "{\n  // mine\n  \"projects\": {\n    \"/a\": { \"trusted\": true, \"n\": 1 }, // a\n  },\n  \"z\": 0\n}\n";
        let added = edit(text, Some("/r"), &[]).unwrap();
        assert!(added.contains("\"/r\": {\"trusted\":true}") && added.contains("// a"), "{added}");
        assert_eq!(edit(&added, Some("/r"), &[]), None);
        let back = edit(&added, None, &["/r"]).unwrap();
        let (back, text) = (Object::parse(back.as_bytes()).unwrap(), Object::parse(text.as_bytes()).unwrap());
        assert_eq!(back.meaning(), text.meaning());
    }

    #[test]
    fn an_array_of_folders_is_edited_in_place() {
        let rows = "file = \"x.json\"\nformat = \"jsonc\"\ntable = [\"a\", \"trusted_folders\"]\n";
        let how: Trust = toml_edit::de::from_str(rows).unwrap();
        let edit = |text: &str, add: Option<&str>, remove: &[&str]| {
            let remove: Vec<String> = remove.iter().map(|path| (*path).to_owned()).collect();
            edited(&Object::parse(text.as_bytes()).unwrap(), &how, add, &remove).unwrap()
        };
        let text = "{\n  // mine\n  \"a\": {\n    \"trusted_folders\": [\n      \"/x\", // why\n      {\"odd\": 1},\n    ],\n  }\n}\n";
        let (added, repaired) = edit(text, Some("/r"), &[]).unwrap();
        let expected = text.replace("{\"odd\": 1},\n", "{\"odd\": 1},\n      \"/r\"\n");
        assert_eq!((added.as_str(), repaired), (expected.as_str(), false));
        assert_eq!(edit(&added, Some("/r"), &["/y"]), None);
        let (moved, _) = edit(&added, Some("/s"), &["/x", "/r"]).unwrap();
        assert!(moved.contains("// why\n      {\"odd\": 1},\n      \"/s\"\n"), "{moved}");
        for (begin, added) in [
            ("{\"a\": {\"trusted_folders\": []}}", "{\"a\": {\"trusted_folders\": [\n  \"/r\"\n]}}"),
            ("{\"a\": {\"trusted_folders\": [\"/x\"]}}", "{\"a\": {\"trusted_folders\": [\"/x\", \"/r\"]}}"),
            ("{\"b\": 1}", "{\"b\": 1, \"a\": {\"trusted_folders\":[\"/r\"]}}"),
        ] {
            assert_eq!(edit(begin, Some("/r"), &[]), Some((added.to_owned(), false)));
            let (back, _) = edit(added, None, &["/r"]).unwrap();
            let meaning = |text: &str| Object::parse(text.as_bytes()).unwrap().meaning();
            let left = begin.replace("{\"b\": 1}", "{\"b\": 1, \"a\": {\"trusted_folders\": []}}");
            assert_eq!(meaning(&back), meaning(&left), "{back}");
        }
        let odd = edit("{\"a\": {\"trusted_folders\": \"all\"}}", Some("/r"), &[]);
        assert_eq!(odd, Some(("{\"a\": {\"trusted_folders\": [\"/r\"]}}".to_owned(), true)));
    }

    #[test]
    fn other_keys_of_an_entry_stay() {
        let text = "{\"projects\": {\"/r\": {\"n\": 1 /* one */}}}";
        let added = edit(text, Some("/r"), &[]).unwrap();
        assert_eq!(added, "{\"projects\": {\"/r\": {\"n\": 1, \"trusted\": true /* one */}}}");
        let back = edit(&added, None, &["/r"]).unwrap();
        assert!(back.contains("\"n\": 1") && back.contains("/* one */") && !back.contains("trusted"), "{back}");
    }

    #[test]
    fn the_list_is_made_and_goes_again() {
        let added = edit("{\"a\": 1}", Some("/r"), &[]).unwrap();
        assert_eq!(added, "{\"a\": 1, \"projects\": {\"/r\":{\"trusted\":true}}}");
        assert_eq!(edit(&added, None, &["/r"]).as_deref(), Some("{\"a\": 1 }"));
        let odd = edited(&Object::parse(b"{\"projects\": 3}").unwrap(), &how(), Some("/r"), &[]).unwrap().unwrap();
        assert_eq!(odd, ("{\"projects\": {\"/r\":{\"trusted\":true}}}".to_owned(), true));
    }
}
