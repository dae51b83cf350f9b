//! One value per registry entry: environment before file before default, secrets from files.

use super::{
    file::{Data, Node},
    files::{FileProblem, Files},
    keys,
    load::{Environment, is_child},
    mistake::Ledger,
    parse::parse,
    registry::{Kind, Spec},
    unknown,
    value::{Origin, Value},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The largest secret file: tokens are short; a private key with its chain fits too.
const MAX_SECRET: u64 = 64 * 1024;

/// The file's entries by the registry's variable name.
#[derive(Debug, Default)]
pub(super) struct Flat {
    path: PathBuf,
    entries: BTreeMap<&'static str, Vec<Entry>>,
}

/// One value in the file, in the environment's spelling.
#[derive(Debug)]
struct Entry {
    text: String,
    line: usize,
    /// `KEY_file`: the text is the path of the file that holds the secret.
    in_file: bool,
}

impl Flat {
    /// Lines of secrets that stand in the file itself.
    pub(super) fn plain_secrets(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.entries.iter().filter_map(|(env, entries)| {
            let secret = keys::ALL.iter().any(|spec| spec.env == *env && spec.kind == Kind::Secret);
            entries.iter().find(|entry| secret && !entry.in_file).map(|entry| (*env, entry.line))
        })
    }
}

/// Splits the file into registry entries and `[service.NAME]` tables; what is neither is a mistake.
pub(super) fn flatten<'a>(path: &Path, root: &'a Node, ledger: &mut Ledger) -> (Flat, Vec<(&'a str, &'a Node)>) {
    let mut flat = Flat { path: path.to_owned(), entries: BTreeMap::new() };
    let mut services = Vec::new();
    let Data::Table(sections) = &root.data else { return (flat, services) };
    for (section, node) in sections {
        let place = at(path, node.line);
        match &node.data {
            Data::Table(tables) if section == "service" => {
                services.extend(tables.iter().map(|(name, table)| (name.as_str(), table)));
            }
            Data::Table(entries) if unknown::is_section(section) => {
                for (name, node) in entries {
                    entry(&mut flat, &format!("{section}.{name}"), node, ledger);
                }
            }
            Data::Tables(_) if unknown::is_section(section) => {
                ledger.mistake(
                    place,
                    format!("`[[{section}]]` is a list of tables; write `[{section}]` or `[service.NAME]`"),
                );
            }
            Data::Table(_) | Data::Tables(_) => ledger.mistake(place, unknown::section(section)),
            _ if section == "service" => ledger.mistake(place, "`service` takes tables: `[service.NAME]`"),
            _ => ledger.mistake(place, unknown::bare_key(section)),
        }
    }
    (flat, services)
}

fn entry(flat: &mut Flat, key: &str, node: &Node, ledger: &mut Ledger) {
    let place = at(&flat.path, node.line);
    let direct = keys::ALL.iter().find(|spec| spec.key == key);
    let by_file =
        || keys::ALL.iter().find(|spec| spec.kind == Kind::Secret && key.strip_suffix("_file") == Some(spec.key));
    let Some((spec, in_file)) = direct.map(|spec| (spec, false)).or_else(|| by_file().map(|spec| (spec, true))) else {
        return ledger.mistake(place, unknown::key(key));
    };
    if keys::is_environment_only(spec) {
        return ledger
            .mistake(place, format!("`{key}` cannot be set in the file: it is read before; set {}", spec.env));
    }
    match text(if in_file { Kind::Path } else { spec.kind }, &node.data) {
        // As in the environment, an empty string counts as unset.
        Ok(text) if text.is_empty() => {}
        Ok(text) => flat.entries.entry(spec.env).or_default().push(Entry { text, line: node.line, in_file }),
        Err(message) => ledger.mistake(place, format!("`{key}` {message}")),
    }
}

/// The environment's spelling of a TOML value, where its type fits the kind.
fn text(kind: Kind, data: &Data) -> Result<String, String> {
    match (kind, data) {
        (_, Data::Text(text)) => Ok(text.clone()),
        (Kind::Bool, Data::Bool(word)) => Ok(word.to_string()),
        (Kind::Int { .. } | Kind::Float { .. } | Kind::Duration | Kind::User, Data::Int(number)) => {
            Ok(number.to_string())
        }
        (Kind::Float { .. } | Kind::Duration, Data::Float(number)) => Ok(number.to_string()),
        (Kind::List | Kind::Command, Data::List(nodes)) => {
            let words: Option<Vec<&str>> = nodes
                .iter()
                .map(|node| match &node.data {
                    Data::Text(word) => Some(word.as_str()),
                    _ => None,
                })
                .collect();
            let words = words.ok_or_else(|| "takes a list of strings".to_owned())?;
            match kind {
                Kind::Command => shlex::try_join(words).map_err(|_| "contains a NUL character".to_owned()),
                _ => Ok(words.join(",")),
            }
        }
        (kind, data) => Err(format!("takes {}, not {}", kind.noun(), data.type_name())),
    }
}

/// Every entry of the registry with its value and origin; mistakes leave the entry unset.
pub(super) fn resolve(
    env: &Environment,
    files: &dyn Files,
    flat: &Flat,
    ledger: &mut Ledger,
) -> BTreeMap<&'static str, (Value, Origin)> {
    keys::ALL.iter().map(|spec| (spec.env, one(spec, env, files, flat, ledger))).collect()
}

fn one(spec: &'static Spec, env: &Environment, files: &dyn Files, flat: &Flat, ledger: &mut Ledger) -> (Value, Origin) {
    let name_file = format!("{}_FILE", spec.env);
    let by_file = if spec.kind == Kind::Secret { env.get(&name_file) } else { None };
    let found: (String, Origin, String) = match (env.get(spec.env), by_file) {
        (Some(_), Some(_)) => {
            let message = format!("{name_file} is set as well; set only one of them");
            ledger.mistake(format!("env {}", spec.env), message);
            return (Value::Unset, Origin::Default);
        }
        (Some(text), None) if text.contains(char::REPLACEMENT_CHARACTER) => {
            ledger.mistake(format!("env {}", spec.env), "is not UTF-8 text");
            return (Value::Unset, Origin::Default);
        }
        (Some(text), None) => (text.to_owned(), Origin::Env(spec.env.to_owned()), format!("env {}", spec.env)),
        (None, Some(path)) => {
            let place = format!("env {name_file}");
            match secret(path, files, is_child(env)) {
                Ok(Some(text)) => (text, Origin::Env(name_file), place),
                Ok(None) => return (Value::Unset, Origin::Env(name_file)),
                Err(message) => {
                    ledger.mistake(place, message);
                    return (Value::Unset, Origin::Default);
                }
            }
        }
        (None, None) => match flat.entries.get(spec.env).map(Vec::as_slice) {
            Some([entry]) => {
                let (place, origin) = (at(&flat.path, entry.line), Origin::File { line: entry.line });
                let text = if entry.in_file {
                    secret(&entry.text, files, is_child(env))
                } else {
                    Ok(Some(entry.text.clone()))
                };
                match text {
                    Ok(Some(text)) => (text, origin, place),
                    Ok(None) => return (Value::Unset, origin),
                    Err(message) => {
                        ledger.mistake(place, message);
                        return (Value::Unset, Origin::Default);
                    }
                }
            }
            Some([first, ..]) => {
                let message = format!("`{0}` and `{0}_file` are both set; set only one of them", spec.key);
                ledger.mistake(at(&flat.path, first.line), message);
                return (Value::Unset, Origin::Default);
            }
            _ => match spec.default {
                None => return (Value::Unset, Origin::Default),
                Some(text) => (text.to_owned(), Origin::Default, format!("default of {}", spec.env)),
            },
        },
    };
    let (text, origin, place) = found;
    match parse(spec.kind, &text) {
        Ok(value) => (value, origin),
        Err(message) => {
            ledger.mistake(place, message);
            (Value::Unset, origin)
        }
    }
}

/// A secret from its file; one line end at the end is the editor's, not the secret's.
/// `None`: it is not for this child.
fn secret(path: &str, files: &dyn Files, is_child: bool) -> Result<Option<String>, String> {
    let path = path.trim();
    if !path.starts_with('/') {
        return Err(format!("{path:?} is a relative path; write the whole path, beginning with /"));
    }
    let bytes = match files.read(Path::new(path), MAX_SECRET) {
        Ok(bytes) => bytes,
        Err(FileProblem::Denied) if is_child => return Ok(None),
        Err(problem) => return Err(format!("cannot read {path}: {problem}")),
    };
    let text = String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8 text"))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err(format!("{path} is empty")) } else { Ok(Some(text.to_owned())) }
}

/// `/etc/skill-init/init.toml:12`.
pub(super) fn at(path: &Path, line: usize) -> String {
    if line == 0 { path.display().to_string() } else { format!("{}:{line}", path.display()) }
}
