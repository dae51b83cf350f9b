//! Files that hold several credentials: each is compared by itself, and what only one side has stays.

use super::{
    Remembered,
    shape::{millis, opencode_entry, token_of},
    three_way::hash,
};
use crate::agents::catalogue::Shape;
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

/// Is this shape merged entry by entry?
pub(super) fn is_merged(shape: Shape) -> bool {
    matches!(shape, Shape::OpencodeAuth | Shape::AntigravityAccounts)
}

/// Fingerprints of a file's entries, by a name that tells nothing.
pub(super) fn parts(shape: Shape, object: &Map<String, Value>) -> BTreeMap<String, String> {
    entries(shape, object).into_iter().map(|(name, entry)| (name, hash(entry.to_string().as_bytes()))).collect()
}

/// The usable entries with their names: provider ids, or the hash of an account's refresh token.
fn entries(shape: Shape, object: &Map<String, Value>) -> Vec<(String, &Value)> {
    match shape {
        Shape::OpencodeAuth => object
            .iter()
            .filter(|(_, entry)| opencode_entry(entry))
            .map(|(name, entry)| (name.clone(), entry))
            .collect(),
        Shape::AntigravityAccounts => {
            accounts(object).filter_map(|account| Some((hash(token_of(account)?.as_bytes()), account))).collect()
        }
        _ => Vec::new(),
    }
}

fn accounts(object: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    object.get("accounts").and_then(Value::as_array).into_iter().flatten()
}

/// Merges the source's entries into the destination.
pub(super) fn merge(
    shape: Shape,
    source: &Map<String, Value>,
    destination: &Map<String, Value>,
    last: Option<&Remembered>,
    force: bool,
) -> Merged {
    let present = entries(shape, destination);
    let mut out = destination.clone();
    let mut merged = Merged { object: None, overruled: false };
    let mut changed = false;
    for (name, entry) in entries(shape, source) {
        let theirs = hash(entry.to_string().as_bytes());
        let known = last.and_then(|last| last.parts.get(&name));
        let unchanged = known == Some(&theirs) && !force;
        let take = match present.iter().find(|(n, _)| *n == name) {
            Some((_, now)) if *now == entry => false,
            // Somebody logged out on purpose, or the CLI renewed it.
            _ if unchanged => false,
            None => true,
            Some((_, now)) => {
                let untouched = known.is_some_and(|known| *known == hash(now.to_string().as_bytes()));
                let take = force
                    || untouched
                    || match (age(shape, entry), age(shape, now)) {
                        (Some(source), Some(present)) if source != present => source > present,
                        _ => known.is_some(),
                    };
                merged.overruled |= take && !untouched;
                take
            }
        };
        if take {
            put(shape, &mut out, &name, entry);
            changed = true;
        }
    }
    if changed {
        merged.object = serde_json::to_vec_pretty(&out).ok();
    }
    merged
}

fn age(shape: Shape, entry: &Value) -> Option<i64> {
    match shape {
        Shape::OpencodeAuth => millis(entry.get("expires")?),
        _ => ["lastUsed", "addedAt"].iter().filter_map(|field| millis(entry.get(field)?)).max(),
    }
}

fn put(shape: Shape, object: &mut Map<String, Value>, name: &str, entry: &Value) {
    if shape == Shape::OpencodeAuth {
        object.insert(name.to_owned(), entry.clone());
        return;
    }
    let Some(accounts) = object.get_mut("accounts").and_then(Value::as_array_mut) else { return };
    let same = |account: &&mut Value| token_of(account).is_some_and(|token| hash(token.as_bytes()) == name);
    match accounts.iter_mut().find(same) {
        Some(place) => *place = entry.clone(),
        None => accounts.push(entry.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Write, check, decide};
    use super::*;
    use serde_json::json;

    fn oauth(expires: i64) -> Value {
        json!({"type": "oauth", "refresh": format!("r{expires}"), "access": "a", "expires": expires})
    }
    fn decided(shape: Shape, source: &Value, present: &Value, last: Option<&Value>) -> (Write, Option<Value>) {
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
        let (write, now) = decided(Shape::OpencodeAuth, &source, &present, None);
        assert!(matches!(write, Write::Replace(_)));
        assert_eq!(
            now.unwrap(),
            json!({"mine": {"type": "api", "key": "m"}, "broken": 3, "openai": oauth(9), "new": {"type": "api", "key": "k"}})
        );
    }

    #[test]
    fn a_logout_of_one_provider_is_not_undone_by_an_old_source() {
        let source = json!({"a": oauth(5), "b": oauth(5)});
        let (write, _) = decided(Shape::OpencodeAuth, &source, &json!({"a": oauth(7)}), Some(&source));
        assert_eq!(write, Write::Nothing);
    }

    #[test]
    fn a_fresher_provider_overrules_and_keeps_the_former_file() {
        let first = json!({"a": oauth(1)});
        let (write, now) = decided(Shape::OpencodeAuth, &json!({"a": oauth(9)}), &json!({"a": oauth(5)}), Some(&first));
        assert!(matches!(write, Write::ReplaceKeeping(_)));
        assert_eq!(now.unwrap(), json!({"a": oauth(9)}));
    }

    #[test]
    fn accounts_are_merged_by_refresh_token_and_the_active_one_stays() {
        let source = json!({"version": 4, "activeIndex": 0, "accounts": [
            {"refreshToken": "x", "lastUsed": 9}, {"refreshToken": "new", "addedAt": 1}]});
        let present = json!({"version": 4, "activeIndex": 1, "accounts": [
            {"refreshToken": "mine"}, {"refreshToken": "x", "lastUsed": 5}]});
        let (write, now) = decided(Shape::AntigravityAccounts, &source, &present, None);
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
            check(Shape::AntigravityAccounts, br#"{"version":4,"accounts":[{"refreshToken":"SECRET"}]}"#).unwrap();
        assert!(!format!("{:?}", parts(Shape::AntigravityAccounts, &object)).contains("SECRET"));
    }
}
