//! Empty, existing and corrupt volumes: folders and default configurations, with content and mode.

use crate::{CODEX, GEMINI, IFLOW, KEY, gemini_trust, trust, volume::Volume};
use serde_json::{Value, json};

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
