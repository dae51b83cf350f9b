//! A secret in every place that a support bundle could read, each with a name of its own: none is in any byte of the bundle,
//! plain or in base64, nor in what `doctor`, `config`, `plan`, `status` and `probe` print.

use crate::fixture::Init;
use std::{cell::Cell, collections::BTreeMap, fs, path::Path, process::Command};

/// A service that tells its status, one whose arguments are secrets, and one that cannot start.
const CONFIG: &str = r#"
[service.talker]
command = ["perl", "-MSocket", "notify.pl"]
cwd = "@DIR@"
env = { TALKER_TOKEN = "PLANT-of-the-service" }
secrets = ["UI_BASIC_AUTH_PASSWORD"]
readiness = { notify = true }

[service.args]
command = ["sh", "-c", "exec sleep 1000", "x", "--password", "PLANT-of-an-argument", "--api-key=PLANT-of-an-option", "http://me:PLANT-of-an-address@127.0.0.1/", "Authorization: Bearer PLANT-of-a-header"]
liveness = { exec = ["true", "--token", "PLANT-of-a-probe"], interval = "1h" }

[service.wrong]
command = ["/nonexistent/program", "--secret", "PLANT-of-a-failure"]
restart = "never"
"#;

/// Says that it is ready, and quotes what it was given.
const NOTIFY: &str = r#"
my $words = "STATUS=logged in with $ENV{OPENAI_API_KEY} and $ENV{TALKER_TOKEN}, "
    . "Authorization: Basic dXNlcjpQTEFOVC1iYXNpYw==";
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
send($s, "$words\nREADY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!;
sleep 1000;
"#;

/// Credentials of each engine, in the agent home and to import.
const CREDENTIALS: &[(&str, &str)] = &[
    ("cache/agent-home/.codex/auth.json", r#"{"OPENAI_API_KEY": null, "tokens": {"refresh_token": "PLANT-codex"}}"#),
    ("cache/agent-home/.gemini/oauth_creds.json", r#"{"refresh_token": "PLANT-gemini", "expiry_date": 1}"#),
    ("cache/agent-home/.iflow/oauth_creds.json", r#"{"access_token": "PLANT-iflow"}"#),
    ("cache/agent-home/.iflow/iflow_accounts.json", r#"{"iflowApiKey": "PLANT-iflow-key"}"#),
    ("cache/agent-home/.local/share/opencode/auth.json", r#"{"p": {"type": "api", "key": "PLANT-opencode"}}"#),
    (
        "cache/agent-home/.config/opencode/antigravity-accounts.json",
        r#"{"version": 4, "accounts": [{"refreshToken": "PLANT-antigravity"}], "activeIndex": 0}"#,
    ),
    ("import/codex/auth.json", r#"{"OPENAI_API_KEY": "PLANT-import"}"#),
    ("cache/agent-home/.npmrc", "//registry.npmjs.org/:_authToken=PLANT-npmrc\n"),
    ("cache/npm/etc/npmrc", "//registry.npmjs.org/:_authToken=PLANT-npmrc-global\n"),
    ("secret-of-a-file", "PLANT-of-the-file\n"),
];

/// What earlier commands wrote, with the words of CLIs and of npm.
const REPORTS: &[(&str, &str)] = &[
    (
        "data/agent_status.json",
        r#"{"codex": {"present": false, "version": "", "reason": "Error: bad key PLANT-env and PLANT-codex"}}"#,
    ),
    ("data/agent_auth_status.json", r#"{"codex": {"auth_ready": false, "note": "token: PLANT-in-a-note"}}"#),
    (
        "data/bootstrap_report.json",
        r#"{"steps": [{"path": "/x", "outcome": "failed", "detail": "said PLANT-import", "need": "best_effort", "mend": "run --password PLANT-mend"}]}"#,
    ),
];

/// A CLI that prints what it was given where its version belongs.
const CLI: &str = "#!/bin/sh\necho \"bad key $OPENAI_API_KEY, refresh PLANT-gemini\" >&2\nexit 1\n";

fn environment(dir: &Path) -> BTreeMap<&'static str, String> {
    let path = |name: &str| dir.join(name).display().to_string();
    BTreeMap::from([
        ("SKILL_RUNNER_DATA_DIR", path("data")),
        ("SKILL_RUNNER_AGENT_CACHE_DIR", path("cache")),
        ("SKILL_INIT_IMPORT_DIR", path("import")),
        ("SKILL_INIT_ENGINES", "codex,gemini".to_owned()),
        ("SKILL_INIT_CHECK_TIMEOUT", "10m".to_owned()),
        ("SKILL_INIT_API_COMMAND", "worker --token PLANT-of-the-setting".to_owned()),
        ("UI_BASIC_AUTH_ENABLED", "true".to_owned()),
        ("UI_BASIC_AUTH_USERNAME", "admin".to_owned()),
        ("UI_BASIC_AUTH_PASSWORD", "PLANT-password".to_owned()),
        ("SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET", "PLANT-client".to_owned()),
        ("SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_SECRET_FILE", path("secret-of-a-file")),
        ("OPENAI_API_KEY", "PLANT-env".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "PLANT-aws".to_owned()),
        ("NPM_TOKEN", "PLANT-npm".to_owned()),
        ("DATABASE_URL", "postgres://me:PLANT-database@db/x".to_owned()),
        ("HTTPS_PROXY", "http://me:PLANT-proxy@127.0.0.1:1".to_owned()),
    ])
}

fn plant(dir: &Path, path: &str, content: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// The bytes say a secret, in plain words or in base64 at any of its three alignments.
fn says_a_secret(text: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    // What stands before moves the bits; only the characters that PLANT alone decides are looked for.
    let forms = [(0, 0, 6), (1, 2, 6), (2, 3, 7)].map(|(before, from, to)| {
        let encoded = STANDARD_NO_PAD.encode([&b"\0\0"[..before], b"PLANT-"].concat());
        encoded[from..to.min(encoded.len())].to_owned()
    });
    std::iter::once("PLANT".to_owned()).chain(forms).find(|form| text.contains(form.as_str()))
}

#[test]
fn no_byte_of_a_bundle_and_no_output_has_a_secret() {
    let seed = tempfile::tempdir().unwrap();
    let dir = seed.path().to_path_buf();
    CREDENTIALS.iter().for_each(|(path, content)| plant(&dir, path, content));
    for name in ["codex", "gemini"] {
        use std::os::unix::fs::PermissionsExt;
        let path = format!("cache/npm/bin/{name}");
        plant(&dir, &path, CLI);
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(dir.join("notify.pl"), NOTIFY).unwrap();
    let env = environment(&dir);
    let pairs: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut init = Init::start_with(&CONFIG.replace("@DIR@", &dir.display().to_string()), &pairs);
    // In whatever order they come.
    let awaited = Cell::new(3);
    init.log(|line| {
        let is = |service: &str, state: &str| line["service"] == service && line["to"] == state;
        if is("talker", "ready") || is("wrong", "failed") || is("agents", "done") {
            awaited.set(awaited.get() - 1);
        }
        awaited.get() == 0
    });
    REPORTS.iter().for_each(|(path, content)| plant(&dir, path, content));

    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skill-init"));
        command.args(args).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(&env);
        command
            .env("SKILL_INIT_CONFIG", init.path("init.toml"))
            .env("SKILL_INIT_SOCKET", init.path("run/control.sock"));
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{args:?}: {output:?}");
        crate::world::words(&output)
    };
    let bundle = dir.join("bundle.json").display().to_string();
    let mut told = Vec::new();
    for args in [
        &["doctor", "--bundle", &bundle][..],
        &["doctor", "--bundle", "-"],
        &["doctor", "--json"],
        &["doctor", "--all"],
        &["config", "--json"],
        &["config"],
        &["plan", "--json"],
        &["plan"],
        &["status", "--json"],
        &["status"],
        &["probe", "--json"],
        &["probe"],
    ] {
        told.push((args.join(" "), run(args)));
    }
    told.push(("the bundle".to_owned(), fs::read_to_string(&bundle).unwrap()));
    for (what, text) in &told {
        assert_eq!(says_a_secret(text), None, "{what} says a secret:\n{text}");
    }
    // What they are about is there all the same.
    let (_, bundle) = told.last().unwrap();
    for word in ["talker", "[redacted]", "bad key", "OPENAI_API_KEY", "concurrency", "mend"] {
        assert!(bundle.contains(word), "{word} is not in {bundle}");
    }
    assert!(says_a_secret("x dXNlcjpQTEFOVC1iYXNpYw==").is_some() && says_a_secret("UExBTlQtYg").is_some());
}
