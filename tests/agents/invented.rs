//! An engine that exists in an override file only, the rows of docs/agents.md word by word, on the real binary: installed,
//! checked, logged in, trusted, upgraded; and a file of mistakes.

use super::world::{World, words};
use serde_json::{Value, json};
use std::fs;

const DOCS: &str = include_str!("../../docs/agents.md");

/// A world whose table has the rows of docs/agents.md.
fn world() -> World {
    let world = World::new();
    let section = DOCS.split("## The table of engines").nth(1).unwrap().split("The built-in rows of").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    ").or(line.is_empty().then_some("")));
    fs::write(world.path("table.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    world
}

/// The invented engine where the table has it.
fn wanted(world: &World) -> &'static str {
    let table = fs::read_to_string(world.path("table.toml")).unwrap();
    if table.contains("[engine.mine]") { "mine" } else { "codex" }
}

fn run(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let output = world.command(args).env("SKILL_INIT_ENGINES", wanted(world)).output().unwrap();
    (output.status.code(), words(&output))
}

fn done(world: &World, args: &[&str]) -> String {
    let (code, words) = run(world, args);
    assert_eq!(code, Some(0), "{args:?}: {words}");
    words
}

fn json_of(world: &World, args: &[&str]) -> Value {
    let output = world.command(args).env("SKILL_INIT_ENGINES", wanted(world)).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", words(&output)))
}

#[test]
fn an_engine_of_an_override_is_installed_checked_logged_in_and_trusted() {
    let world = world();
    done(&world, &["agents", "ensure"]);
    let answer = "agent 2.0.0";
    let checked = json_of(&world, &["agents", "check", "--json"]);
    assert_eq!(checked["mine"]["version"], answer, "{checked}");
    let status: Value = serde_json::from_str(&world.status()).unwrap();
    assert_eq!(status["mine"], json!({"present": true, "version": answer}));
    done(&world, &["agents", "upgrade", "mine@3.0.0"]);
    assert_eq!(json_of(&world, &["agents", "check", "--json"])["mine"]["version"], "agent 3.0.0");
    done(&world, &["agents", "rollback", "mine"]);

    let ready = |world: &World| json_of(world, &["agents", "auth", "--json"])["mine"]["auth_ready"].clone();
    assert_eq!(ready(&world), false);
    fs::create_dir_all(world.path("import/mine")).unwrap();
    fs::write(world.path("import/mine/key.json"), r#"{"key": "synthetic", "issued_at": 1}"#).unwrap();
    done(&world, &["apply"]);
    assert_eq!(ready(&world), true);
    let home = world.path("cache/agent-home/.mine");
    assert_eq!(fs::read_to_string(home.join("settings.json")).unwrap(), "{ \"url\": \"https://x\" }");

    // A change by hand, and a value that would keep the CLI from starting.
    let state = home.join("state.json");
    fs::write(
        &state,
        "{\"theme\": \"dark\", \"trust\": {\"folders\": {\"/old\": {\"trusted\": \"maybe\", \"n\": 1}}}}",
    )
    .unwrap();
    let folder = fs::canonicalize(world.path("data")).unwrap().join("runs/7f3a");
    fs::create_dir_all(&folder).unwrap();
    let name = folder.to_str().unwrap();
    done(&world, &["trust", "add", "mine", name]);
    let now: Value = serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    let expected = json!({"theme": "dark", "trust": {"folders": {"/old": {"n": 1}, name: {"trusted": true}}}});
    assert_eq!(now, expected);
    let listed = json_of(&world, &["trust", "list", "mine", "--json"]);
    assert_eq!(listed, json!([{"path": "/old", "level": null}, {"path": name, "level": "true"}]));
    done(&world, &["trust", "gc", "mine"]);
    let now: Value = serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    assert_eq!(now, json!({"theme": "dark", "trust": {"folders": {"/old": {"n": 1}}}}));
    assert!(!home.join("state.json.lock").exists());
}

#[test]
fn a_list_of_values_in_a_file_of_the_home_itself_is_kept_too() {
    let world = World::new();
    let rows = "[engine.codex]\ntrust = \"flat\"\n[trust.flat]\nfile = \".flat.toml\"\nformat = \"toml\"\n\
                table = [\"trust\", \"folders\"]\nvalue = true\n";
    fs::write(world.path("table.toml"), rows).unwrap();
    let runs = fs::canonicalize(&world.dir).unwrap().join("data/runs");
    let entry = |path: &std::path::Path| format!("\"{}\" = true\n", path.display());
    let file = world.path("cache/agent-home/.flat.toml");
    done(&world, &["apply"]);
    let begin = format!("[trust.folders]\n{}", entry(&runs));
    assert_eq!(fs::read_to_string(&file).unwrap(), begin);
    let codex = fs::read_to_string(world.path("cache/agent-home/.codex/config.toml")).unwrap();
    assert_eq!(codex, "cli_auth_credentials_store = \"file\"\n");
    let folder = runs.join("7f3a");
    fs::create_dir_all(&folder).unwrap();
    done(&world, &["trust", "add", "codex", folder.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{begin}{}", entry(&folder)));
    done(&world, &["trust", "remove", "codex", folder.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), begin);
    done(&world, &["apply"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), begin);
}

/// As GitHub's copilot keeps them: an array in its configuration.
#[test]
fn an_array_of_folders_is_kept_too() {
    let world = World::new();
    let rows = "[engine.codex]\ntrust = \"array\"\n[trust.array]\nfile = \".copilot/config.json\"\nformat = \"jsonc\"\n\
                table = [\"trusted_folders\"]\n";
    fs::write(world.path("table.toml"), rows).unwrap();
    let file = world.path("cache/agent-home/.copilot/config.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let begin = "{\n  \"trusted_folders\": [\n    \"/mine\" // by hand\n  ],\n  \"theme\": \"dark\"\n}\n";
    fs::write(&file, begin).unwrap();
    let folder = fs::canonicalize(&world.dir).unwrap().join("data/runs/7f3a");
    fs::create_dir_all(&folder).unwrap();
    let name = folder.to_str().unwrap();
    done(&world, &["trust", "add", "codex", name]);
    let line = format!("    \"/mine\", // by hand\n    \"{name}\"\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), begin.replace("    \"/mine\" // by hand\n", &line));
    let listed = json_of(&world, &["trust", "list", "codex", "--json"]);
    assert_eq!(listed, json!([{"path": "/mine", "level": null}, {"path": name, "level": null}]));
    done(&world, &["trust", "gc", "codex"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), begin);
}

#[test]
fn an_array_takes_no_value_of_an_entry_and_needs_a_place() {
    let world = World::new();
    let rows = "[trust.a]\nfile = \"a.json\"\nformat = \"json\"\n[trust.b]\nfile = \"b.json\"\nformat = \"json\"\n\
                table = [\"x\"]\nkey = \"k\"\n";
    fs::write(world.path("table.toml"), rows).unwrap();
    let (code, words) = run(&world, &["trust", "list", "codex"]);
    assert_eq!(code, Some(78), "{words}");
    for told in ["trust.a: without a value the folders are an array, and table is", "trust.b: without a value"] {
        assert!(words.contains(told), "{words}");
    }
}

#[test]
fn every_mistake_of_a_table_is_told_at_once_and_nothing_is_done() {
    let world = World::new();
    let table = world.path("table.toml");
    fs::write(&table, "[engine.codex]\npakage = \"x\"\n[engine.codex.run_config]\nform = \"fil\"\nformat = \"json\"\n")
        .unwrap();
    for args in [&["agents", "check"][..], &["trust", "list", "codex"], &["apply"], &["agents", "list"]] {
        let (code, words) = run(&world, args);
        assert_eq!(code, Some(78), "{args:?}: {words}");
        for (line, told) in [(2, "did you mean `engine.codex.package`?"), (4, "did you mean \"file\"?")] {
            let begin = format!("{}:{line}: ", table.display());
            assert!(
                words.lines().any(|line| line.contains(&begin) && line.contains(told)),
                "{args:?}: {told}: {words}"
            );
        }
    }
    assert!(!world.path("cache").exists());
}
