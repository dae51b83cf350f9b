//! Planted secrets are looked for in everything that leaves: outputs, logs, reports, status files, argv and environments.

use crate::world::{World, files, words};
use std::{fs, path::Path};

/// Every secret holds this word.
const WORD: &str = "PLANTED";

/// Credentials as they are in an import folder: good ones, and some of every kind of bad.
fn plant(world: &World) {
    let write = |path: &str, text: &str| {
        let path = world.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("import/codex/auth.json", r#"{"OPENAI_API_KEY":"PLANTED-key"}"#);
    write("import/gemini/oauth_creds.json", r#"{"refresh_token": 7, "access_token": ["PLANTED-list"]}"#);
    write("import/gemini/google_accounts.json", "PLANTED, which is no JSON");
    write("import/iflow/oauth_creds.json", r#"{"access_token":"PLANTED-a","expiry_date":1}"#);
    write("import/iflow/iflow_accounts.json", r#"{"active":{"PLANTED":1},"iflowApiKey":"PLANTED-i"}"#);
    write(
        "import/opencode/auth.json",
        r#"{"openai":{"type":"oauth","refresh":"PLANTED-r"},"x":{"type":"api","key":"PLANTED-k"}}"#,
    );
    write(
        "import/opencode/antigravity-accounts.json",
        r#"{"version":4,"activeIndex":0,"accounts":[{"refreshToken":"PLANTED-t"}]}"#,
    );
    // What a CLI renewed since, and one that it broke.
    write("cache/agent-home/.codex/auth.json", r#"{"OPENAI_API_KEY":"PLANTED-newer"}"#);
    write("cache/agent-home/.local/share/opencode/auth.json", "{\"openai\": PLANTED");
}

/// Is this file one that may hold a credential, by the documented table?
fn is_credential(path: &Path) -> bool {
    let text = path.display().to_string();
    ["auth.json", "oauth_creds.json", "accounts.json"].iter().any(|name| text.contains(name))
}

#[test]
fn no_secret_leaves_by_any_output_log_report_status_or_argument() {
    let world = World::new();
    plant(&world);
    let mut told = Vec::new();
    let mut run = |args: &[&str]| {
        let mut command = world.command(args);
        for (name, value) in [
            ("UI_BASIC_AUTH_PASSWORD", "PLANTED-password"),
            ("UI_BASIC_AUTH_USERNAME", "admin"),
            ("UI_BASIC_AUTH_ENABLED", "true"),
            ("OPENAI_API_KEY", "PLANTED-env"),
            ("SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET", "PLANTED-client"),
            ("SOME_TOKEN", "PLANTED-token"),
            ("NPM_TOKEN", "PLANTED-registry"),
            ("npm_config__auth", "PLANTED-scoped"),
        ] {
            command.env(name, value);
        }
        told.push((
            args.join(" "),
            words(&command.env("SKILL_INIT_ENGINES", "codex,iflow,opencode").output().unwrap()),
        ));
    };
    for args in [
        &["plan"][..],
        &["plan", "--json"],
        &["config", "--json"],
        &["apply", "--json"],
        &["agents", "import", "--json"],
        &["agents", "import"],
        &["import", "--force", "--json"],
        &["agents", "auth"],
        &["agents", "auth", "--json"],
        &["agents", "ensure", "--json"],
        &["agents", "check", "--json"],
        &["agents", "sandbox", "--fresh", "--json"],
        &["agents", "upgrade", "codex@1.0.0", "--json"],
        &["agents", "list", "--json"],
        &["trust", "list", "codex", "--json"],
        &["doctor", "--json"],
    ] {
        run(args);
    }
    // npm fails and says everything that it knows.
    world.npm("chatty");
    run(&["agents", "upgrade", "codex"]);
    run(&["agents", "upgrade", "codex", "--json"]);

    assert!(told.last().is_some_and(|(_, text)| text.contains("[redacted]")), "npm's words do not show: {told:?}");
    for (args, text) in &told {
        assert!(!text.contains(WORD), "skill-init {args} told a secret:\n{text}");
    }
    // npm alone knows the registry's token: it needs it. What it says of it is masked (above).
    let known = fs::read_to_string(world.path("bin/environment")).unwrap();
    assert_eq!(known.matches(WORD).count(), 2, "{known}");
    fs::remove_file(world.path("bin/environment")).unwrap();
    // The programs that were started wrote down their arguments and environments.
    let heard = fs::read_to_string(world.path("bin/argv")).unwrap();
    assert!(heard.contains("npm install") && heard.contains("codex --version"), "{heard}");
    let mut looked = 0;
    for folder in ["bin", "data", "cache"] {
        for (path, content) in files(&world.path(folder)).into_iter().filter(|(path, _)| !is_credential(path)) {
            looked += 1;
            assert!(!String::from_utf8_lossy(&content).contains(WORD), "{} holds a secret", path.display());
        }
    }
    assert!(looked > 15, "only {looked} files were looked at");
    // The credentials themselves are where they belong, and only for their owner.
    let good = world.path("cache/agent-home/.codex/auth.json");
    assert!(fs::read_to_string(&good).unwrap().contains(WORD));
    for (path, _) in files(&world.path("cache")).into_iter().filter(|(path, _)| is_credential(path)) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}
