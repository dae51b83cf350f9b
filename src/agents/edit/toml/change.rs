//! The three ways to change the text: append a table, cut its lines, or rebuild the place where it stands.

use super::{LEVEL, PROJECTS, TRUSTED};
use toml_edit::{Document, DocumentMut, InlineTable, Item, Table, TableLike};

/// The text with the entry's table at its end.
pub(super) fn append(text: &str, path: &str) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = text.to_owned();
    if !out.is_empty() {
        if !out.ends_with('\n') {
            out.push_str(newline);
        }
        out.push_str(newline);
    }
    let key = toml_edit::Key::new(path);
    // A quoted key also where a bare one would do: this is how codex writes it.
    let key = if key.to_string().starts_with(['"', '\'']) { key.to_string() } else { format!("\"{path}\"") };
    out.push_str(&format!("[{PROJECTS}.{key}]{newline}{LEVEL} = \"{TRUSTED}\"{newline}"));
    out
}

/// The text without the lines of tables that hold nothing but the trust of a removed path.
pub(super) fn cut(text: &str, remove: &[String]) -> Option<String> {
    if remove.is_empty() {
        return None;
    }
    let document = Document::parse(text).ok()?;
    let projects = document.get(PROJECTS)?.as_table()?;
    let mut ranges = Vec::new();
    for path in remove {
        let Some(table) = projects.get(path).and_then(Item::as_table) else { continue };
        let only = table.len() == 1 && table.get(LEVEL).is_some_and(Item::is_value);
        if let (true, false, Some(header), Some(value)) =
            (only, table.is_dotted(), table.span(), table.get(LEVEL).and_then(Item::span))
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
pub(super) fn rebuild(text: &str, add: Option<&str>, remove: &[String]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let root = document.as_table_mut();
    if root.get(PROJECTS).is_some_and(|projects| projects.as_table_like().is_none()) {
        root.remove(PROJECTS);
    }
    if let Some(projects) = root.get_mut(PROJECTS).and_then(Item::as_table_like_mut) {
        for (_, entry) in projects.iter_mut() {
            let Some(keys) = entry.as_table_like_mut() else { continue };
            let level = keys.get(LEVEL).map(|level| level.as_str().map(str::to_owned));
            if level.is_some_and(|level| !matches!(level.as_deref(), Some(TRUSTED | "untrusted"))) {
                keys.remove(LEVEL);
            }
        }
        for path in remove.iter().filter(|path| Some(path.as_str()) != add) {
            let (keys, known) = match projects.get_mut(path) {
                Some(entry) => (entry.as_table_like_mut(), true),
                None => (None, false),
            };
            let emptied = match keys {
                Some(keys) => keys.remove(LEVEL).is_some() && keys.is_empty(),
                None => known,
            };
            if emptied {
                projects.remove(path);
            }
        }
        let gone = projects.is_empty() && !remove.is_empty();
        if gone && add.is_none() {
            root.remove(PROJECTS);
        }
    }
    if let Some(path) = add {
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        let projects = root.entry(PROJECTS).or_insert(Item::Table(implicit));
        set(projects, path)?;
    }
    Some(document.to_string())
}

fn set(projects: &mut Item, path: &str) -> Option<()> {
    let inline = projects.is_inline_table();
    let dotted = projects.as_table().is_some_and(Table::is_dotted);
    let projects = projects.as_table_like_mut()?;
    if let Some(keys) = projects.get_mut(path).and_then(Item::as_table_like_mut) {
        return level(keys);
    }
    if inline {
        let mut entry = InlineTable::new();
        entry.insert(LEVEL, TRUSTED.into());
        projects.insert(path, Item::Value(entry.into()));
    } else {
        let mut entry = Table::new();
        entry.set_dotted(dotted);
        entry.insert(LEVEL, toml_edit::value(TRUSTED));
        projects.remove(path);
        projects.insert(path, Item::Table(entry));
    }
    Some(())
}

/// Sets the level, keeping the comment behind the old one.
fn level(keys: &mut dyn TableLike) -> Option<()> {
    let mut value = toml_edit::Value::from(TRUSTED);
    if let Some(old) = keys.get(LEVEL).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    match keys.get_mut(LEVEL) {
        Some(item) => *item = Item::Value(value),
        None => {
            keys.insert(LEVEL, Item::Value(value));
        }
    }
    Some(())
}
