//! From the text of an override to the table: laid over the built-in one, held to its form, its rows joined. Every mistake
//! is found in one go.

use super::{
    Catalogue, Engine, Output, Shape, Trust,
    check::{self, Row},
    form::{self, ROOTS, Wrong},
};
use crate::settings::Mistake;
use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, fmt, sync::Arc};
use toml_edit::{Document, DocumentMut, Item, TableLike};

const BUILT_IN: &str = include_str!("engines.toml");
/// The same as JSON (build.rs), for every start that lays nothing over it.
const BUILT_IN_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/engines.json"));

/// The built-in table, the quick way; `None`: it has mistakes.
pub(super) fn built_in() -> Option<Catalogue> {
    let file: File = serde_json::from_str(BUILT_IN_JSON).ok()?;
    let mut wrong = Vec::new();
    let made = file.catalogue(&[], &mut wrong);
    wrong.is_empty().then_some(made)
}

/// The built-in table with a TOML text over it; every mistake of the text, which is called `name`.
pub(super) fn over(text: &str, name: &str) -> Result<Catalogue, Vec<Mistake>> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let over = Document::parse(text).map_err(|error| {
        let place = error.span().map_or_else(|| name.to_owned(), |span| format!("{name}:{}", line(span.start)));
        let first = error.message().lines().next().unwrap_or_default();
        vec![Mistake { place, message: format!("is not TOML: {first}") }]
    })?;
    // In the order of the file; what stands nowhere in it first.
    let all = |wrong: Vec<Wrong>| -> Vec<Mistake> {
        let mut told: Vec<(Option<usize>, String)> =
            wrong.into_iter().map(|(place, message)| (found(over.as_table(), &place).map(line), message)).collect();
        told.sort_by_key(|(line, _)| *line);
        told.dedup();
        let mistake = |(line, message): (Option<usize>, String)| {
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            Mistake { place, message }
        };
        told.into_iter().map(mistake).collect()
    };
    let mut table: DocumentMut =
        BUILT_IN.parse().map_err(|e: toml_edit::TomlError| all(vec![(Vec::new(), e.to_string())]))?;
    let mut wrong = Vec::new();
    let skipped = lay(over.as_table(), &mut table, &mut wrong);
    let file: File = toml_edit::de::from_document(table).map_err(|e| all(vec![(Vec::new(), e.to_string())]))?;
    let made = file.catalogue(&skipped, &mut wrong);
    if wrong.is_empty() { Ok(made) } else { Err(all(wrong)) }
}

/// Where a place stands in a document: the deepest part of it that is there; `None`: no part is. `[n]` is a part of a list.
fn found(root: &dyn TableLike, place: &[String]) -> Option<usize> {
    let (first, rest) = place.split_first()?;
    let item = root.get(first)?;
    let span = root.key(first).and_then(toml_edit::Key::span).or_else(|| item.span());
    deeper(item, rest).or_else(|| span.map(|span| span.start))
}

fn deeper(item: &Item, place: &[String]) -> Option<usize> {
    let first = place.first()?;
    let Some(index) = first.strip_prefix('[').and_then(|part| part.strip_suffix(']')?.parse::<usize>().ok()) else {
        return found(item.as_table_like()?, place);
    };
    let rest = place.get(1..).filter(|rest| !rest.is_empty());
    if let Some(table) = item.as_array_of_tables().and_then(|tables| tables.get(index)) {
        return rest.and_then(|rest| found(table, rest)).or_else(|| table.span().map(|span| span.start));
    }
    let value = item.as_array()?.get(index)?;
    let inner = rest.and_then(|rest| found(value.as_inline_table()?, rest));
    inner.or_else(|| value.span().map(|span| span.start))
}

/// Lays the rows of an override over the table; says what of them is not of the table's form. Such rows are left out, so
/// that the rest can be looked at too; their names are given back.
fn lay(over: &dyn TableLike, table: &mut DocumentMut, wrong: &mut Vec<Wrong>) -> Vec<String> {
    let mut skipped = Vec::new();
    for (root, item) in over.iter() {
        let at = vec![root.to_owned()];
        let Some((_, keys)) = ROOTS.iter().find(|(known, _)| *known == root) else {
            let mut words = form::unknown(root, &[], ROOTS.iter().map(|(known, _)| *known));
            words.push_str("; only [engine.NAME], [shape.NAME], [trust.NAME] and [output.NAME] tables are known here");
            wrong.push((at, words));
            continue;
        };
        let Some(rows) = item.as_table_like() else {
            wrong.push((at, format!("`{root}` holds [{root}.NAME] tables and nothing else")));
            continue;
        };
        for (name, item) in rows.iter() {
            let at = vec![root.to_owned(), name.to_owned()];
            let Some(row) = item.as_table_like() else {
                wrong.push((at, format!("{root}.{name} is not a table")));
                continue;
            };
            let Some(all) = table.get_mut(root).and_then(Item::as_table_like_mut) else { continue };
            let known = all.get_mut(name).and_then(Item::as_table_like_mut);
            let before = wrong.len();
            form::record(keys, row, &at, known.is_none(), wrong);
            if wrong.len() > before {
                skipped.push(name.to_owned());
            } else if let Some(known) = known {
                for (key, value) in row.iter() {
                    known.insert(key, value.clone());
                }
            } else {
                all.insert(name, item.clone());
            }
        }
    }
    skipped
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    shape: BTreeMap<String, Shape>,
    trust: BTreeMap<String, Trust>,
    output: BTreeMap<String, Output>,
    engine: InOrder,
}

impl File {
    /// The table, each engine with the rows that it names; and every mistake. Rows of these names were left out.
    fn catalogue(self, skipped: &[String], wrong: &mut Vec<Wrong>) -> Catalogue {
        let here = |name: &String| !skipped.contains(name);
        let place = |root: &str, name: &str| [root.to_owned(), name.to_owned()];
        let shapes: BTreeMap<String, Arc<Shape>> = self.shape.into_iter().map(|(k, v)| (k, Arc::new(v))).collect();
        let mut trusts = BTreeMap::new();
        for (name, trust) in self.trust {
            check::trust(&trust, &mut Row { place: place("trust", &name), wrong });
            trusts.insert(name.clone(), Arc::new(Trust { name, ..trust }));
        }
        let mut outputs = BTreeMap::new();
        for (name, output) in self.output {
            check::output(&output, &mut Row { place: place("output", &name), wrong });
            outputs.insert(name, Arc::new(output));
        }
        let mut engines = self.engine.0;
        for engine in &mut engines {
            let mut row = Row { place: place("engine", &engine.name), wrong };
            check::engine(engine, &mut row);
            for (index, credential) in engine.credentials.iter_mut().enumerate() {
                match shapes.get(&credential.shape_name) {
                    Some(shape) => credential.shape = Arc::clone(shape),
                    None if !here(&credential.shape_name) => {}
                    None => {
                        let at = ["credential", &format!("[{index}]"), "shape"];
                        row.refers(&at, "shape", &credential.shape_name, shapes.keys().map(String::as_str));
                    }
                }
            }
            if let Some(name) = &engine.trust_name {
                engine.trust = trusts.get(name).cloned();
                if engine.trust.is_none() && here(name) {
                    row.refers(&["trust"], "trust list", name, trusts.keys().map(String::as_str));
                }
            }
            match outputs.get(&engine.output_name) {
                Some(output) => engine.output = Arc::clone(output),
                None if !here(&engine.output_name) => {}
                None => row.refers(&["output"], "output", &engine.output_name, outputs.keys().map(String::as_str)),
            }
        }
        let judges: Vec<&Engine> = engines.iter().filter(|engine| engine.landlock).collect();
        if let [first, .., last] = judges.as_slice() {
            let words = format!(
                "engine.{}: landlock: LANDLOCK_ENABLED speaks of one engine's sandbox, and engine.{} has it already; \
                 set landlock = false there",
                last.name, first.name
            );
            let at = ["engine", &last.name, "landlock"].map(str::to_owned);
            wrong.push((at.to_vec(), words));
        }
        Catalogue { engines, shapes, trusts, outputs }
    }
}

/// A map's values in the order of the file, each knowing its key.
struct InOrder(Vec<Engine>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = InOrder;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[engine.NAME] tables")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut engines = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let engine: Engine = map.next_value()?;
                    // An empty reason, as an override file gives it, means that it can be installed.
                    let unavailable = engine.unavailable.clone().filter(|reason| !reason.is_empty());
                    let trust_name = engine.trust_name.clone().filter(|name| !name.is_empty());
                    engines.push(Engine { name, unavailable, trust_name, ..engine });
                }
                Ok(InOrder(engines))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
