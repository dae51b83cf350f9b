//! The settings as their users meet them: environment and file in, values or every mistake out.

mod services;

use super::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

const FILE: &str = "/etc/skill-init/init.toml";

fn env(pairs: &[(&str, &str)]) -> Environment {
    Environment(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

fn files(pairs: &[(&str, &str)]) -> MapFiles {
    MapFiles(pairs.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
}

fn load(pairs: &[(&str, &str)], toml: &str) -> Result<Settings, Mistakes> {
    Settings::load_from(&env(pairs), &files(&[(FILE, toml)]))
}

/// The mistakes of a file, as printed.
fn wrong(toml: &str) -> Vec<String> {
    load(&[], toml).expect_err("has mistakes").0.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn expect(mistakes: &[String], needles: &[&str]) {
    for needle in needles {
        assert!(mistakes.iter().any(|m| m.contains(needle)), "no mistake says {needle:?}:\n{}", mistakes.join("\n"));
    }
    assert_eq!(mistakes.len(), needles.len(), "{}", mistakes.join("\n"));
}

#[test]
fn a_stop_signal_is_one_that_can_end_a_process() {
    for signal in ["STOP", "CONT", "19"] {
        let toml = format!("[service.a]\ncommand = [\"x\"]\nstop_signal = \"{signal}\"\n");
        expect(&wrong(&toml), &["ends no process; use TERM, INT or QUIT"]);
    }
    load(&[], "[service.a]\ncommand = [\"x\"]\nstop_signal = \"RTMIN+3\"\n").unwrap();
}

#[test]
fn every_default_parses_and_survives_the_way_to_text_and_back() {
    let settings = Settings::load(&Environment::default()).unwrap();
    for spec in keys::ALL {
        let (value, origin) = settings.lookup(spec).unwrap();
        assert_eq!(*origin, Origin::Default, "{}", spec.env);
        assert_eq!(spec.default.is_some(), *value != Value::Unset, "{}", spec.env);
        if let Some(text) = value.text() {
            let again = Settings::load(&env(&[(spec.env, &text)]));
            let again = match spec.env {
                "SKILL_INIT_CONFIG" => continue,
                _ => again.unwrap(),
            };
            assert_eq!(again.lookup(spec).unwrap().0, *value, "{}", spec.env);
        }
    }
}

#[test]
fn the_registry_has_no_name_twice_and_every_entry_has_help() {
    let mut seen = std::collections::BTreeSet::new();
    for spec in keys::ALL {
        assert!(seen.insert(spec.env), "{} twice", spec.env);
        assert!(seen.insert(spec.key), "{} twice", spec.key);
        assert!(spec.key.split('.').count() == 2, "{} is not SECTION.NAME", spec.key);
        assert!(!spec.help.is_empty() && !spec.help.ends_with('.'), "{}: help is a fragment", spec.env);
    }
}

#[test]
fn environment_wins_over_file_wins_over_default_and_each_keeps_its_origin() {
    let toml = "[start]\nport = 9000\nhost = \"127.0.0.1\"\n";
    let settings = load(&[("PORT", "9813"), ("SKILL_INIT_LOG", "")], toml).unwrap();
    assert_eq!(
        (settings.get(&keys::API_PORT), settings.origin(&keys::API_PORT)),
        (9813, Origin::Env("PORT".to_owned()))
    );
    assert_eq!(settings.origin(&keys::API_HOST), Origin::File { line: 3 });
    assert_eq!(settings.origin(&keys::LOG), Origin::Default, "an empty string counts as unset");
    let exports: BTreeMap<_, _> = settings.exports().collect();
    assert_eq!(exports, BTreeMap::from([("SKILL_INIT_API_HOST", "127.0.0.1".to_owned())]));
}

#[test]
fn toml_types_and_the_environments_spelling_are_both_understood() {
    let toml = "[concurrency]\ncpu_factor = 1\nhard_cap = \"3\"\n[supervise]\nstop_grace = 2.5\ntick = \"1m\"\n\
                [agents]\nengines = [\"codex\", \"gemini\"]\n[start]\nuser = 10001\napi_command = [\"/bin/x\", \"a b\"]\n";
    let settings = load(&[], toml).unwrap();
    assert_eq!(settings.get(&keys::CPU_FACTOR), 1.0);
    assert_eq!(settings.get(&keys::HARD_CAP), 3);
    assert_eq!(settings.get(&keys::STOP_GRACE), Duration::from_millis(2500));
    assert_eq!(settings.get(&keys::TICK), Duration::from_secs(60));
    assert_eq!(settings.get(&keys::ENGINES), ["codex", "gemini"]);
    assert_eq!(settings.get(&keys::USER), "10001");
    assert_eq!(words(&settings.get(&keys::API_COMMAND)).unwrap(), ["/bin/x", "a b"]);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let pairs = [
        ("UI_BASIC_AUTH_ENABLED", "enabled"),
        ("PORT", "eight"),
        ("SKILL_RUNNER_MEM_RESERVE_MB", "-1"),
        ("SKILL_INIT_STOP_GRAC", "8s"),
        ("SKILL_RUNNER_DATA_DIR", "data"),
    ];
    let toml = "[ui]\npasswrd = \"x\"\n[starts]\nport = 1\n[supervise]\ntick = true\n";
    let mistakes: Vec<String> = load(&pairs, toml).unwrap_err().0.iter().map(ToString::to_string).collect();
    expect(
        &mistakes,
        &[
            "init.toml:2: unknown key `ui.passwrd`; did you mean `ui.password`?",
            "init.toml:3: unknown table `[starts]`; did you mean `[start]`?",
            "init.toml:6: `supervise.tick` takes a span of time",
            "env UI_BASIC_AUTH_ENABLED: \"enabled\" is not a boolean; use true or false",
            "env PORT: \"eight\" is not a whole number from 1 to 65535",
            "env SKILL_RUNNER_MEM_RESERVE_MB: -1 is out of range",
            "env SKILL_RUNNER_DATA_DIR: \"data\" is a relative path",
            "env SKILL_INIT_STOP_GRAC: is not a setting; did you mean SKILL_INIT_STOP_GRACE?",
        ],
    );
}

#[test]
fn ui_auth_needs_user_and_password_and_says_so_for_each() {
    let on = ("UI_BASIC_AUTH_ENABLED", "true");
    assert_eq!(load(&[on], "").unwrap_err().0.len(), 2);
    assert_eq!(load(&[on, ("UI_BASIC_AUTH_USERNAME", "a")], "").unwrap_err().0.len(), 1);
    let settings = load(&[on, ("UI_BASIC_AUTH_USERNAME", "ä")], "[ui]\npassword = \"p:ä\"\n").unwrap();
    assert_eq!(settings.get_opt(&keys::AUTH_PASSWORD).unwrap().expose(), "p:ä");
    let colon = [on, ("UI_BASIC_AUTH_USERNAME", "a:b"), ("UI_BASIC_AUTH_PASSWORD", "p")];
    assert!(load(&colon, "").unwrap_err().0[0].message.contains("colon"));
}

#[test]
fn a_password_without_auth_is_a_warning() {
    let settings = load(&[("UI_BASIC_AUTH_PASSWORD", "p")], "").unwrap();
    assert!(settings.warnings[0].message.contains("nothing is protected"));
}

/// A file system where nothing is for this user.
struct Closed;

impl Files for Closed {
    fn read(&self, _path: &std::path::Path, _limit: u64) -> Result<Vec<u8>, FileProblem> {
        Err(FileProblem::Denied)
    }
    fn mode(&self, _path: &std::path::Path) -> Option<u32> {
        None
    }
}

#[test]
fn a_child_may_miss_the_secrets_that_are_not_its_own() {
    let auth = [("UI_BASIC_AUTH_ENABLED", "true"), ("UI_BASIC_AUTH_USERNAME", "a"), ("SKILL_INIT_SERVICE", "agents")];
    assert!(load(&auth, "").is_ok());
    assert!(load(&auth[..2], "").is_err());
    let file = [("UI_BASIC_AUTH_PASSWORD_FILE", "/run/s"), ("SKILL_INIT_SERVICE", "agents")];
    let settings = Settings::load_from(&env(&file), &Closed).unwrap();
    assert_eq!(settings.get_opt(&keys::AUTH_PASSWORD), None);
    let mistakes = Settings::load_from(&env(&file[..1]), &Closed).unwrap_err();
    assert_eq!(mistakes.0.len(), 2, "the configuration file and the secret are closed: {mistakes:?}");
}

#[test]
fn a_tolerant_load_keeps_what_is_right() {
    let files = files(&[(FILE, "[paths]\nsocket = \"/run/x.sock\"\n[ui]\nx = 1\n")]);
    let settings = Settings::load_tolerant(&env(&[("PORT", "x")]), &files);
    assert_eq!(settings.get_opt(&keys::SOCKET), Some(PathBuf::from("/run/x.sock")));
    assert_eq!(settings.warnings.len(), 2);
}

#[test]
fn a_secret_file_loses_one_line_end_and_nothing_else() {
    let name = "UI_BASIC_AUTH_PASSWORD_FILE";
    for (content, secret) in [("p\n", "p"), ("p\r\n", "p"), (" p \n\n", " p \n"), ("p", "p")] {
        let settings = Settings::load_from(&env(&[(name, "/run/s")]), &files(&[("/run/s", content)])).unwrap();
        assert_eq!(settings.get_opt(&keys::AUTH_PASSWORD).unwrap().expose(), secret);
        assert_eq!(settings.origin(&keys::AUTH_PASSWORD), Origin::Env(name.to_owned()));
        assert!(!format!("{settings:?}").contains("\" p \\n"), "Debug shows no secret");
        assert_eq!(settings.exports().count(), 0, "a secret is exported to nobody");
        assert_eq!(settings.secrets().count(), 1);
    }
}

#[test]
fn secret_files_that_cannot_be_used_are_mistakes() {
    let (name, big) = ("UI_BASIC_AUTH_PASSWORD_FILE", "x".repeat(65 * 1024));
    for (path, content, needle) in [
        ("/none", "", "no such file"),
        ("s", "", "relative"),
        ("/run/s", "\n", "empty"),
        ("/run/s", big.as_str(), "larger than 65536"),
        ("/run/s", "a\0b", "NUL"),
    ] {
        let mistakes = Settings::load_from(&env(&[(name, path)]), &files(&[("/run/s", content)])).unwrap_err();
        assert!(mistakes.0[0].message.contains(needle), "{needle}: {mistakes:?}");
        assert_eq!(mistakes.0[0].place, format!("env {name}"));
    }
    let both = [(name, "/run/s"), ("UI_BASIC_AUTH_PASSWORD", "p")];
    let mistakes = Settings::load_from(&env(&both), &files(&[("/run/s", "p")])).unwrap_err();
    assert!(mistakes.0[0].message.contains("only one"), "{mistakes:?}");
    expect(
        &wrong("[ui]\npassword = \"a\"\npassword_file = \"/x\"\n"),
        &["`ui.password` and `ui.password_file` are both set"],
    );
}

#[test]
fn a_missing_named_file_is_a_mistake_and_a_missing_default_file_is_not() {
    assert!(Settings::load_from(&Environment::default(), &NoFiles).is_ok());
    let mistakes = Settings::load_from(&env(&[("SKILL_INIT_CONFIG", "/x.toml")]), &NoFiles).unwrap_err();
    assert_eq!(
        mistakes.0[0].to_string(),
        "env SKILL_INIT_CONFIG: cannot read the configuration file /x.toml: there is no such file"
    );
    let relative = Settings::load_from(&env(&[("SKILL_INIT_CONFIG", "x.toml")]), &NoFiles).unwrap_err();
    assert_eq!(relative.0.len(), 1, "{relative:?}");
}

#[test]
fn ports_clash_only_where_both_are_used() {
    let same = [("PORT", "7681")];
    let mistakes = load(&same, "").unwrap_err();
    assert!(
        mistakes.0[0].to_string().starts_with("env PORT: port 7681 is taken by UI_SHELL_TTYD_PORT"),
        "{mistakes:?}"
    );
    assert!(load(&[("PORT", "7681"), ("SKILL_INIT_TTYD", "off")], "").is_ok());
    assert!(load(&[("SKILL_INIT_HTTP_ADDR", "127.0.0.1:8000")], "").is_err(), "0.0.0.0 takes every address");
    let two = [("SKILL_INIT_HTTP_ADDR", "127.0.0.1:8000"), ("SKILL_INIT_API_HOST", "127.0.0.2")];
    assert!(load(&two, "").is_ok());
}

#[test]
fn times_that_do_not_fit_together_are_mistakes() {
    for pairs in [
        [("SKILL_INIT_DRAIN", "8s"), ("SKILL_INIT_STOP_GRACE", "8s")],
        [("SKILL_INIT_BACKOFF", "2m"), ("SKILL_INIT_BACKOFF_MAX", "1m")],
        [("SKILL_INIT_BUDGET_WARN", "96"), ("SKILL_INIT_BUDGET_UNREADY", "95")],
        [("SKILL_INIT_STOP_GRACE", "0"), ("SKILL_INIT_DRAIN", "0")],
        [("SKILL_INIT_ENGINES", "codex codex"), ("SKILL_INIT_DRAIN", "0")],
        [("SKILL_INIT_ENGINES", "all,codex"), ("SKILL_INIT_DRAIN", "0")],
    ] {
        assert_eq!(load(&pairs, "").unwrap_err().0.len(), 1, "{pairs:?}");
    }
}

/// A variable that the code reads or sets and the registry does not know would stop the container with exit 78.
#[test]
fn every_variable_of_our_name_space_in_the_source_is_registered() {
    fn walk(dir: &std::path::Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("src/settings") {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                for part in product.split("\"SKILL_INIT_").skip(1) {
                    let tail: String = part
                        .chars()
                        .take_while(|c| c.is_ascii_uppercase() || *c == '_' || c.is_ascii_digit())
                        .collect();
                    if !tail.is_empty() && part.get(tail.len()..).is_some_and(|rest| rest.starts_with('"')) {
                        found.push((path.clone(), format!("SKILL_INIT_{tail}")));
                    }
                }
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    walk(&root.join("api/src"), &mut found);
    assert!(!found.is_empty(), "the search finds something");
    for (path, name) in found {
        let known = keys::ALL.iter().any(|spec| spec.env == name) || keys::EXPORTED.contains(&name.as_str());
        assert!(known, "{}: {name} is neither in settings::keys nor in keys::EXPORTED", path.display());
    }
}

/// Names near the real ones, so that random environments reach the code behind them.
fn name() -> impl Strategy<Value = String> {
    let known: Vec<String> =
        keys::ALL.iter().flat_map(|spec| [spec.env.to_owned(), format!("{}_FILE", spec.env)]).collect();
    prop_oneof![proptest::sample::select(known), "SKILL_(INIT|RUNNER)_[A-Z_0-9]{0,12}", ".{0,12}"]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9]{1,20}", "(true|false|on|0|1)", "/[a-z]{0,4}", "[0-9.]{0,6}(ms|s|m|h)", "\\PC{0,20}", ".{0,20}"]
}

/// TOML that often parses: real section and field names with arbitrary values.
fn toml_text() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        FIELDS.iter().chain(PROBE_FIELDS).map(|f| f.name.to_owned()).chain(["x".to_owned()]).collect();
    let value = prop_oneof![
        Just("true".to_owned()),
        "-?[0-9]{1,18}",
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        Just("[\"a\", \"b\"]".to_owned()),
        Just("[1, {}]".to_owned()),
        Just("{ nofile = 1, http = \"http://127.0.0.1/\" }".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("inf".to_owned()),
    ];
    let line = (proptest::sample::select(names), value).prop_map(|(name, value)| format!("{name} = {value}\n"));
    let head = prop_oneof![
        "\\[service\\.(api|a|b)(\\.readiness|\\.liveness|\\.limits)?\\]\n",
        "\\[(ui|start|paths|supervise)\\]\n",
    ];
    proptest::collection::vec((head, proptest::collection::vec(line, 0..6)), 0..5)
        .prop_map(|tables| tables.into_iter().map(|(head, lines)| head + &lines.concat()).collect())
}

proptest! {
    #[test]
    fn no_environment_makes_loading_panic(pairs in proptest::collection::btree_map(name(), value(), 0..12)) {
        let _ = Settings::load_from(&Environment(pairs), &files(&[("/", "x")]));
    }

    #[test]
    fn no_bytes_in_the_file_make_loading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Settings::load_from(&Environment::default(), &MapFiles([(PathBuf::from(FILE), bytes)].into()));
    }

    #[test]
    fn what_loads_can_be_shown_and_loaded_again(toml in toml_text(), pairs in proptest::collection::btree_map(name(), value(), 0..3)) {
        if let Ok(settings) = Settings::load_from(&Environment(pairs), &files(&[(FILE, &toml)])) {
            // A value that was accepted is accepted again in its printed form.
            for spec in keys::ALL {
                let (value, _) = settings.lookup(spec).unwrap();
                if let Some(text) = value.text() {
                    let again = parse::parse(spec.kind, &text);
                    prop_assert_eq!(again.as_ref(), Ok(value), "{}", spec.env);
                }
            }
        }
    }

    #[test]
    fn every_mistake_names_a_place(toml in toml_text()) {
        if let Err(mistakes) = load(&[], &toml) {
            for mistake in mistakes.0 {
                prop_assert!(mistake.place.contains(':') || mistake.place.starts_with("env "), "{}", mistake);
                prop_assert!(!mistake.place.ends_with(":0"));
            }
        }
    }
}
