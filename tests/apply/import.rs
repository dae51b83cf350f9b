//! The credential import: which files, from what kinds of folders, and who wins.

use crate::{GEMINI, KEY, volume::Volume};
use std::os::unix::fs::symlink;

#[test]
fn only_the_documented_files_are_imported_and_always_0600() {
    let v = Volume::new();
    let good = [
        ("codex/auth.json", ".codex/auth.json", KEY),
        ("gemini/google_accounts.json", ".gemini/google_accounts.json", "{\"active\":\"a@b\",\"old\":[]}"),
        ("gemini/oauth_creds.json", ".gemini/oauth_creds.json", "{\"refresh_token\":\"r\",\"expiry_date\":1}"),
        (
            "iflow/iflow_accounts.json",
            ".iflow/iflow_accounts.json",
            "{\"active\":null,\"old\":[],\"iflowApiKey\":\"k\"}",
        ),
        ("iflow/oauth_creds.json", ".iflow/oauth_creds.json", "{\"access_token\":\"a\"}"),
        ("opencode/auth.json", ".local/share/opencode/auth.json", "{\"p\":{\"type\":\"api\",\"key\":\"k\"}}"),
        (
            "opencode/antigravity-accounts.json",
            ".config/opencode/antigravity-accounts.json",
            "{\"version\":4,\"accounts\":[],\"activeIndex\":0}",
        ),
    ];
    for (source, _, content) in good {
        v.write(&format!("import/{source}"), content);
        v.chmod(&format!("import/{source}"), 0o777);
    }
    for other in ["codex/config.toml", "gemini/settings.json", "claude/auth.json", "auth.json"] {
        v.write(&format!("import/{other}"), "{}");
    }
    v.apply(0);
    for (_, dest, content) in good {
        assert_eq!(v.home(dest), content);
        assert_eq!(v.mode(&format!("cache/agent-home/{dest}")), 0o600, "{dest}");
    }
    assert_eq!(v.home(".gemini/settings.json"), GEMINI);
    assert!(!v.read("cache/import-state.json").contains("synthetic"));
    assert_eq!(v.mode("cache/import-state.json"), 0o600);
}

#[test]
fn a_token_that_the_cli_renewed_survives_a_restart() {
    let v = Volume::new();
    v.write("import/gemini/oauth_creds.json", "{\"refresh_token\":\"old\",\"expiry_date\":1}");
    v.apply(0);
    let renewed = "{\"refresh_token\":\"new\",\"expiry_date\":2}";
    v.write("cache/agent-home/.gemini/oauth_creds.json", renewed);
    let before = v.stamps();
    v.apply(0);
    assert_eq!(v.stamps(), before);
    // Also on a volume from before this program, which remembers nothing.
    v.remove("cache/import-state.json");
    v.apply(0);
    assert_eq!(v.home(".gemini/oauth_creds.json"), renewed);
}

#[test]
fn the_loser_of_two_changed_credentials_is_kept_beside_it() {
    let v = Volume::new();
    let creds = |name: &str, at: u32| format!("{{\"refresh_token\":\"{name}\",\"expiry_date\":{at}}}");
    v.write("import/gemini/oauth_creds.json", &creds("a", 1));
    v.apply(0);
    v.write("cache/agent-home/.gemini/oauth_creds.json", &creds("cli", 5));
    v.chmod("cache/agent-home/.gemini/oauth_creds.json", 0o644);
    v.write("import/gemini/oauth_creds.json", &creds("operator", 9));
    v.apply(0);
    assert_eq!(v.home(".gemini/oauth_creds.json"), creds("operator", 9));
    let beside = v.beside(".gemini/oauth_creds.json", ".replaced-");
    assert_eq!(beside.len(), 1);
    assert_eq!((v.read(&beside[0]), v.mode(&beside[0])), (creds("cli", 5), 0o600));
    // The other way round: the source loses, and is kept beside.
    v.write("import/gemini/oauth_creds.json", &creds("late", 2));
    v.write("cache/agent-home/.gemini/oauth_creds.json", &creds("cli2", 7));
    v.apply(0);
    assert_eq!(v.home(".gemini/oauth_creds.json"), creds("cli2", 7));
    let beside = v.beside(".gemini/oauth_creds.json", ".not-imported-");
    assert_eq!(v.read(&beside[0]), creds("late", 2));
    let before = v.stamps();
    v.apply(0);
    assert_eq!(v.stamps(), before);
}

#[test]
fn kubernetes_secret_links_work_and_links_out_of_the_mount_do_not() {
    let v = Volume::new();
    v.write("import/codex/..2026_11/auth.json", KEY);
    symlink("..2026_11", v.path("import/codex/..data")).unwrap();
    symlink("..data/auth.json", v.path("import/codex/auth.json")).unwrap();
    v.write("secret.json", "{\"refresh_token\":\"outside\"}");
    std::fs::create_dir_all(v.path("import/gemini")).unwrap();
    symlink("../../secret.json", v.path("import/gemini/oauth_creds.json")).unwrap();
    std::fs::create_dir_all(v.path("import/iflow")).unwrap();
    symlink(v.path("secret.json"), v.path("import/iflow/oauth_creds.json")).unwrap();
    let out = v.apply(0);
    assert_eq!(v.home(".codex/auth.json"), KEY);
    assert!(!v.exists("cache/agent-home/.gemini/oauth_creds.json"));
    assert!(!v.exists("cache/agent-home/.iflow/oauth_creds.json"));
    assert_eq!(out.matches("leads out of the folder").count(), 2, "{out}");
}

#[test]
fn one_bad_source_never_stops_the_next_and_no_content_is_printed() {
    let v = Volume::new();
    std::fs::create_dir_all(v.path("import/codex/auth.json")).unwrap();
    v.write("import/gemini/oauth_creds.json", "{\"refresh_token\": 7, \"x\": \"TOP-SECRET\"}");
    v.write("import/gemini/google_accounts.json", "TOP-SECRET");
    v.write("import/iflow/oauth_creds.json", &format!("{{\"a\":\"{}\"}}", "TOP-SECRET".repeat(200_000)));
    nix::unistd::mkfifo(&v.path("import/iflow/iflow_accounts.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    v.write("import/opencode/auth.json", "{\"p\":{\"type\":\"api\",\"key\":\"k\"}}");
    let out = v.apply(0);
    assert_eq!(v.home(".local/share/opencode/auth.json"), "{\"p\":{\"type\":\"api\",\"key\":\"k\"}}");
    assert!(!out.contains("TOP-SECRET"), "{out}");
    for why in ["it is a folder", "no usable refresh_token", "does not parse", "larger than 1048576 bytes", "FIFO"] {
        assert!(out.contains(why), "{why}: {out}");
    }
    assert!(!v.read("data/bootstrap_report.json").contains("TOP-SECRET"));
}

#[test]
fn loose_modes_of_earlier_imports_are_tightened() {
    let v = Volume::new();
    v.apply(0);
    v.write("cache/agent-home/.codex/auth.json", KEY);
    v.chmod("cache/agent-home/.codex/auth.json", 0o777);
    v.chmod("cache/agent-home", 0o755);
    v.chmod("cache/agent-home/.gemini", 0o2770);
    v.apply(0);
    assert_eq!(v.mode("cache/agent-home/.codex/auth.json"), 0o600);
    assert_eq!(v.mode("cache/agent-home"), 0o700);
    // Kubernetes' fsGroup shares a folder on purpose.
    assert_eq!(v.mode("cache/agent-home/.gemini"), 0o2770);
}

#[test]
fn the_import_command_and_its_force() {
    let v = Volume::new();
    v.write("import/codex/auth.json", KEY);
    v.apply(0);
    v.write("cache/agent-home/.codex/auth.json", "{\"OPENAI_API_KEY\":\"cli\"}");
    let out = v.command("import").assert().success();
    assert!(String::from_utf8_lossy(&out.get_output().stdout).contains("nothing to import"));
    v.command("import").arg("--force").assert().success();
    assert_eq!(v.home(".codex/auth.json"), KEY);
    assert_eq!(v.beside(".codex/auth.json", ".replaced-").len(), 1);
    v.command("import").arg(v.path("nowhere")).assert().code(1);
}

#[test]
fn an_import_folder_may_be_anything() {
    let source = "import/codex/auth.json";
    // Nothing to import from, which is no mistake: a file, a link that leads nowhere, a FIFO, an empty folder.
    let nothing: [fn(&Volume); 5] = [
        |v| v.write("import", "a file"),
        |v| symlink("nowhere", v.path("import")).unwrap(),
        |v| nix::unistd::mkfifo(&v.path("import"), nix::sys::stat::Mode::S_IRWXU).unwrap(),
        |v| std::fs::create_dir(v.path("import")).unwrap(),
        |v| std::fs::create_dir_all(v.path("import/codex")).unwrap(),
    ];
    for make in nothing {
        let v = Volume::new();
        make(&v);
        let out = v.apply(0);
        assert!(!v.exists("cache/agent-home/.codex/auth.json") && !out.contains("skill-init:"), "{out}");
    }
    // A link to the folder is the operator's own: it is followed.
    let v = Volume::new();
    v.write("real/codex/auth.json", KEY);
    symlink("real", v.path("import")).unwrap();
    v.apply(0);
    assert_eq!(v.home(".codex/auth.json"), KEY);
    // One engine's folder that is none, or leads elsewhere, is one line; the others go on.
    for why in ["not a folder", "leads out of the folder"] {
        let v = Volume::new();
        if why == "not a folder" {
            v.write("import/codex", "a file");
        } else {
            v.write("outside/auth.json", KEY);
            std::fs::create_dir(v.path("import")).unwrap();
            symlink("../outside", v.path("import/codex")).unwrap();
        }
        v.write("import/iflow/oauth_creds.json", "{\"access_token\":\"a\"}");
        let out = v.apply(0);
        assert!(out.contains(source) && out.contains(why), "{out}");
        assert!(!v.exists("cache/agent-home/.codex/auth.json"));
        assert_eq!(v.home(".iflow/oauth_creds.json"), "{\"access_token\":\"a\"}");
    }
}
