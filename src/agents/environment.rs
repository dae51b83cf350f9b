//! The environment of npm and of the CLIs while they are checked: what they need, and no secret beside it.
//!
//! npm runs install scripts of other people: it gets the names below and nothing else, and the CLIs get even less. What a run of an
//! agent gets is the plan's matter.

use crate::{layout::Layout, settings::Environment};
use std::{collections::BTreeMap, path::Path};

/// Names that are passed on where they are set.
const NAMES: &[&str] = &[
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "TMPDIR",
];

/// Prefix of names that are passed on: locale.
const LOCALE: &str = "LC_";

/// Prefixes of npm's own configuration, a private registry's token among it: for npm and nobody else.
const NPM: &[&str] = &["npm_config_", "NPM_CONFIG_", "NPM_TOKEN"];

/// Debian's default, where PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of npm: that of any child, and npm's own configuration.
pub fn npm(env: &Environment, layout: &Layout, home: &Path) -> BTreeMap<String, String> {
    let mut out = child(env, layout, home);
    // A global prefix of the surroundings must not win over the one that npm is told.
    let own = |name: &str| NPM.iter().any(|p| name.starts_with(p)) && !name.eq_ignore_ascii_case("npm_config_prefix");
    out.extend(env.0.iter().filter(|(name, _)| own(name)).map(|(name, value)| (name.clone(), value.clone())));
    out
}

/// The values in npm's configuration that are secrets by their names: tokens and passwords of a registry.
pub fn npm_secrets(env: &Environment) -> Vec<String> {
    let secret = |name: &str| ["auth", "token", "password", "secret"].iter().any(|word| name.contains(word));
    env.0
        .iter()
        .filter(|(name, value)| {
            NPM.iter().any(|p| name.starts_with(p)) && value.len() >= 4 && secret(&name.to_lowercase())
        })
        .map(|(_, value)| value.clone())
        .collect()
}

/// The environment of a child whose HOME is this folder.
pub fn child(env: &Environment, layout: &Layout, home: &Path) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = env
        .0
        .iter()
        .filter(|(name, _)| NAMES.contains(&name.as_str()) || name.starts_with(LOCALE))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let home = home.display().to_string();
    for (name, below) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
    ] {
        out.insert(name.to_owned(), format!("{home}/{below}"));
    }
    out.insert("HOME".to_owned(), home.clone());
    out.insert("ZDOTDIR".to_owned(), home);
    out.insert("PATH".to_owned(), path(env, layout));
    out
}

/// PATH with the managed prefix in front.
pub fn path(env: &Environment, layout: &Layout) -> String {
    let prefix = layout.npm_prefix.display();
    format!("{prefix}/bin:{prefix}:{}", env.get("PATH").unwrap_or(DEFAULT_PATH))
}

/// PATH without the managed prefix: where a global CLI, npm and the sandbox helpers are looked for.
pub fn outer_path(env: &Environment, layout: &Layout) -> String {
    let managed = [layout.npm_prefix.join("bin"), layout.npm_prefix.clone()];
    let resolved: Vec<_> = managed.iter().filter_map(|dir| dir.canonicalize().ok()).collect();
    env.get("PATH")
        .unwrap_or(DEFAULT_PATH)
        .split(':')
        .filter(|dir| {
            let dir = Path::new(dir);
            !managed.iter().any(|m| m == dir) && !dir.canonicalize().is_ok_and(|dir| resolved.contains(&dir))
        })
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::Mode, settings::Settings};

    #[test]
    fn secrets_stay_outside_and_the_home_is_the_given_one() {
        let env = Environment(
            [
                ("PATH", "/opt/x/npm/bin:/usr/bin"),
                ("UI_BASIC_AUTH_PASSWORD", "secret"),
                ("OPENAI_API_KEY", "secret"),
                ("HTTPS_PROXY", "http://127.0.0.1:3128"),
                ("NPM_CONFIG_PREFIX", "/elsewhere"),
                ("npm_config_registry", "http://127.0.0.1:4873"),
                ("NPM_TOKEN", "registry-secret"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        );
        let mut layout = Layout::new(&Settings::load(&Environment::default()).unwrap(), Mode::Container);
        layout.npm_prefix = "/opt/x/npm".into();
        let child = child(&env, &layout, Path::new("/h"));
        assert!(!child.values().any(|value| value == "secret"));
        assert_eq!(child["HOME"], "/h");
        assert_eq!(child["XDG_CONFIG_HOME"], "/h/.config");
        assert_eq!(child["HTTPS_PROXY"], "http://127.0.0.1:3128");
        assert!(!child.keys().any(|name| name.to_lowercase().starts_with("npm_")), "{child:?}");
        let npm = npm(&env, &layout, Path::new("/h"));
        assert!(!npm.contains_key("NPM_CONFIG_PREFIX") && npm.contains_key("npm_config_registry"));
        assert_eq!(npm["NPM_TOKEN"], "registry-secret");
        assert_eq!(npm_secrets(&env), ["registry-secret"]);
        assert_eq!(child["PATH"], "/opt/x/npm/bin:/opt/x/npm:/opt/x/npm/bin:/usr/bin");
        assert_eq!(outer_path(&env, &layout), "/usr/bin");
    }
}
