//! Files that hold several credentials: each is compared by itself, and what only one side has stays.

use super::{
    Remembered,
    shape::{entries, identity, moment},
    three_way::hash,
};
use crate::agents::catalogue::{Entries, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The result of a merge.
#[derive(Debug)]
pub(super) struct Merged {
    /// The new content; `None`: the destination is as it shall be.
    pub(super) object: Option<Vec<u8>>,
    /// An entry of the destination that had changed by itself was overruled.
    pub(super) overruled: bool,
}

/// Fingerprints of a file's entries, by a name that tells nothing.
pub(super) fn parts(shape: &Shape, object: &Map<String, Value>) -> BTreeMap<String, String> {
    usable(shape, object).into_iter().map(|(name, entry)| (name, hash(entry.to_string().as_bytes()))).collect()
}

/// The usable entries with the names that they are remembered by.
fn usable<'a>(shape: &Shape, object: &'a Map<String, Value>) -> Vec<(String, &'a Value)> {
    entries(shape, object).into_iter().filter(|entry| entry.usable).map(|entry| (entry.name, entry.value)).collect()
}

/// Merges the source's entries into the destination.
pub(super) fn merge(
    shape: &Shape,
    known: &Entries,
    source: &Map<String, Value>,
    destination: &Map<String, Value>,
    last: Option<&Remembered>,
    force: bool,
) -> Merged {
    let present = usable(shape, destination);
    let mut out = destination.clone();
    let mut merged = Merged { object: None, overruled: false };
    let mut changed = false;
    for (name, entry) in usable(shape, source) {
        let theirs = hash(entry.to_string().as_bytes());
        let before = last.and_then(|last| last.parts.get(&name));
        let unchanged = before == Some(&theirs) && !force;
        let take = match present.iter().find(|(n, _)| *n == name) {
            Some((_, now)) if *now == entry => false,
            // Somebody logged out on purpose, or the CLI renewed it.
            _ if unchanged => false,
            None => true,
            Some((_, now)) => {
                let untouched = before.is_some_and(|before| *before == hash(now.to_string().as_bytes()));
                let take = force
                    || untouched
                    || match (age(known, entry), age(known, now)) {
                        (Some(source), Some(present)) if source != present => source > present,
                        _ => before.is_some(),
                    };
                merged.overruled |= take && !untouched;
                take
            }
        };
        if take {
            put(known, &mut out, &name, entry);
            changed = true;
        }
    }
    if changed {
        merged.object = serde_json::to_vec_pretty(&out).ok();
    }
    merged
}

fn age(known: &Entries, entry: &Value) -> Option<i64> {
    known.fresh.iter().filter_map(|field| moment(entry.get(field)?)).max()
}

fn put(known: &Entries, object: &mut Map<String, Value>, name: &str, entry: &Value) {
    let Some(list) = &known.list else {
        object.insert(name.to_owned(), entry.clone());
        return;
    };
    let Some(all) = object.get_mut(list).and_then(Value::as_array_mut) else { return };
    let same = |other: &&mut Value| identity(known, other).is_some_and(|id| hash(id.as_bytes()) == name);
    match all.iter_mut().find(same) {
        Some(place) => *place = entry.clone(),
        None => all.push(entry.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Write, check, decide, testing::shape};
    use super::*;
    use serde_json::json;

    fn oauth(expires: i64) -> Value {
        json!({"type": "oauth", "refresh": format!("r{expires}"), "access": "a", "expires": expires})
    }
    fn decided(shape: &Shape, source: &Value, present: &Value, last: Option<&Value>) -> (Write, Option<Value>) {
        let last =
            last.map(|last| Remembered { sha256: String::new(), parts: parts(shape, last.as_object().unwrap()) });
        let (source, present) = (source.to_string(), present.to_string());
        let input = Input {
            shape,
            source: source.as_bytes(),
            destination: Some(present.as_bytes()),
            last: last.as_ref(),
            force: false,
            leader: None,
        };
        let write = decide(&input).unwrap().write;
        let now = match &write {
            Write::Replace(bytes) | Write::ReplaceKeeping(bytes) => Some(serde_json::from_slice(bytes).unwrap()),
            _ => None,
        };
        (write, now)
    }

    #[test]
    fn providers_are_merged_one_by_one() {
        let source = json!({"openai": oauth(5), "new": {"type": "api", "key": "k"}, "odd": {"type": "?"}});
        let present = json!({"mine": {"type": "api", "key": "m"}, "broken": 3, "openai": oauth(9)});
        let (write, now) = decided(&shape("opencode-auth"), &source, &present, None);
        assert!(matches!(write, Write::Replace(_)));
        assert_eq!(
            now.unwrap(),
            json!({"mine": {"type": "api", "key": "m"}, "broken": 3, "openai": oauth(9), "new": {"type": "api", "key": "k"}})
        );
    }

    #[test]
    fn a_logout_of_one_provider_is_not_undone_by_an_old_source() {
        let source = json!({"a": oauth(5), "b": oauth(5)});
        let (write, _) = decided(&shape("opencode-auth"), &source, &json!({"a": oauth(7)}), Some(&source));
        assert_eq!(write, Write::Nothing);
    }

    #[test]
    fn a_fresher_provider_overrules_and_keeps_the_former_file() {
        let first = json!({"a": oauth(1)});
        let (write, now) =
            decided(&shape("opencode-auth"), &json!({"a": oauth(9)}), &json!({"a": oauth(5)}), Some(&first));
        assert!(matches!(write, Write::ReplaceKeeping(_)));
        assert_eq!(now.unwrap(), json!({"a": oauth(9)}));
    }

    #[test]
    fn accounts_are_merged_by_refresh_token_and_the_active_one_stays() {
        let source = json!({"version": 4, "activeIndex": 0, "accounts": [
            {"refreshToken": "x", "lastUsed": 9}, {"refreshToken": "new", "addedAt": 1}]});
        let present = json!({"version": 4, "activeIndex": 1, "accounts": [
            {"refreshToken": "mine"}, {"refreshToken": "x", "lastUsed": 5}]});
        let (write, now) = decided(&shape("antigravity-accounts"), &source, &present, None);
        assert!(matches!(write, Write::ReplaceKeeping(_)));
        assert_eq!(
            now.unwrap(),
            json!({"version": 4, "activeIndex": 1, "accounts": [
                {"refreshToken": "mine"}, {"refreshToken": "x", "lastUsed": 9}, {"refreshToken": "new", "addedAt": 1}]})
        );
    }

    #[test]
    fn names_of_parts_tell_no_token() {
        let object =
            check(&shape("antigravity-accounts"), br#"{"version":4,"accounts":[{"refreshToken":"SECRET"}]}"#).unwrap();
        assert!(!format!("{:?}", parts(&shape("antigravity-accounts"), &object)).contains("SECRET"));
    }
}
