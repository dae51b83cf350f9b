//! What a file with a trust list must mean after an edit, whatever its syntax. Pure, over the file's meaning as JSON.

use crate::agents::catalogue::Trust;
use serde_json::{Map, Value};

/// Folders with their value, in the order of the file; `None`: the entry has none.
pub(crate) type Entries = Vec<(String, Option<Value>)>;

/// The entries of a file of this meaning.
pub(crate) fn entries(meaning: &Value, how: &Trust) -> Entries {
    let list = how.table.iter().try_fold(meaning, |at, key| at.get(key));
    if how.value.is_none() {
        let folders = list.and_then(Value::as_array).into_iter().flatten();
        return folders.filter_map(|folder| Some((folder.as_str()?.to_owned(), None))).collect();
    }
    let list = list.and_then(Value::as_object);
    let value = |entry: &Value| match &how.key {
        Some(key) => entry.get(key).cloned(),
        None => Some(entry.clone()),
    };
    list.into_iter().flatten().map(|(path, entry)| (path.clone(), value(entry))).collect()
}

/// What the file must mean afterwards, and whether values of a wrong kind, which the CLI would not load, had to go.
pub(super) fn expected(now: &Value, how: &Trust, add: Option<&str>, remove: &[String]) -> (Value, bool) {
    let mut root = now.as_object().cloned().unwrap_or_default();
    let mut repaired = false;
    match (&how.value, how.table.split_last()) {
        (Some(value), _) => descend(&mut root, &how.table, &mut repaired, &mut |list, repaired| {
            change(list, how, value, add, remove, repaired);
        }),
        (None, Some((last, way))) => descend(&mut root, way, &mut repaired, &mut |table, repaired| {
            change_array(table, last, add, remove, repaired);
        }),
        (None, None) => {}
    }
    (Value::Object(root), repaired)
}

type Step<'s> = &'s mut dyn FnMut(&mut Map<String, Value>, &mut bool);

/// To the list; tables on the way are made where they are needed, and go when nothing is left in them.
fn descend(at: &mut Map<String, Value>, way: &[String], repaired: &mut bool, step: Step<'_>) {
    let Some((head, rest)) = way.split_first() else { return step(at, repaired) };
    let there = at.contains_key(head);
    let mut inner = match at.get(head) {
        None => Map::new(),
        Some(Value::Object(inner)) => inner.clone(),
        Some(_) => {
            *repaired = true;
            Map::new()
        }
    };
    let was_empty = at.get(head).and_then(Value::as_object).is_some_and(Map::is_empty);
    descend(&mut inner, rest, repaired, step);
    if !inner.is_empty() || was_empty {
        at.insert(head.clone(), Value::Object(inner));
    } else if there {
        at.shift_remove(head);
    }
}

/// The array of folders that is this key of a table; what is no text in it stays, and so does one that nothing is left in.
fn change_array(table: &mut Map<String, Value>, key: &str, add: Option<&str>, remove: &[String], repaired: &mut bool) {
    let there = table.get(key);
    *repaired |= there.is_some_and(|value| !value.is_array());
    let (known, mut folders) = (there.is_some(), there.and_then(Value::as_array).cloned().unwrap_or_default());
    folders.retain(|one| one.as_str().is_none_or(|path| add == Some(path) || !remove.iter().any(|gone| gone == path)));
    if let Some(path) = add
        && !folders.iter().any(|one| one.as_str() == Some(path))
    {
        folders.push(Value::from(path));
    }
    if known || !folders.is_empty() {
        table.insert(key.to_owned(), Value::Array(folders));
    }
}

fn change(
    list: &mut Map<String, Value>,
    how: &Trust,
    value: &Value,
    add: Option<&str>,
    remove: &[String],
    repaired: &mut bool,
) {
    let Some(key) = &how.key else {
        list.retain(|path, now| {
            let good = how.loads(now);
            *repaired |= !good;
            (good || add == Some(path)) && (add == Some(path) || !remove.contains(path))
        });
        if let Some(path) = add {
            list.insert(path.to_owned(), value.clone());
        }
        return;
    };
    for (_, entry) in &mut *list {
        if let Some(keys) = entry.as_object_mut()
            && keys.get(key).is_some_and(|value| !how.loads(value))
        {
            *repaired = true;
            keys.shift_remove(key);
        }
    }
    for path in remove.iter().filter(|path| Some(path.as_str()) != add) {
        match list.get_mut(path).map(Value::as_object_mut) {
            Some(Some(keys)) => {
                let had = keys.shift_remove(key).is_some();
                if had && keys.is_empty() {
                    list.shift_remove(path);
                }
            }
            Some(None) => {
                *repaired = true;
                list.shift_remove(path);
            }
            None => {}
        }
    }
    if let Some(path) = add {
        let entry = list.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if !entry.is_object() {
            *repaired = true;
            *entry = Value::Object(Map::new());
        }
        if let Some(keys) = entry.as_object_mut() {
            keys.insert(key.clone(), value.clone());
        }
    }
}
