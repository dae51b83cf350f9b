//! What is secret on this machine, so that no output says it: settings, variables, files that variables name, services'
//! variables, and the credentials of the agent CLIs.
//!
//! A CLI may print its own key in an error, and an operator may have it in an argument; both reach reports. Values are read here to be
//! taken out of texts, and for nothing else.

use super::{examine::read_json, scrub::Scrub};
use crate::{
    agents::catalogue::Catalogue,
    layout::Layout,
    plan::environment::is_secret,
    settings::{Environment, Files, Settings, SystemFiles, keys, service::ServiceSpec},
};
use serde_json::Value;
use std::path::Path;

/// A secret in a file of its own is not longer.
const FILE_BYTES: u64 = 64 << 10;
/// Shorter texts of a credential are words: `oauth`, `api`, `Bearer`.
const SHORTEST_OF_CREDENTIALS: usize = 8;
/// How names of variables end that hold somebody's secret.
const ENDINGS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"];

/// Takes out everything that is known to be secret, and what looks so.
pub(in crate::cli) fn scrub(
    env: &Environment,
    settings: &Settings,
    layout: &Layout,
    services: &[ServiceSpec],
) -> Scrub {
    let of_settings = settings.secrets().map(|(_, secret)| secret.expose().clone());
    let of_services = services.iter().flat_map(|spec| &spec.env);
    let of_variables = env.0.iter().chain(of_services).filter_map(|(name, value)| of_variable(name, value));
    Scrub::new(of_settings.chain(of_variables).chain(of_credentials(settings, layout)))
}

/// The secret that a variable holds or names.
fn of_variable(name: &str, value: &str) -> Option<String> {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    let upper = plain.to_ascii_uppercase();
    if !(is_secret(plain) || ENDINGS.iter().any(|ending| upper.ends_with(ending))) {
        return None;
    }
    if plain == name {
        return Some(value.to_owned());
    }
    let bytes = SystemFiles::at("/").read(Path::new(value), FILE_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Every text in the credentials of the agent home and of the import folder.
fn of_credentials(settings: &Settings, layout: &Layout) -> Vec<String> {
    let table =
        Catalogue::load(settings.get_opt(&keys::CATALOGUE).as_deref()).unwrap_or_else(|_| Catalogue::built_in());
    let mut found = Vec::new();
    for credential in table.engines.iter().flat_map(|engine| &engine.credentials) {
        for file in [layout.agent_home.join(&credential.dest), layout.import.join(&credential.source)] {
            texts(read_json(&file).as_ref(), &mut found);
        }
    }
    found
}

fn texts(value: Option<&Value>, found: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) if text.len() >= SHORTEST_OF_CREDENTIALS => found.push(text.clone()),
        Some(Value::Array(all)) => all.iter().for_each(|value| texts(Some(value), found)),
        Some(Value::Object(map)) => map.values().for_each(|value| texts(Some(value), found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Mode;
    use std::fs;

    #[test]
    fn secrets_of_variables_their_files_and_the_clis_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir_all(dir.path().join("cache/agent-home/.codex")).unwrap();
        fs::write(dir.path().join("cache/agent-home/.codex/auth.json"), r#"{"tokens": {"x": ["of-the-cli"]}}"#)
            .unwrap();
        fs::write(dir.path().join("key"), "of-the-file\n").unwrap();
        let env = [
            ("SKILL_RUNNER_AGENT_CACHE_DIR", path("cache")),
            ("MY_API_KEY", "of-a-variable".to_owned()),
            ("OTHER_TOKEN_FILE", path("key")),
            ("PLAIN", "not-at-all".to_owned()),
        ];
        let env = Environment(env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let settings = Settings::load(&env).unwrap();
        let layout = Layout::new(&settings, Mode::Container);
        let told = scrub(&env, &settings, &layout, &[]).text("of-the-cli/of-a-variable/of-the-file/not-at-all");
        assert_eq!(told, "[redacted]/[redacted]/[redacted]/not-at-all");
    }
}
