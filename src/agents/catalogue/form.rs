//! The form of the table: which keys stand where, and what kind of value each takes. An override is held to it before
//! anything is made of it, so that every mistake of a file is told at once, with its line and what was likely meant.
//!
//! The structs of the table say the same to serde; a test compares the two.

use super::Version;
use crate::settings::nearest;
use toml_edit::{Item, TableLike, Value};

/// What may stand at a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Text,
    Count,
    Flag,
    /// A text, or true or false.
    Scalar,
    /// Texts.
    Words,
    /// Texts, or true or false.
    Scalars,
    /// Whole numbers.
    Counts,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Three numbers.
    Version,
    /// Anything.
    Any,
    /// A table of anything.
    AnyTable,
    /// A table with these keys.
    Record(&'static [Key]),
    /// A list of such tables.
    Records(&'static [Key]),
    /// A table with keys of the writer's choice.
    Map(&'static Form),
}

/// A key, what it takes, and whether it must be there.
pub(super) type Key = (&'static str, Form, bool);

const fn may(name: &'static str, form: Form) -> Key {
    (name, form, false)
}
const fn must(name: &'static str, form: Form) -> Key {
    (name, form, true)
}

const FORMAT: Form = Form::OneOf(&["toml", "json", "jsonc"]);
const KIND: Form = Form::OneOf(&["text", "number", "list", "object", "jwt"]);

/// The roots of the table, each a map of names.
pub(super) const ROOTS: &[(&str, &[Key])] =
    &[("engine", ENGINE), ("shape", SHAPE), ("trust", TRUST), ("output", OUTPUT)];

pub(super) const ENGINE: &[Key] = &[
    must("package", Form::Text),
    must("binary", Form::Text),
    must("version", Form::Text),
    may("disk_mib", Form::Count),
    may("scripts", Form::Flag),
    may("dirs", Form::Words),
    may("config", Form::Records(CONFIG)),
    may("credential", Form::Records(CREDENTIAL)),
    may("variables", Form::Words),
    may("environment", Form::Map(&Form::Text)),
    may("trust", Form::Text),
    may("landlock", Form::Flag),
    may("terminal_args", Form::Words),
    may("terminal_free", Form::Words),
    may("terminal_withheld", Form::Words),
    may("session", Form::Records(SESSION)),
    may("login", Form::Words),
    may("models", Form::Words),
    may("run", Form::Record(RUN)),
    may("run_config", Form::Record(RUN_CONFIG)),
    may("output", Form::Text),
    may("output_args", Form::Words),
    may("sandbox", Form::Records(SANDBOX)),
    may("unavailable", Form::Text),
    may("optional", Form::Flag),
];
pub(super) const CONFIG: &[Key] = &[
    must("path", Form::Text),
    must("format", FORMAT),
    may("asset", Form::Text),
    must("content", Form::Text),
    may("repair", Form::Records(REPAIR)),
];
pub(super) const REPAIR: &[Key] =
    &[must("key", Form::Text), may("refused", Form::Words), may("prefixes", Form::Words), may("ready", Form::Words)];
pub(super) const CREDENTIAL: &[Key] =
    &[must("source", Form::Text), must("dest", Form::Text), must("shape", Form::Text), must("required", Form::Flag)];
pub(super) const SESSION: &[Key] = &[must("path", Form::Text), must("content", Form::Text)];
pub(super) const RUN: &[Key] = &[must("start", Form::Words), must("resume", Form::Words), may("model", Form::Words)];
pub(super) const RUN_CONFIG: &[Key] = &[
    must("form", Form::OneOf(&["file", "arguments"])),
    must("format", FORMAT),
    may("asset", Form::Text),
    may("path", Form::Text),
    may("argument", Form::Words),
    may("default", Form::AnyTable),
    may("enforced", Form::AnyTable),
    may("reserved", Form::Words),
];
pub(super) const SANDBOX: &[Key] = &[
    may("below", Form::Version),
    may("mechanism", Form::Text),
    may("probe", Form::Words),
    may("probe_old", Form::Words),
    may("probe_program", Form::Words),
    may("needs_any", Form::Words),
    may("needs_all", Form::Words),
    may("start", Form::Words),
    may("resume", Form::Words),
    may("free", Form::Words),
    may("full_auto", Form::Flag),
];
pub(super) const SHAPE: &[Key] = &[
    may("any", Form::Words),
    may("keys", Form::Words),
    may("fields", Form::Map(&KIND)),
    may("values", Form::Map(&Form::Counts)),
    may("fresh", Form::Words),
    may("expiry", Form::Text),
    may("refresh", Form::Text),
    may("lasting", Form::Text),
    may("follows", Form::Flag),
    may("entries", Form::Record(ENTRIES)),
];
pub(super) const ENTRIES: &[Key] = &[
    may("list", Form::Text),
    may("id", Form::Text),
    may("types", Form::Map(&Form::Map(&KIND))),
    may("fresh", Form::Words),
    may("expiry", Form::Text),
    may("refresh", Form::Text),
];
pub(super) const TRUST: &[Key] = &[
    must("file", Form::Text),
    must("format", FORMAT),
    may("table", Form::Words),
    may("key", Form::Text),
    may("value", Form::Scalar),
    may("values", Form::Scalars),
    may("lock", Form::OneOf(&["proper-lockfile"])),
];
pub(super) const OUTPUT: &[Key] = &[
    must("form", Form::OneOf(&["lines", "object", "text"])),
    may("on", Form::Records(RULE)),
    may("session_after", Form::Text),
];
pub(super) const RULE: &[Key] = &[
    may("type", Form::Text),
    may("where", Form::Map(&Form::Any)),
    may("any", Form::Words),
    may("unless", Form::Map(&Form::Any)),
    may("session", Form::Words),
    may("message", Form::Words),
    may("repeats", Form::Flag),
    may("error", Form::Words),
    may("recovered", Form::Flag),
];

/// A mistake: the place in the table, as its parts, and the words.
pub(super) type Wrong = (Vec<String>, String);

/// The dotted name of a place.
pub(super) fn dotted(place: &[String]) -> String {
    place.iter().fold(String::new(), |mut out, part| {
        if !(out.is_empty() || part.starts_with('[')) {
            out.push('.');
        }
        out.push_str(part);
        out
    })
}

fn below(place: &[String], part: &str) -> Vec<String> {
    place.iter().cloned().chain([part.to_owned()]).collect()
}

/// Everything in a table that is not of the form. `whole`: keys that must be there are missed.
pub(super) fn record(keys: &[Key], table: &dyn TableLike, place: &[String], whole: bool, wrong: &mut Vec<Wrong>) {
    for (name, item) in table.iter() {
        let at = below(place, name);
        match keys.iter().find(|(known, ..)| *known == name) {
            Some((_, form, _)) => value(*form, item, &at, wrong),
            None => wrong.push((at, unknown(name, place, keys.iter().map(|(known, ..)| *known)))),
        }
    }
    for (name, ..) in keys.iter().filter(|(name, _, must)| whole && *must && !table.contains_key(name)) {
        wrong.push((place.to_vec(), format!("`{}` lacks `{name}`", dotted(place))));
    }
}

/// The words for a name that is not known, with the one that was likely meant.
pub(super) fn unknown<'a>(name: &str, place: &[String], known: impl Iterator<Item = &'a str> + Clone) -> String {
    let key = dotted(&below(place, name));
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown key `{key}`; did you mean `{}`?", dotted(&below(place, near))),
        None => format!("unknown key `{key}`; known here are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn value(form: Form, item: &Item, place: &[String], wrong: &mut Vec<Wrong>) {
    let scalar = |value: &Value| value.is_str() || value.is_bool();
    let list = |of: fn(&Value) -> bool| item.as_array().is_some_and(|all| all.iter().all(of));
    let plain = item.as_value();
    let (fits, wanted) = match form {
        Form::Any => (true, "anything".to_owned()),
        Form::Text => (item.is_str(), "a text".to_owned()),
        Form::Version => (item.as_str().and_then(Version::find).is_some(), "a version of three numbers".to_owned()),
        Form::Count => (item.as_integer().is_some_and(|n| n >= 0), "a whole number from 0".to_owned()),
        Form::Flag => (item.is_bool(), "true or false".to_owned()),
        Form::Scalar => (plain.is_some_and(scalar), "a text, true or false".to_owned()),
        Form::Words => (list(Value::is_str), "a list of texts".to_owned()),
        Form::Scalars => (list(|v| v.is_str() || v.is_bool()), "a list of texts, true or false".to_owned()),
        Form::Counts => (list(|v| v.as_integer().is_some_and(|n| n >= 0)), "a list of whole numbers".to_owned()),
        Form::AnyTable => (item.is_table_like(), "a table".to_owned()),
        Form::OneOf(words) => {
            let near = item.as_str().and_then(|word| nearest(word, words.iter().copied()));
            let meant = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            let fits = item.as_str().is_some_and(|word| words.contains(&word));
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            (fits, format!("{}{meant}", quoted.join(" or ")))
        }
        Form::Record(keys) => {
            if let Some(table) = item.as_table_like() {
                record(keys, table, place, true, wrong);
            }
            (item.is_table_like(), "a table".to_owned())
        }
        Form::Records(keys) => (records(keys, item, place, wrong), "a list of tables".to_owned()),
        Form::Map(form) => {
            for (name, item) in item.as_table_like().into_iter().flat_map(TableLike::iter) {
                value(*form, item, &below(place, name), wrong);
            }
            (item.is_table_like(), "a table".to_owned())
        }
    };
    if !fits {
        wrong.push((place.to_vec(), format!("`{}` is {}, not {wanted}", dotted(place), shown(item))));
    }
}

/// `false`: no list of tables.
fn records(keys: &[Key], item: &Item, place: &[String], wrong: &mut Vec<Wrong>) -> bool {
    let mut one = |index: usize, table: &dyn TableLike| {
        record(keys, table, &below(place, &format!("[{index}]")), true, wrong);
    };
    if let Some(tables) = item.as_array_of_tables() {
        tables.iter().enumerate().for_each(|(index, table)| one(index, table));
        return true;
    }
    let Some(all) = item.as_array() else { return false };
    all.iter().enumerate().all(|(index, value)| match value.as_inline_table() {
        Some(table) => {
            one(index, table);
            true
        }
        None => false,
    })
}

/// A value as it may be shown in a message.
fn shown(item: &Item) -> String {
    match item.as_str() {
        Some(text) if text.chars().count() <= 60 => format!("{text:?}"),
        Some(_) => "a long text".to_owned(),
        None => match item.type_name() {
            "integer" | "float" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "inline table" | "table" => "a table".to_owned(),
            "array" => "a list".to_owned(),
            "array of tables" => "a list of tables".to_owned(),
            other => format!("a {other}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::{
        Credential, DefaultConfig, Engine, Entries, Output, Repair, Rule, Run, RunConfig, SandboxRange, SessionFile,
        Shape, Trust,
    };
    use serde::de::DeserializeOwned;

    /// The keys that serde's own words name for a key that nobody knows.
    fn known<T: DeserializeOwned>() -> Vec<String> {
        let words = match toml_edit::de::from_str::<T>("no_such_key = 1\n") {
            Err(error) => error.message().to_owned(),
            Ok(_) => panic!("it takes any key"),
        };
        let mut keys: Vec<String> =
            words.split_once("expected").unwrap().1.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        keys.sort();
        keys
    }
    fn written(keys: &[Key]) -> Vec<String> {
        let mut names: Vec<String> = keys.iter().map(|(name, ..)| (*name).to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_form_and_the_structs_know_the_same_keys() {
        assert_eq!(written(ENGINE), known::<Engine>());
        assert_eq!(written(CONFIG), known::<DefaultConfig>());
        assert_eq!(written(REPAIR), known::<Repair>());
        assert_eq!(written(CREDENTIAL), known::<Credential>());
        assert_eq!(written(SESSION), known::<SessionFile>());
        assert_eq!(written(RUN), known::<Run>());
        assert_eq!(written(RUN_CONFIG), known::<RunConfig>());
        assert_eq!(written(SANDBOX), known::<SandboxRange>());
        assert_eq!(written(SHAPE), known::<Shape>());
        assert_eq!(written(ENTRIES), known::<Entries>());
        assert_eq!(written(TRUST), known::<Trust>());
        assert_eq!(written(OUTPUT), known::<Output>());
        assert_eq!(written(RULE), known::<Rule>());
    }
}
