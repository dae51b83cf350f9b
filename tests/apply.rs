//! The contract of the old container start as an oracle: prepared volumes, the real binary, the expected tree
//! with content and mode. Wanted differences from the old start are named in docs/compat.md by the words that the tests'
//! names use.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, reason = "a test")]

mod volume;

use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use volume::{Volume, is_root};

const CODEX: &str = "cli_auth_credentials_store = \"file\"\n";
const GEMINI: &str =
    "{\n  \"security\": {\n    \"auth\": {\n      \"selectedType\": \"oauth-personal\"\n    }\n  }\n}\n";
const IFLOW: &str = "{\n  \"selectedAuthType\": \"oauth-iflow\",\n  \"baseUrl\": \"https://apis.iflow.cn/v1\"\n}\n";
const KEY: &str = "{\"OPENAI_API_KEY\":\"synthetic-1\"}";

fn trust(volume: &Volume) -> String {
    format!("\n[projects.\"{0}\"]\ntrust_level = \"trusted\"\n", volume.runs())
}
fn gemini_trust(volume: &Volume) -> String {
    format!("{{\n  \"{}\": \"TRUST_FOLDER\"\n}}\n", volume.runs())
}

// --- 1.5, 1.8: an empty volume -------------------------------------------------------------------------------------

#[test]
fn an_empty_volume_gets_the_documented_tree() {
    let v = Volume::new();
    v.apply(0);
    let tree = v.tree();
    let folders = [
        "data 755",
        "data/runs 755",
        "cache 755",
        "cache/npm 755",
        "cache/uv_cache 755",
        "cache/uv_venv 755",
        "cache/agent-home 700",
        "cache/agent-home/.codex 700",
        "cache/agent-home/.gemini 700",
        "cache/agent-home/.iflow 700",
        "cache/agent-home/.opencode 700",
        "cache/agent-home/.config/opencode 700",
        "cache/agent-home/.local/share/opencode 700",
        "cache/agent-home/.local/state/opencode 700",
        "cache/agent-home/.cache/opencode 700",
    ];
    for folder in folders {
        assert!(tree.contains(&folder.to_owned()), "{folder} is not in {tree:#?}");
    }
    for (file, content) in [
        (".codex/config.toml", format!("{CODEX}{}", trust(&v))),
        (".gemini/settings.json", GEMINI.to_owned()),
        (".gemini/trustedFolders.json", gemini_trust(&v)),
        (".iflow/settings.json", IFLOW.to_owned()),
    ] {
        assert_eq!(v.home(file), content, "{file}");
        assert_eq!(v.mode(&format!("cache/agent-home/{file}")), 0o600, "{file}");
    }
    let opencode: Value = serde_json::from_str(&v.home(".config/opencode/opencode.json")).unwrap();
    assert_eq!(opencode["plugin"], json!(["opencode-antigravity-auth"]));
    // Nothing of ours lies about: no temporary file, no lock beside a locked file.
    assert!(!tree.iter().any(|path| path.contains(".tmp") || path.contains("trustedFolders.json.lock")), "{tree:#?}");
}

#[test]
fn a_second_start_writes_nothing_and_the_plan_is_empty() {
    let v = Volume::new();
    v.write("import/codex/auth.json", KEY);
    v.apply(0);
    let before = v.stamps();
    assert_eq!(v.plan()["files"]["steps"], json!([]));
    v.apply(0);
    assert_eq!(v.stamps(), before);
}

#[test]
fn the_report_has_an_entry_with_its_time_for_each_step() {
    let v = Volume::new();
    v.apply(0);
    let report: Value = serde_json::from_str(&v.read("data/bootstrap_report.json")).unwrap();
    assert_eq!(report["summary"]["outcome"], "ok");
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.len() > 20);
    assert!(steps.iter().all(|step| step["outcome"] == "done" && step["micros"].is_u64()), "{report:#}");
}

// --- 1.5: existing files -------------------------------------------------------------------------------------------

#[test]
fn existing_configurations_are_the_users_to_the_byte() {
    let v = Volume::new();
    let files = [
        (".gemini/settings.json", "{ // mine\n\"security\": {\"auth\": {\"selectedType\": \"gemini-api-key\"}}}"),
        (".config/opencode/opencode.json", "{\"plugin\": [],} // trailing commas are fine here"),
        (".iflow/settings.json", "{\"selectedAuthType\":\"api_key\",\"baseUrl\":\"https://x\",\"k\":1}"),
    ];
    for (file, content) in files {
        v.write(&format!("cache/agent-home/{file}"), content);
    }
    v.write("cache/agent-home/.codex/config.toml", "# mine\nmodel = 'x' # why\n");
    v.apply(0);
    for (file, content) in files {
        assert_eq!(v.home(file), content);
    }
    assert_eq!(v.home(".codex/config.toml"), format!("# mine\nmodel = 'x' # why\n{}", trust(&v)));
    assert_eq!(v.plan()["files"]["steps"], json!([]));
}

#[test]
fn iflow_settings_are_normalised_and_their_other_keys_stay() {
    for (before, after) in [
        (
            "{\"selectedAuthType\":\"iflow\",\"baseUrl\":\"https://x\",\"z\":1}",
            "{\"selectedAuthType\":\"oauth-iflow\",\"baseUrl\":\"https://x\",\"z\":1}",
        ),
        (
            "{\"selectedAuthType\":\"api_key\",\"baseUrl\":\"x\"}",
            "{\"selectedAuthType\":\"api_key\",\"baseUrl\":\"https://apis.iflow.cn/v1\"}",
        ),
        ("{\"z\": 1}", "{\"z\": 1, \"selectedAuthType\": \"oauth-iflow\", \"baseUrl\": \"https://apis.iflow.cn/v1\"}"),
    ] {
        let v = Volume::new();
        v.write("cache/agent-home/.iflow/settings.json", before);
        v.apply(0);
        assert_eq!(v.home(".iflow/settings.json"), after);
        assert_eq!(v.aside(".iflow/settings.json"), Vec::<String>::new());
    }
}

#[test]
fn an_operators_asset_replaces_the_built_in_default() {
    let v = Volume::new();
    v.write("app/server/assets/configs/opencode/bootstrap.json", "{\"plugin\": [\"other\"]}");
    v.write("app/server/assets/configs/gemini/bootstrap.json", "{ broken");
    v.apply(0);
    assert_eq!(v.home(".config/opencode/opencode.json"), "{\"plugin\": [\"other\"]}");
    assert_eq!(v.home(".gemini/settings.json"), GEMINI);
}

// --- corrupt in every file -----------------------------------------------------------------------------------------

#[test]
fn a_corrupt_file_is_kept_aside_with_its_mode_and_written_anew() {
    let opencode = {
        let v = Volume::new();
        v.apply(0);
        v.home(".config/opencode/opencode.json")
    };
    let garbage = ["", "{", "\u{0}\u{1}", "[1]", "= =", "\"text\""];
    for bad in garbage {
        let v = Volume::new();
        let expected = [
            (".codex/config.toml", format!("{CODEX}{}", trust(&v))),
            (".gemini/settings.json", GEMINI.to_owned()),
            (".gemini/trustedFolders.json", gemini_trust(&v)),
            (".iflow/settings.json", IFLOW.to_owned()),
            (".config/opencode/opencode.json", opencode.clone()),
        ];
        for (file, _) in &expected {
            v.write(&format!("cache/agent-home/{file}"), bad);
            v.chmod(&format!("cache/agent-home/{file}"), 0o640);
        }
        v.apply(0);
        for (file, content) in &expected {
            // The empty TOML file, and one with a table of that name, are fine.
            if *file == ".codex/config.toml" && (bad.is_empty() || bad == "[1]") {
                continue;
            }
            assert_eq!(&v.home(file), content, "{file} was {bad:?}");
            let aside = v.aside(file);
            assert_eq!(aside.len(), 1, "{file} was {bad:?}: {aside:?}");
            assert_eq!(v.read(&aside[0]), bad);
            assert_eq!((v.mode(&aside[0]), v.mode(&format!("cache/agent-home/{file}"))), (0o640, 0o640), "{file}");
        }
        let before = v.stamps();
        v.apply(0);
        assert_eq!(v.stamps(), before, "{bad:?}");
    }
}

#[test]
fn a_second_corruption_does_not_overwrite_what_was_kept_before() {
    let v = Volume::new();
    for content in ["{ first", "{ second", "{ third"] {
        v.write("cache/agent-home/.gemini/trustedFolders.json", content);
        v.apply(0);
    }
    let mut kept: Vec<String> = v.aside(".gemini/trustedFolders.json").iter().map(|path| v.read(path)).collect();
    kept.sort();
    assert_eq!(kept, ["{ first", "{ second", "{ third"]);
}

// --- 1.8: trust ----------------------------------------------------------------------------------------------------

#[test]
fn an_inline_projects_table_is_extended_and_the_start_goes_on() {
    let v = Volume::new();
    v.write("cache/agent-home/.codex/config.toml", "projects = { \"/mine\" = { trust_level = \"trusted\" } } # mine\n");
    v.apply(0);
    let now = v.home(".codex/config.toml");
    assert!(now.contains("\"/mine\"") && now.contains(&v.runs()) && now.ends_with("# mine\n"), "{now}");
}

#[test]
fn odd_values_in_the_trust_files_are_repaired_and_kept_aside() {
    let v = Volume::new();
    v.write("cache/agent-home/.codex/config.toml", "a = 1\nprojects = 3\n");
    v.write(
        "cache/agent-home/.gemini/trustedFolders.json",
        "{\"/a\": 1, \"/b\": {\"k\": null}, \"/c\": \"DO_NOT_TRUST\"}",
    );
    v.apply(0);
    assert!(v.home(".codex/config.toml").starts_with("a = 1\n"), "{}", v.home(".codex/config.toml"));
    assert_eq!(v.aside(".codex/config.toml").len(), 1);
    let folders: Value = serde_json::from_str(&v.home(".gemini/trustedFolders.json")).unwrap();
    assert_eq!(folders, json!({"/c": "DO_NOT_TRUST", v.runs(): "TRUST_FOLDER"}));
    assert_eq!(v.aside(".gemini/trustedFolders.json").len(), 1);
}

#[test]
fn entries_of_runs_that_are_gone_are_collected_and_foreign_ones_stay() {
    let v = Volume::new();
    let runs = v.runs();
    v.write("cache/agent-home/.codex/config.toml", &format!("# c\n[projects.\"{runs}/r1\"]\ntrust_level = \"trusted\"\n\n[projects.\"/mine\"]\ntrust_level = \"untrusted\"\n"));
    v.write(
        "cache/agent-home/.gemini/trustedFolders.json",
        &format!("{{\"{runs}/r1\": \"TRUST_FOLDER\", \"/mine\": \"TRUST_FOLDER\"}}"),
    );
    v.apply(0);
    assert!(!v.home(".codex/config.toml").contains("/r1") && v.home(".codex/config.toml").contains("\"/mine\""));
    assert!(
        !v.home(".gemini/trustedFolders.json").contains("/r1")
            && v.home(".gemini/trustedFolders.json").contains("\"/mine\"")
    );
}

#[test]
fn the_old_starts_lock_file_does_not_block_gemini_for_ever() {
    let v = Volume::new();
    v.write("cache/agent-home/.gemini/trustedFolders.json.lock", "");
    v.write("cache/agent-home/.codex/.auth.json.skill-init-1-0.tmp", "half");
    v.apply(0);
    assert!(!v.exists("cache/agent-home/.gemini/trustedFolders.json.lock"));
    assert!(!v.exists("cache/agent-home/.codex/.auth.json.skill-init-1-0.tmp"));
}

#[test]
fn trust_can_be_switched_off() {
    let v = Volume::new();
    v.command("apply").env("SKILL_INIT_TRUST", "off").assert().success();
    assert_eq!(v.home(".codex/config.toml"), CODEX);
    assert!(!v.exists("cache/agent-home/.gemini/trustedFolders.json"));
}

// --- 1.7: import ---------------------------------------------------------------------------------------------------

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

// --- hostile volumes -----------------------------------------------------------------------------------------------

#[test]
fn links_planted_in_the_agent_home_lead_nowhere() {
    let v = Volume::new();
    v.apply(0);
    v.write("victim/config.toml", "precious = true\n");
    for name in [".codex/config.toml", ".gemini/settings.json", ".gemini/trustedFolders.json"] {
        v.remove(&format!("cache/agent-home/{name}"));
        symlink(v.path("victim/config.toml"), v.path(&format!("cache/agent-home/{name}"))).unwrap();
    }
    std::fs::remove_dir_all(v.path("cache/agent-home/.iflow")).unwrap();
    symlink(v.path("victim"), v.path("cache/agent-home/.iflow")).unwrap();
    v.write("import/iflow/oauth_creds.json", "{\"access_token\":\"a\"}");
    v.write("import/codex/auth.json", KEY);
    let out = v.apply(1);
    assert_eq!(v.read("victim/config.toml"), "precious = true\n");
    assert_eq!(std::fs::read_dir(v.path("victim")).unwrap().count(), 1);
    assert_eq!(v.home(".codex/auth.json"), KEY);
    assert!(out.contains(".iflow") && out.contains("symbolic link"), "{out}");
}

#[test]
fn folders_fifos_and_huge_files_in_place_of_files_stop_nothing_else() {
    let v = Volume::new();
    std::fs::create_dir_all(v.path("cache/agent-home/.codex/config.toml/sub")).unwrap();
    std::fs::create_dir_all(v.path("cache/agent-home/.gemini")).unwrap();
    nix::unistd::mkfifo(&v.path("cache/agent-home/.gemini/settings.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    v.write("cache/agent-home/.gemini/trustedFolders.json", "");
    std::fs::File::options()
        .write(true)
        .open(v.path("cache/agent-home/.gemini/trustedFolders.json"))
        .unwrap()
        .set_len(1 << 33)
        .unwrap();
    v.write("cache/agent-home/.opencode", "a file where a folder belongs");
    let out = v.apply(1);
    assert_eq!(v.home(".iflow/settings.json"), IFLOW);
    for why in ["a folder stands where a file belongs", "FIFO", "larger than", "it is a regular file, not a folder"] {
        assert!(out.contains(why), "{why}: {out}");
    }
    assert!(v.path("cache/agent-home/.codex/config.toml/sub").is_dir());
}

#[test]
fn a_data_folder_that_cannot_be_made_ends_with_73_and_one_line() {
    let v = Volume::new();
    v.write("data", "a file");
    let out = v.apply(73);
    assert_eq!(out.matches("it is a regular file, not a folder").count(), 2, "{out}");
    // The rest was done all the same.
    assert_eq!(v.home(".iflow/settings.json"), IFLOW);
}

#[test]
fn an_agent_home_that_cannot_be_made_is_said_once_and_the_start_goes_on() {
    let v = Volume::new();
    v.write("cache", "a file");
    let out = v.apply(1);
    assert_eq!(out.lines().filter(|line| line.contains("skill-init:")).count(), 1, "{out}");
    assert!(v.path("data/runs").is_dir());
}

#[test]
fn a_broken_engine_table_is_a_configuration_mistake_and_nothing_is_touched() {
    let v = Volume::new();
    v.write("table.toml", "[engine.codex]\npakage = 1\n");
    v.command("apply").env("SKILL_INIT_CATALOGUE", v.path("table.toml")).assert().code(78);
    assert!(!v.exists("data"));
}

// --- owners --------------------------------------------------------------------------------------------------------

#[test]
fn started_as_root_with_a_user_the_volumes_become_that_users() {
    if !is_root() {
        eprintln!("SKIPPED: only root gives files away");
        return;
    }
    let v = Volume::new();
    v.write("import/codex/auth.json", KEY);
    v.apply(0);
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    for path in
        ["data", "data/runs", "cache", "cache/agent-home/.codex/config.toml", "cache/agent-home/.codex/auth.json"]
    {
        assert_eq!(v.owner(path), (10001, 10002), "{path}");
    }
    assert_eq!(v.owner("import/codex/auth.json").0, 0);
    let before = v.stamps();
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    assert_eq!(v.stamps(), before);
    // What is made later belongs to the user from the start.
    v.remove("cache/agent-home/.gemini/settings.json");
    v.write("cache/agent-home/.gemini/trustedFolders.json", "{");
    v.command("apply").env("SKILL_INIT_USER", "10001:10002").assert().success();
    for path in [".gemini/settings.json", ".gemini/trustedFolders.json"] {
        let owner = v.owner(&format!("cache/agent-home/{path}"));
        assert!(owner == (10001, 10002) || path.ends_with("trustedFolders.json"), "{path} {owner:?}");
    }
}

#[test]
fn without_root_an_unwritable_volume_names_the_command_that_mends_it() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become another user for this test");
        return;
    }
    let v = Volume::new();
    v.apply(0);
    v.open_to_all();
    v.chmod("cache", 0o755);
    v.remove("cache/agent-home/.iflow/settings.json");
    let out = v.as_user(10001, "apply", 1);
    assert!(out.contains("chown -R 10001:10001"), "{out}");
    let out = {
        std::fs::set_permissions(v.path("data"), PermissionsExt::from_mode(0o700)).unwrap();
        v.as_user(10001, "apply", 73)
    };
    assert!(out.contains("ermission denied") && out.contains("chown -R 10001:10001"), "{out}");
}
