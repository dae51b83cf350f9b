//! The environment of an engine: what it needs, its own secrets, nobody else's. Pure.
//!
//! A list of what may pass, never of what may not: a secret that was invented yesterday stays out too. The operator
//! adds names with `SKILL_API_ENGINE_ENV`.

use super::process::RUN_ID;
use skill_init::{agents::environment as init, layout::Layout, settings::Environment};
use std::{collections::BTreeMap, path::Path};

/// For every engine: locale, time zone, terminal, certificates, proxies, temporary folder.
const NAMES: &[&str] = &[
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
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
    "LANDLOCK_ENABLED",
    "UV_CACHE_DIR",
    "UV_PROJECT_ENVIRONMENT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "PIP_INDEX_URL",
];

/// Builds it; `own` are the beginnings of the names that the engine's row of the table lets through.
pub(super) fn of_run(
    env: &Environment,
    layout: &Layout,
    own: &[String],
    extra: &[String],
    run_id: &str,
    run: &Path,
) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = env
        .0
        .iter()
        .filter(|(name, _)| {
            NAMES.contains(&name.as_str())
                || name.starts_with("LC_")
                || own.iter().any(|prefix| name.starts_with(prefix.as_str()))
                || extra.contains(name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let home = layout.agent_home.display().to_string();
    let mut set = |name: &str, value: String| out.insert(name.to_owned(), value);
    set("HOME", home.clone());
    set("ZDOTDIR", home.clone());
    set("XDG_CONFIG_HOME", format!("{home}/.config"));
    set("XDG_DATA_HOME", format!("{home}/.local/share"));
    set("XDG_STATE_HOME", format!("{home}/.local/state"));
    set("XDG_CACHE_HOME", format!("{home}/.cache"));
    set("PATH", init::path(env, layout));
    set("UV_CACHE_DIR", layout.uv_cache.display().to_string());
    set("UV_PROJECT_ENVIRONMENT", layout.uv_venv.display().to_string());
    set("SKILL_RUNNER_RUN_DIR", run.display().to_string());
    set(RUN_ID, run_id.to_owned());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use skill_init::{
        agents::catalogue::Catalogue,
        layout::Mode,
        settings::{Environment, Settings},
    };

    #[test]
    fn only_the_engines_own_secrets_reach_it() {
        let env = Environment(
            [
                ("UI_BASIC_AUTH_PASSWORD", "p"),
                ("SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET", "s"),
                ("AWS_SECRET_ACCESS_KEY", "a"),
                ("NPM_TOKEN", "n"),
                ("OPENAI_API_KEY", "o"),
                ("GEMINI_API_KEY", "g"),
                ("MY_PROVIDER_KEY", "m"),
                ("LC_ALL", "C.UTF-8"),
                ("PATH", "/bin"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        );
        let layout = Layout::new(&Settings::load(&Environment::default()).unwrap(), Mode::Local("/l".into()));
        let table = Catalogue::built_in();
        let own = |engine: &str| table.get(engine).unwrap().variables.clone();
        let names = |engine: &str, extra: &[String]| -> Vec<String> {
            let env = of_run(&env, &layout, &own(engine), extra, "r", Path::new("/l/r"));
            env.into_keys()
                .filter(|name| {
                    name.contains("KEY") || name.contains("PASS") || name.contains("TOKEN") || name.contains("SECRET")
                })
                .collect()
        };
        assert_eq!(names("codex", &[]), ["OPENAI_API_KEY"]);
        assert_eq!(names("gemini", &[]), ["GEMINI_API_KEY"]);
        assert_eq!(names("iflow", &["MY_PROVIDER_KEY".to_owned()]), ["MY_PROVIDER_KEY"]);
        let codex = of_run(&env, &layout, &own("codex"), &[], "r", Path::new("/l/r"));
        assert!(codex["PATH"].starts_with("/l/agent-cache/npm/bin:"), "{}", codex["PATH"]);
        assert_eq!((codex["HOME"].as_str(), codex["SKILL_RUNNER_RUN_ID"].as_str()), ("/l/agent-cache/agent-home", "r"));
    }
}
