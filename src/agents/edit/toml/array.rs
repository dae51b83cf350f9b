//! An array of folders in a TOML file, changed where it stands: its line breaks and comments stay.

use toml_edit::{Array, Item, TableLike, Value};

/// Adds a folder to the array that is this key, takes others out. An array that nothing is left in stays: it may hold comments.
pub(super) fn change(table: &mut dyn TableLike, key: &str, add: Option<&str>, remove: &[String]) {
    let Some(folders) = table.get_mut(key).and_then(Item::as_array_mut) else {
        if add.is_some() || table.contains_key(key) {
            table.insert(key, Item::Value(Array::from_iter(add).into()));
        }
        return;
    };
    let gone = |one: &Value| {
        one.as_str().is_some_and(|path| Some(path) != add && remove.iter().any(|removed| removed == path))
    };
    let mut at = 0;
    while let Some(one) = folders.get(at) {
        if gone(one) {
            take_out(folders, at);
        } else {
            at += 1;
        }
    }
    if let Some(path) = add
        && !folders.iter().any(|one| one.as_str() == Some(path))
    {
        append(folders, path);
    }
}

/// What stands before an element of an array, or behind the last one.
fn words(raw: Option<&toml_edit::RawString>) -> String {
    raw.and_then(|raw| raw.as_str()).unwrap_or_default().to_owned()
}

/// Comments around the element belong to the line above, or to nobody: they go before what follows.
fn take_out(folders: &mut Array, at: usize) {
    let removed = folders.remove(at);
    let (mut before, after) = (words(removed.decor().prefix()), words(removed.decor().suffix()));
    if after.contains('#') {
        before.push_str(&after);
    }
    if let Some(next) = folders.get_mut(at) {
        if before.contains('#') {
            let prefix = format!("{before}{}", words(next.decor().prefix()));
            next.decor_mut().set_prefix(prefix);
        } else if at == 0 {
            next.decor_mut().set_prefix(before);
        }
    } else if before.contains('#') {
        let behind = folders.trailing().as_str().unwrap_or_default().to_owned();
        let comment = before.rfind('\n').map_or(before.as_str(), |end| before.split_at(end).0).trim_end_matches('\r');
        folders.set_trailing(if behind.contains('\n') { format!("{comment}{behind}") } else { before });
    }
}

/// Behind the last element, on a line of its own where that one has one.
fn append(folders: &mut Array, path: &str) {
    let behind = folders.trailing().as_str().unwrap_or_default().to_owned();
    let last = folders.iter().last();
    let own_line = last.map(|one| words(one.decor().prefix())).filter(|prefix| prefix.contains('\n'));
    let mut value = Value::from(path);
    match own_line {
        // A comment behind the last element stays with it; the new one takes its indent.
        Some(prefix) => {
            let indent = prefix.rsplit('\n').next().unwrap_or_default();
            let indent = if indent.trim().is_empty() { indent } else { "" };
            let (comment, rest) = behind.find('\n').map_or((behind.as_str(), ""), |end| behind.split_at(end));
            let newline = if prefix.contains("\r\n") { "\r\n" } else { "\n" };
            let comment = comment.trim_end_matches('\r');
            value.decor_mut().set_prefix(format!("{comment}{newline}{indent}"));
            folders.set_trailing(rest);
        }
        None if folders.is_empty() => value.decor_mut().set_prefix(""),
        None => value.decor_mut().set_prefix(" "),
    }
    folders.push_formatted(value);
}
