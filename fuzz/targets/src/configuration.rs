//! What an operator writes: environment, configuration file with service tables, the catalogue's override.

use crate::text;
use skill_init::{
    agents::catalogue::Catalogue,
    settings::{self, Environment, MapFiles, Settings},
};
use std::{collections::BTreeMap, path::Path};

const SECRET: &str = "correct horse battery staple";

/// `NAME=VALUE` lines up to `---`, then the configuration file.
pub(crate) fn settings(bytes: &[u8]) {
    let whole = text(bytes);
    let (variables, file) = whole.split_once("---\n").unwrap_or(("", &whole));
    let mut env: BTreeMap<String, String> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.insert("SKILL_INIT_CONFIG".into(), "/init.toml".into());
    env.insert("UI_BASIC_AUTH_PASSWORD".into(), SECRET.into());
    let files = MapFiles([("/init.toml".into(), file.as_bytes().to_vec())].into());
    let env = Environment(env);
    let tolerant = Settings::load_tolerant(&env, &files);
    match Settings::load_from(&env, &files) {
        Ok(loaded) => {
            assert!(loaded.exports().eq(tolerant.exports()), "the tolerant reader reads something else");
            if !whole.contains(SECRET) {
                assert!(!format!("{loaded:?}").contains(SECRET), "a secret is shown");
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty());
            for mistake in &mistakes.0 {
                assert!(
                    whole.contains(SECRET) || !mistake.to_string().contains(SECRET),
                    "a secret is shown: {mistake}"
                );
            }
        }
    }
}

/// Command lines, times, signals.
pub(crate) fn values(bytes: &[u8]) {
    let text = text(bytes);
    let _ = settings::words(&text);
    if let Ok(number) = settings::signal::parse(&text) {
        assert_eq!(settings::signal::parse(&settings::signal::name(number)), Ok(number));
    }
    if let Ok(span) = settings::duration(&text) {
        assert_eq!(settings::duration(&settings::duration_text(span)), Ok(span), "{text:?}");
    }
}

/// The file that `SKILL_INIT_CATALOGUE` names.
pub(crate) fn catalogue(bytes: &[u8]) {
    if let Ok(catalogue) = Catalogue::merged(&text(bytes)) {
        for engine in &catalogue.engines {
            assert!(catalogue.get(&engine.name).is_some() && !engine.name.contains('/'));
            for credential in &engine.credentials {
                for path in [&credential.source, &credential.dest] {
                    assert!(stays(path), "{path:?} of {} leads elsewhere", engine.name);
                }
            }
            for config in &engine.configs {
                assert!(stays(&config.path), "{:?} of {} leads elsewhere", config.path, engine.name);
            }
        }
    }
}

fn stays(path: &Path) -> bool {
    use std::path::Component;
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
