//! The three ways to change the text: append a table, cut its lines, or rebuild the place where it stands.

use super::array;
use crate::agents::catalogue::Trust;
use serde_json::Value as Json;
use toml_edit::{Document, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

/// The text with the entry's table at its end; `None`: entries are no tables.
pub(super) fn append(text: &str, how: &Trust, path: &str) -> Option<String> {
    let level = how.key.as_ref()?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = text.to_owned();
    if !out.is_empty() {
        if !out.ends_with('\n') {
            out.push_str(newline);
        }
        out.push_str(newline);
    }
    let mut header: Vec<String> = how.table.iter().map(|key| Key::new(key).to_string()).collect();
    header.push(quoted(path).to_string());
    let (header, level, value) = (header.join("."), Key::new(level), trusting(how));
    out.push_str(&format!("[{header}]{newline}{level} = {value}{newline}"));
    Some(out)
}

/// A quoted key also where a bare one would do: this is how the CLIs write a folder.
fn quoted(path: &str) -> Key {
    let key = Key::new(path);
    if key.to_string().starts_with(['"', '\'']) {
        return key;
    }
    Key::parse(&format!("\"{path}\"")).ok().and_then(|keys| keys.into_iter().next()).unwrap_or(key)
}

/// The value that trusts.
fn trusting(how: &Trust) -> Value {
    match &how.value {
        Some(Json::Bool(word)) => Value::from(*word),
        Some(Json::String(text)) => Value::from(text.as_str()),
        other => Value::from(other.as_ref().map(Json::to_string).unwrap_or_default()),
    }
}

/// The CLI loads this value.
fn loads(how: &Trust, item: &Item) -> bool {
    let value = item.as_str().map(Json::from).or_else(|| item.as_bool().map(Json::from));
    value.map_or(how.values.is_empty(), |value| how.loads(&value))
}

/// The text without the lines of tables that hold nothing but the trust of a removed path.
pub(super) fn cut(text: &str, how: &Trust, remove: &[String]) -> Option<String> {
    let level = how.key.as_ref()?;
    if remove.is_empty() {
        return None;
    }
    let document = Document::parse(text).ok()?;
    let list = how.table.iter().try_fold(document.as_table(), |at, key| at.get(key)?.as_table())?;
    let mut ranges = Vec::new();
    for path in remove {
        let Some(table) = list.get(path).and_then(Item::as_table) else { continue };
        let only = table.len() == 1 && table.get(level).is_some_and(Item::is_value);
        if let (true, false, Some(header), Some(value)) =
            (only, table.is_dotted(), table.span(), table.get(level).and_then(Item::span))
        {
            let start = line_start(text, header.start);
            let end = text.get(value.end..)?.find('\n').map_or(text.len(), |at| value.end + at + 1);
            // The blank line that `append` puts before its table goes with it.
            let start = blank_line_before(text, start).unwrap_or(start);
            // Comments between or behind are not ours to cut.
            let body = text.get(start..end)?;
            if !body.contains('#') || path.contains('#') && body.matches('#').count() == path.matches('#').count() {
                ranges.push(start..end);
            }
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        // Overlapping ranges: an odd file; the other way deals with it.
        out.push_str(text.get(at..range.start)?);
        at = range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The start of the line before `at`, if that line is empty.
fn blank_line_before(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?.strip_suffix('\n')?;
    let start = line_start(text, before.len());
    text.get(start..before.len())?.trim().is_empty().then_some(start)
}

/// The text, changed where the entries stand.
pub(super) fn rebuild(text: &str, how: &Trust, add: Option<&str>, remove: &[String]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    descend(document.as_item_mut(), &how.table, how, add, remove)?;
    Some(document.to_string())
}

/// To the list; what stands in the way gives way, and tables that nothing is left in go.
fn descend(at: &mut Item, way: &[String], how: &Trust, add: Option<&str>, remove: &[String]) -> Option<()> {
    let Some((head, rest)) = way.split_first() else {
        forget(at.as_table_like_mut()?, how, add, remove);
        return add.map_or(Some(()), |path| set(at, how, path));
    };
    let inline = at.is_inline_table();
    let table = at.as_table_like_mut()?;
    if rest.is_empty() && how.value.is_none() {
        array::change(table, head, add, remove);
        return Some(());
    }
    if table.get(head).is_some_and(|item| item.as_table_like().is_none()) {
        table.remove(head);
    }
    if !table.contains_key(head) {
        if add.is_none() {
            return Some(());
        }
        let mut implicit = Table::new();
        // A table that holds values itself needs its header.
        let values_below = usize::from(how.value.is_none());
        implicit.set_implicit(how.key.is_some() || rest.len() > values_below);
        let fresh = if inline { Item::Value(InlineTable::new().into()) } else { Item::Table(implicit) };
        table.insert(head, fresh);
    }
    let inner = table.get_mut(head)?;
    descend(inner, rest, how, add, remove)?;
    let empty = inner.as_table_like().is_some_and(TableLike::is_empty);
    if empty && !remove.is_empty() && add.is_none() {
        table.remove(head);
    }
    Some(())
}

/// Takes out removed folders and values that the CLI does not load.
fn forget(list: &mut dyn TableLike, how: &Trust, add: Option<&str>, remove: &[String]) {
    let gone = |path: &str| remove.iter().any(|one| one == path) && Some(path) != add;
    let Some(key) = &how.key else {
        let bad = |path: &str, item: &Item| gone(path) || (Some(path) != add && !loads(how, item));
        let names: Vec<String> = list.iter().filter(|(p, item)| bad(p, item)).map(|(p, _)| p.to_owned()).collect();
        for name in names {
            list.remove(&name);
        }
        return;
    };
    for (_, entry) in list.iter_mut() {
        let Some(keys) = entry.as_table_like_mut() else { continue };
        if keys.get(key).is_some_and(|value| !loads(how, value)) {
            keys.remove(key);
        }
    }
    for path in remove.iter().filter(|path| gone(path)) {
        let (keys, known) = match list.get_mut(path) {
            Some(entry) => (entry.as_table_like_mut(), true),
            None => (None, false),
        };
        let emptied = match keys {
            Some(keys) => keys.remove(key).is_some() && keys.is_empty(),
            None => known,
        };
        if emptied {
            list.remove(path);
        }
    }
}

fn set(list: &mut Item, how: &Trust, path: &str) -> Option<()> {
    let inline = list.is_inline_table();
    let dotted = list.as_table().is_some_and(Table::is_dotted);
    let list = list.as_table_like_mut()?;
    let Some(key) = &how.key else { return level(list, path, how) };
    if let Some(keys) = list.get_mut(path).and_then(Item::as_table_like_mut) {
        return level(keys, key, how);
    }
    if inline {
        let mut entry = InlineTable::new();
        entry.insert(key, trusting(how));
        list.insert(path, Item::Value(entry.into()));
    } else {
        let mut entry = Table::new();
        entry.set_dotted(dotted);
        entry.insert(key, toml_edit::value(trusting(how)));
        list.remove(path);
        list.insert(path, Item::Table(entry));
    }
    Some(())
}

/// Sets the value, keeping the comment behind the old one.
fn level(keys: &mut dyn TableLike, key: &str, how: &Trust) -> Option<()> {
    let mut value = trusting(how);
    if let Some(old) = keys.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    match keys.get_mut(key) {
        Some(item) => *item = Item::Value(value),
        None => {
            keys.insert(key, Item::Value(value));
        }
    }
    Some(())
}
