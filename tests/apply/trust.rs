//! The trust entries of codex and gemini: inline tables, odd values, entries of runs that are gone.

use crate::{CODEX, volume::Volume};
use serde_json::{Value, json};

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

#[test]
fn every_way_to_write_the_projects_table_is_understood() {
    // What is there, what must be kept, and whether it could not be used as it was.
    for (before, kept, aside) in [
        ("projects = { }\n", "projects = {", false),
        ("[projects]\n", "[projects]", false),
        ("projects.x = 3\n", "projects.x = 3", false),
        ("[projects.\"@\"]\n", "", false),
        ("[projects.\"@\"]\ntrust_level = \"untrusted\"\nother = 1 # mine\n", "other = 1 # mine", false),
        ("[projects]\n\"@\" = { trust_level = \"untrusted\", other = 1 }\n", "other = 1", false),
        ("[projects]\n\"@\" = 3\n\"/mine\" = { trust_level = \"trusted\" }\n", "\"/mine\"", true),
        ("[[projects]]\n", "", true),
        ("a = 1\nprojects = [1]\n", "a = 1", true),
    ] {
        let v = Volume::new();
        v.write("cache/agent-home/.codex/config.toml", &before.replace('@', &v.runs()));
        v.apply(0);
        let now = v.home(".codex/config.toml");
        assert!(now.contains(kept) && now.contains("trust_level = \"trusted\""), "{before} became {now}");
        assert!(now.contains(&v.runs()) && !now.contains("untrusted"), "{before} became {now}");
        assert_eq!(v.aside(".codex/config.toml").len(), usize::from(aside), "{before}");
        let stamps = v.stamps();
        v.apply(0);
        assert_eq!(v.stamps(), stamps, "{before}");
    }
}
