//! Is an engine ready to run: its command runs, its credentials are there, parse, have the CLI's own shape and
//! are not beyond refreshing? Nothing of a content ever leaves this file.
//!
//! The CLIs cannot be asked: `codex login status` says "logged in" to an empty object, opencode reads a
//! malformed file as "0 credentials" and answers 0.

use super::{
    catalogue::{Credential, DefaultConfig, Engine, Repair, Shape},
    check::Checked,
    credentials,
    edit::json::Object,
    status::Readiness,
};
use crate::{
    layout::Layout,
    settings::{FileProblem, Files, SystemFiles},
};
use serde_json::{Map, Value};
use std::path::Path;

/// Readiness of one engine; `now` in milliseconds since 1970.
pub fn readiness(engine: &Engine, checked: &Checked, layout: &Layout, now: i64) -> Readiness {
    let mut out = Readiness { ready: true, reasons: Vec::new(), notes: Vec::new() };
    if checked.effective().is_none() {
        out.reasons.push(checked.reason(engine));
    }
    for credential in &engine.credentials {
        let path = layout.agent_home.join(&credential.dest);
        match examine_file(credential, &path, now) {
            Ok(notes) => out.notes.extend(notes),
            Err(reason) if credential.required => out.reasons.push(reason),
            Err(reason) => out.notes.push(reason),
        }
    }
    if engine.credentials.is_empty() && engine.optional {
        out.notes.push("its credentials are not known to the table: not examined".to_owned());
    }
    for config in engine.configs.iter().filter(|config| !config.repairs.is_empty()) {
        out.reasons.extend(settings(config, &layout.agent_home.join(&config.path)));
    }
    out.ready = out.reasons.is_empty();
    out
}

fn examine_file(credential: &Credential, path: &Path, now: i64) -> Result<Vec<String>, String> {
    let named = |what: &str| format!("{}: {what}", path.display());
    let bytes = read(path).map_err(|problem| match problem {
        FileProblem::Missing => named(&format!(
            "missing: log in, or put it into IMPORT/{} and run: skill-init agents import",
            credential.source.display()
        )),
        problem => named(&problem.to_string()),
    })?;
    let notes = examine(&credential.shape, &bytes, now).map_err(|what| named(&what))?;
    Ok(notes.iter().map(|note| named(note)).collect())
}

/// Bounded, and never waits: the agent may have put anything in its place, also while it is looked at.
fn read(path: &Path) -> Result<Vec<u8>, FileProblem> {
    SystemFiles::at("/").read(path, credentials::MAX_CREDENTIAL)
}

/// Pure: what is wrong with a credential of this shape, else what is worth a note.
fn examine(shape: &Shape, bytes: &[u8], now: i64) -> Result<Vec<String>, String> {
    let json = credentials::check(shape, bytes).map_err(|bad| bad.to_string())?;
    let Some(known) = &shape.entries else {
        let lasting = shape.lasting.as_ref().is_some_and(|field| json.get(field).is_some());
        return if lasting { Ok(Vec::new()) } else { age(&json, &shape.refresh, &shape.expiry, now) };
    };
    let mut notes = Vec::new();
    let mut usable = 0;
    let empty = Map::new();
    for entry in credentials::entries(shape, &json) {
        let state = match entry.usable {
            true => age(entry.value.as_object().unwrap_or(&empty), &known.refresh, &known.expiry, now),
            false => Err("not an entry that its CLI knows; its next write drops it".to_owned()),
        };
        usable += usize::from(state.is_ok());
        let words = state.unwrap_or_else(|reason| vec![reason]);
        notes.extend(words.iter().map(|word| format!("{}: {word}", entry.label)));
    }
    match (usable, notes.is_empty()) {
        (0, true) => Err("it holds no login".to_owned()),
        (0, false) => Err(notes.join("; ")),
        _ => Ok(notes),
    }
}

/// Past its expiry, a token is refreshed by the CLI, or, without anything to refresh it with, of no use.
fn age(
    map: &Map<String, Value>,
    refresh: &Option<String>,
    expiry: &Option<String>,
    now: i64,
) -> Result<Vec<String>, String> {
    let past = expiry.as_ref().and_then(|field| map.get(field)?.as_f64()).is_some_and(|ms| ms < now as f64);
    let refreshable =
        refresh.as_ref().and_then(|field| map.get(field)?.as_str()).is_some_and(|token| !token.is_empty());
    match (past, refreshable) {
        (true, false) => Err("expired, and there is nothing to refresh it with: log in again".to_owned()),
        (true, true) => Ok(vec!["the access token has expired; the CLI refreshes it at its next run".to_owned()]),
        (false, _) => Ok(Vec::new()),
    }
}

/// Why the engine is not ready with these settings; their values stay unsaid.
fn settings(config: &DefaultConfig, path: &Path) -> Option<String> {
    let named = |what: &str| Some(format!("{}: {what}", path.display()));
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(problem) => return named(&problem.to_string()),
    };
    let object = match Object::parse(&bytes) {
        Ok(object) => object,
        Err(why) => return named(&why.to_string()),
    };
    let wrong = |repair: &&Repair| !repair.is_ready(object.get(&repair.key));
    let words: Vec<String> = config.repairs.iter().filter(wrong).map(wanted).collect();
    if words.is_empty() { None } else { named(&words.join(", ")) }
}

/// The words for a key whose value will not do.
fn wanted(repair: &Repair) -> String {
    let key = &repair.key;
    match (repair.ready.as_slice(), repair.prefixes.as_slice()) {
        ([], []) => format!("{key} is missing or of no use"),
        ([], prefixes) => format!("{key} does not begin with {}", prefixes.join(" or ")),
        (ready, _) => format!("{key} is not {}", ready.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use credentials::testing::shape;
    use std::fs;

    const NOW: i64 = 2_000_000;

    fn look(name: &str, json: &str) -> Result<Vec<String>, String> {
        examine(&shape(name), json.as_bytes(), NOW)
    }

    #[test]
    fn codex_needs_a_key_or_tokens_and_a_jwt() {
        assert!(look("codex-auth", "{}").is_err());
        assert!(look("codex-auth", r#"{"OPENAI_API_KEY":null}"#).is_err());
        look("codex-auth", r#"{"auth_mode":"apikey","OPENAI_API_KEY":"k"}"#).unwrap();
        look("codex-auth", r#"{"tokens":{"id_token":"a.b.c","refresh_token":"r"}}"#).unwrap();
        assert!(look("codex-auth", r#"{"tokens":{"id_token":"abc","refresh_token":"r"}}"#).is_err());
    }

    #[test]
    fn an_expired_token_is_a_note_with_a_refresh_token_and_a_reason_without() {
        let with = look("google-oauth", r#"{"access_token":"a","refresh_token":"r","expiry_date":1000}"#).unwrap();
        assert!(with[0].contains("refreshes"));
        let without = look("google-oauth", r#"{"access_token":"a","expiry_date":1000}"#).unwrap_err();
        assert!(without.contains("log in again"));
        assert!(look("google-oauth", r#"{"access_token":"a","expiry_date":3000000}"#).unwrap().is_empty());
    }

    #[test]
    fn one_good_provider_makes_opencode_ready_and_a_bad_one_is_a_note() {
        let notes = look("opencode-auth", r#"{"a":{"type":"api","key":"k"},"b":{"type":"odd"}}"#).unwrap();
        assert!(notes.len() == 1 && notes[0].starts_with("b: "));
        assert!(look("opencode-auth", "{}").is_err());
        assert!(look("opencode-auth", r#"{"b":{"type":"odd"}}"#).is_err());
    }

    #[test]
    fn iflow_is_ready_with_the_services_own_login_and_address_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings.json");
        let table = crate::agents::catalogue::Catalogue::built_in();
        let config = &table.get("iflow").unwrap().configs[0];
        let look = |text: &str| {
            fs::write(&path, text).unwrap();
            settings(config, &path)
        };
        assert_eq!(look(&config.content), None);
        assert_eq!(look("{\"selectedAuthType\": \"oauth-iflow\", /* mine */ \"baseUrl\": \"http://x\"}"), None);
        let other = look("{\"selectedAuthType\": \"SECRET\", \"baseUrl\": \"SECRET\"}").unwrap();
        let words = "selectedAuthType is not oauth-iflow, baseUrl does not begin with http:// or https://";
        assert_eq!(other, format!("{}: {words}", path.display()));
        assert!(look("{").unwrap().contains("does not parse"));
        fs::remove_file(&path).unwrap();
        assert!(settings(config, &path).unwrap().contains("no such file"));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(settings(config, &path).unwrap().contains("not a regular file"));
    }

    #[test]
    fn no_reason_repeats_a_value() {
        for json in [r#"{"access_token":5,"x":"SECRET"}"#, r#"{"tokens":{"id_token":"SECRET"}}"#] {
            for shape in ["codex-auth", "google-oauth", "iflow-accounts", "antigravity-accounts"] {
                assert!(!format!("{:?}", look(shape, json)).contains("SECRET"));
            }
        }
    }
}
