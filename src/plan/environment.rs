//! What a child finds in its environment.
//!
//! The parent's, less what is not its business (secrets, the service manager's own sockets), plus the resolved paths, HOME and the XDG
//! folders of the agent home, the managed CLIs in front of PATH, and the verdicts.
//!
//! Secret are: every setting of kind secret (`UI_BASIC_AUTH_PASSWORD`, the OAuth client secrets), its `NAME_FILE` twin, and any
//! other name of our own prefixes (`SKILL_INIT_`, `SKILL_RUNNER_`, `UI_`) that ends with `_PASSWORD`, `_SECRET` or `_TOKEN`
//! (with or without `_FILE`). A service gets those it names. Other people's variables (`OPENAI_API_KEY`, `DB_PASSWORD`) are
//! the agents' own credentials and pass through.
#![forbid(unsafe_code)]

use crate::{
    layout::{Layout, Mode},
    settings::{Kind, Secret, Settings, keys, service::ServiceSpec},
};
use std::{collections::BTreeMap, path::Path};

/// An environment as a value.
pub type Variables = BTreeMap<String, String>;

/// What the probe and the plan decided and the children are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// `LANDLOCK_ENABLED` (`plan::landlock`).
    pub landlock: bool,
    /// `Concurrency::environment`.
    pub concurrency: Vec<(&'static str, String)>,
}

/// Debian's default, where PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Meant for this process by whoever started it (sd_notify(3), sd_listen_fds(3)); a child that believed them would talk to the wrong
/// socket.
const OF_THE_MANAGER: &[&str] =
    &["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "MAINPID"];

/// Our own names that look like secrets.
const OUR_PREFIXES: &[&str] = &["SKILL_INIT_", "SKILL_RUNNER_", "UI_"];
const SECRET_ENDINGS: &[&str] = &["_PASSWORD", "_SECRET", "_TOKEN"];

/// Is this the name of a secret that only named services get?
pub fn is_secret(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    keys::ALL.iter().any(|spec| spec.kind == Kind::Secret && spec.env == plain)
        || (OUR_PREFIXES.iter().any(|prefix| plain.starts_with(prefix))
            && SECRET_ENDINGS.iter().any(|ending| plain.ends_with(ending)))
}

/// The environment that every child starts from.
pub fn base(parent: &Variables, layout: &Layout, settings: &Settings, verdicts: &Verdicts) -> Variables {
    let mut out: Variables = parent
        .iter()
        .filter(|(name, _)| !is_secret(name) && !OF_THE_MANAGER.contains(&name.as_str()) && !is_npm_folder(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // What the file sets for the worker reaches it as if the environment had set it.
    out.extend(settings.exports().filter(|(name, _)| !is_secret(name)).map(|(name, value)| (name.to_owned(), value)));

    let mode = match layout.mode {
        Mode::Container => "container",
        Mode::Local(_) => "local",
    };
    out.insert(keys::RUNTIME_MODE.spec.env.to_owned(), mode.to_owned());
    let home = &layout.agent_home;
    let npm_cache = npm_cache(parent, layout);
    for (name, path) in [
        (keys::DATA_DIR.spec.env, layout.data.as_path()),
        (keys::APP_DIR.spec.env, &layout.app),
        (keys::SKILLS_DIR.spec.env, &layout.skills),
        (keys::IMPORT_DIR.spec.env, &layout.import),
        (keys::AGENT_CACHE_DIR.spec.env, &layout.cache),
        (keys::AGENT_HOME.spec.env, home),
        (keys::NPM_PREFIX.spec.env, &layout.npm_prefix),
        (keys::NPM_CONFIG_PREFIX.spec.env, &layout.npm_prefix),
        (keys::UV_CACHE_DIR.spec.env, &layout.uv_cache),
        (keys::UV_PROJECT_ENVIRONMENT.spec.env, &layout.uv_venv),
        ("XDG_CONFIG_HOME", &home.join(".config")),
        ("XDG_DATA_HOME", &home.join(".local/share")),
        ("XDG_STATE_HOME", &home.join(".local/state")),
        ("XDG_CACHE_HOME", &home.join(".cache")),
        ("HOME", home),
        ("ZDOTDIR", home),
        ("NPM_CONFIG_CACHE", Path::new(&npm_cache)),
    ] {
        out.insert(name.to_owned(), path.display().to_string());
    }
    out.insert("PATH".to_owned(), path(parent.get("PATH").map(String::as_str), layout));
    out.insert(keys::LANDLOCK_ENABLED.spec.env.to_owned(), if verdicts.landlock { "1" } else { "0" }.to_owned());
    out.extend(verdicts.concurrency.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    out
}

/// The base, the service's own variables, and the secrets that it names (which nothing else can bring in).
pub fn for_service(base: &Variables, spec: &ServiceSpec, secrets: &BTreeMap<String, Secret<String>>) -> Variables {
    let mut out = base.clone();
    out.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    for name in &spec.secrets {
        if let Some(secret) = secrets.get(name) {
            out.insert(name.clone(), secret.expose().clone());
        }
    }
    out
}

/// Every secret that is known, by name: those of the settings (also from `NAME_FILE`), and of the parent those that look like ours.
pub fn secrets(parent: &Variables, settings: &Settings) -> BTreeMap<String, Secret<String>> {
    let of_parent = parent
        .iter()
        .filter(|(name, value)| is_secret(name) && !name.ends_with("_FILE") && !value.is_empty())
        .map(|(name, value)| (name.clone(), Secret::new(value.clone())));
    let mut all: BTreeMap<_, _> = of_parent.collect();
    all.extend(settings.secrets().map(|(name, secret)| (name.to_owned(), secret)));
    all
}

/// The managed CLIs first; not twice, however often an environment was handed on.
fn path(parent: Option<&str>, layout: &Layout) -> String {
    let prefix = layout.npm_prefix.display().to_string();
    let managed = [format!("{prefix}/bin"), prefix];
    let old = parent.filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
    let rest = old.split(':').filter(|dir| !managed.iter().any(|m| m == dir)).map(str::to_owned);
    managed.iter().cloned().chain(rest).collect::<Vec<_>>().join(":")
}

/// npm reads `npm_config_*` in any case, so every spelling of the two folders is taken out before ours is set.
fn is_npm_folder(name: &str) -> bool {
    name.eq_ignore_ascii_case("npm_config_prefix") || name.eq_ignore_ascii_case("npm_config_cache")
}

/// The operator's folder, else one on the cache volume: the default would be in the agent home, next to the credentials.
fn npm_cache(parent: &Variables, layout: &Layout) -> String {
    let own = parent.iter().find(|(name, value)| name.eq_ignore_ascii_case("npm_config_cache") && !value.is_empty());
    own.map_or_else(|| layout.cache.join("npm-cache").display().to_string(), |(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Environment;
    use proptest::prelude::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn setting(parent: &Variables) -> (Settings, Layout) {
        let settings = Settings::load(&Environment(parent.clone())).unwrap();
        let layout = Layout::new(&settings, Mode::Container);
        (settings, layout)
    }

    fn base_of(parent: &Variables) -> Variables {
        let (settings, layout) = setting(parent);
        let verdicts = Verdicts { landlock: true, concurrency: vec![("SKILL_RUNNER_MAX_CONCURRENT", "3".to_owned())] };
        base(parent, &layout, &settings, &verdicts)
    }

    #[test]
    fn a_child_gets_the_contracts_variables_from_an_empty_environment() {
        let child = base_of(&Variables::new());
        let want = variables(&[
            ("SKILL_RUNNER_RUNTIME_MODE", "container"),
            ("SKILL_RUNNER_DATA_DIR", "/data"),
            ("SKILL_INIT_APP_DIR", "/app"),
            ("SKILL_RUNNER_SKILLS_DIR", "/app/skills"),
            ("SKILL_INIT_IMPORT_DIR", "/opt/config"),
            ("SKILL_RUNNER_AGENT_CACHE_DIR", "/opt/cache/skill-runner"),
            ("SKILL_RUNNER_AGENT_HOME", "/opt/cache/skill-runner/agent-home"),
            ("SKILL_RUNNER_NPM_PREFIX", "/opt/cache/skill-runner/npm"),
            ("NPM_CONFIG_PREFIX", "/opt/cache/skill-runner/npm"),
            ("NPM_CONFIG_CACHE", "/opt/cache/skill-runner/npm-cache"),
            ("UV_CACHE_DIR", "/opt/cache/skill-runner/uv_cache"),
            ("UV_PROJECT_ENVIRONMENT", "/opt/cache/skill-runner/uv_venv"),
            ("HOME", "/opt/cache/skill-runner/agent-home"),
            ("ZDOTDIR", "/opt/cache/skill-runner/agent-home"),
            ("XDG_CONFIG_HOME", "/opt/cache/skill-runner/agent-home/.config"),
            ("XDG_DATA_HOME", "/opt/cache/skill-runner/agent-home/.local/share"),
            ("XDG_STATE_HOME", "/opt/cache/skill-runner/agent-home/.local/state"),
            ("XDG_CACHE_HOME", "/opt/cache/skill-runner/agent-home/.cache"),
            ("LANDLOCK_ENABLED", "1"),
            ("SKILL_RUNNER_MAX_CONCURRENT", "3"),
            (
                "PATH",
                "/opt/cache/skill-runner/npm/bin:/opt/cache/skill-runner/npm:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
        ]);
        assert_eq!(child, want);
    }

    #[test]
    fn secrets_reach_only_the_service_that_names_them() {
        let parent = variables(&[
            ("UI_BASIC_AUTH_PASSWORD", "hunter2"),
            ("SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET", "s1"),
            ("SKILL_RUNNER_LATER_TOKEN", "s2"),
            ("OPENAI_API_KEY", "theirs"),
            ("DB_PASSWORD", "theirs"),
            ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ]);
        let (settings, _) = setting(&parent);
        let child = base_of(&parent);
        for name in [
            "UI_BASIC_AUTH_PASSWORD",
            "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET",
            "SKILL_RUNNER_LATER_TOKEN",
            "NOTIFY_SOCKET",
        ] {
            assert!(!child.contains_key(name), "{name}");
        }
        assert_eq!((child["OPENAI_API_KEY"].as_str(), child["DB_PASSWORD"].as_str()), ("theirs", "theirs"));

        let secrets = secrets(&parent, &settings);
        assert_eq!(secrets.len(), 3);
        let mut spec = ServiceSpec::new("api", Vec::new(), &crate::settings::Defaults::of(&settings));
        spec.secrets = vec!["UI_BASIC_AUTH_PASSWORD".to_owned(), "NOT_SET".to_owned()];
        spec.env = variables(&[("LANG", "C.UTF-8"), ("HOME", "/elsewhere")]);
        let api = for_service(&child, &spec, &secrets);
        assert_eq!(api["UI_BASIC_AUTH_PASSWORD"], "hunter2");
        assert_eq!((api["LANG"].as_str(), api["HOME"].as_str()), ("C.UTF-8", "/elsewhere"));
        assert!(!api.contains_key("SKILL_RUNNER_LATER_TOKEN") && !api.contains_key("NOT_SET"));
    }

    #[test]
    fn every_spelling_of_npms_folders_is_replaced_and_the_operators_cache_kept() {
        let child = base_of(&variables(&[
            ("npm_config_prefix", "/usr/local"),
            ("npm_config_cache", "/var/npm"),
            ("npm_config_registry", "r"),
        ]));
        assert_eq!(child["NPM_CONFIG_CACHE"], "/var/npm");
        assert_eq!(child["npm_config_registry"], "r");
        assert!(!child.contains_key("npm_config_prefix") && !child.contains_key("npm_config_cache"));
    }

    #[test]
    fn file_twins_of_secrets_are_secret_too() {
        for name in ["UI_BASIC_AUTH_PASSWORD", "UI_BASIC_AUTH_PASSWORD_FILE", "SKILL_INIT_X_TOKEN_FILE"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["UI_BASIC_AUTH_USERNAME", "GITHUB_TOKEN", "SKILL_RUNNER_DATA_DIR", "LOG_FILE", "PATH"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn handing_it_on_twice_changes_nothing(names in proptest::collection::btree_map("[A-Z]{1,6}", "[a-z/:]{0,12}", 0..8)) {
            // A name of ours (`PORT`) with such a value is a mistake of the settings, which come first.
            prop_assume!(Settings::load(&Environment(names.clone())).is_ok());
            let once = base_of(&names);
            prop_assert_eq!(base_of(&once), once);
        }

        #[test]
        fn no_secret_of_ours_is_ever_in_the_base(
            middle in "[A-Z_]{0,10}", prefix in 0..3_usize, ending in 0..3_usize, value in "[a-z]{1,8}",
        ) {
            let name = format!("{}{middle}{}", OUR_PREFIXES[prefix], SECRET_ENDINGS[ending]);
            // An unknown name of ours is a mistake of the settings, so they are loaded without it.
            let (settings, layout) = setting(&Variables::new());
            let child = base(&variables(&[(&name, &value)]), &layout, &settings, &Verdicts::default());
            prop_assert!(!child.contains_key(&name));
        }
    }
}
