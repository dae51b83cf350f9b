//! What `apply`, `import` and `trust` write: every file of the user is the old one or the new one, what was kept aside is
//! whole, and the next start completes to the same tree as if nothing had happened.

use crate::{
    scene::{ALL, ERRORS, Scene, Tree, each_call, write},
    trace::Fault,
};
use std::{fs, path::Path};

/// What is not the user's: it may differ from run to run, but it must be whole.
fn ours(name: &str) -> bool {
    name == "data/bootstrap_report.json"
        || name.starts_with("cache/locks")
        || name.ends_with("trustedFolders.json.lock")
}
fn temporary(name: &str) -> bool {
    name.contains(".skill-init-")
}
/// `FILE.corrupt-TIME`, `FILE.replaced-TIME`, `FILE.not-imported-TIME` -> FILE.
fn kept(name: &str) -> Option<&str> {
    [".corrupt-", ".replaced-", ".not-imported-"].iter().find_map(|mark| name.find(mark)).map(|at| &name[..at])
}

/// Every file is old or new; what was kept is whole.
fn assert_old_or_new(case: &str, now: &Tree, old: &Tree, new: &Tree, sources: &[Vec<u8>]) {
    for (name, (mode, content)) in now {
        if temporary(name) {
            let secret = name.contains("auth.json") || name.contains("import-state");
            assert!(!secret || mode & 0o077 == 0, "{case}: {name} is open to others");
        } else if name == "data/bootstrap_report.json" {
            serde_json::from_slice::<serde_json::Value>(content.as_ref().unwrap())
                .unwrap_or_else(|e| panic!("{case}: {name}: {e}"));
        } else if name == "cache/import-state.json" {
            serde_json::from_slice::<serde_json::Value>(content.as_ref().unwrap())
                .unwrap_or_else(|e| panic!("{case}: {name}: {e}"));
            assert_eq!(*mode, 0o600, "{case}: {name}");
        } else if ours(name) {
        } else if let Some(file) = kept(name) {
            let whole = old.get(file).map(|(_, c)| c) == Some(content)
                || content.as_ref().is_some_and(|content| sources.contains(content));
            assert!(whole, "{case}: {name} is not what {file} was");
        } else if let Some(content) = content {
            let is = |tree: &Tree| tree.get(name).is_some_and(|(_, c)| c.as_ref() == Some(content));
            assert!(is(old) || is(new), "{case}: {name} is neither old nor new: {}", String::from_utf8_lossy(content));
        }
    }
    for (name, (_, content)) in old {
        if content.is_some() && !ours(name) && !temporary(name) {
            assert!(now.contains_key(name), "{case}: {name} is lost");
        }
    }
}

/// The same files with the same content and mode, nothing of ours left over.
fn assert_complete(case: &str, now: &Tree, new: &Tree) {
    let users = |tree: &Tree| -> Tree {
        let users = |name: &str| !ours(name) && kept(name).is_none() && name != "cache/import-state.json";
        tree.iter().filter(|(name, _)| users(name)).map(|(name, entry)| (name.clone(), entry.clone())).collect()
    };
    let (now, new) = (users(now), users(new));
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&now), names(&new), "{case}");
    for (name, entry) in &new {
        assert_eq!(now.get(name), Some(entry), "{case}: {name}");
    }
}

fn sweep(prepare: fn(&Path), args: &'static [&'static [&'static str]], faults: &[Fault]) {
    let scene = Scene::new(prepare, args);
    scene.reset();
    let old = scene.tree();
    scene.finish();
    let new = scene.tree();
    let sources: Vec<Vec<u8>> =
        old.iter().filter(|(name, _)| name.starts_with("import/")).filter_map(|(_, (_, c))| c.clone()).collect();
    for (index, args) in scene.args.iter().enumerate() {
        let command = || {
            scene.reset();
            for before in &scene.args[..index] {
                assert!(scene.command(before).output().unwrap().status.success());
            }
            scene.command(args)
        };
        each_call(&scene.root, faults, &[0], command, |case, fault, ended| {
            if fault != Fault::Kill {
                assert!(matches!(ended.code, Some(0 | 1 | 73)), "{case}");
            }
            let now = scene.tree();
            assert_old_or_new(case, &now, &old, &new, &sources);
            // What cannot be removed stays; everything else that was begun is taken back.
            let removal = matches!(ended.hit, Some((libc::SYS_unlinkat, _)));
            if fault != Fault::Kill && !removal {
                assert!(!now.keys().any(|name| temporary(name)), "{case}: a temporary file stays");
            }
            scene.finish();
            assert_complete(case, &scene.tree(), &new);
        });
    }
}

/// Nothing but credentials to import.
fn empty(root: &Path) {
    write(root, "import/codex/auth.json", "{\"OPENAI_API_KEY\":\"synthetic\"}");
    write(root, "import/opencode/auth.json", "{\"p\":{\"type\":\"api\",\"key\":\"k\"}}");
}

/// Everything there, and everything wrong with it.
fn broken(root: &Path) {
    empty(root);
    fs::create_dir_all(root.join("data/runs")).unwrap();
    let home = |path: &str, content: &str| write(root, &format!("cache/agent-home/{path}"), content);
    home(".codex/config.toml", "# mine\nprojects = 3\n");
    home(".codex/auth.json", "{ corrupt");
    home(".gemini/settings.json", "{\"a\": 1,}");
    home(".gemini/trustedFolders.json", "");
    home(".iflow/settings.json", "{\"selectedAuthType\": \"iflow\", \"mine\": 1}");
    home(".config/opencode/opencode.json", "{");
    home(
        ".local/share/opencode/auth.json",
        "{\"mine\":{\"type\":\"api\",\"key\":\"m\"},\"p\":{\"type\":\"api\",\"key\":\"old\"}}",
    );
}

/// A prepared home whose credentials are overruled by force.
fn logged_in(root: &Path) {
    empty(root);
    write(root, "cache/agent-home/.codex/auth.json", "{\"OPENAI_API_KEY\":\"another\"}");
    write(root, "cache/agent-home/.codex/config.toml", "# mine\nmodel = 'x'\n");
    write(root, "cache/agent-home/.gemini/trustedFolders.json", "{ // mine\n  \"/x\": \"TRUST_FOLDER\"\n}\n");
    fs::create_dir_all(root.join("data/runs/r1")).unwrap();
}

/// A run that is trusted, and credentials to import: the import collects what a killed one left.
fn trusted(root: &Path) {
    empty(root);
    fs::create_dir_all(root.join("data/runs/r1")).unwrap();
    let run = format!("{}/data/runs/r1", root.display());
    let codex = format!("# mine\n[projects.\"{run}\"] # why\ntrust_level = \"trusted\"\n\n[projects.\"/mine\"]\n");
    write(root, "cache/agent-home/.codex/config.toml", &codex);
    write(root, "cache/agent-home/.gemini/trustedFolders.json", &format!("{{\"{run}\": \"TRUST_FOLDER\", \"/x\": 1}}"));
}

#[test]
fn a_first_start_killed_at_any_call_is_completed_by_the_next() {
    sweep(empty, &[&["apply"]], &[Fault::Kill]);
}

#[test]
fn a_repair_killed_at_any_call_loses_nothing_and_is_completed_by_the_next() {
    sweep(broken, &[&["apply"]], &[Fault::Kill]);
}

#[test]
fn a_first_start_on_a_failing_file_system_leaves_old_or_new() {
    sweep(empty, &[&["apply"]], ERRORS);
}

#[test]
fn a_repair_on_a_failing_file_system_leaves_old_or_new() {
    sweep(broken, &[&["apply"]], ERRORS);
}

#[test]
fn import_and_trust_killed_or_failing_at_any_call_leave_old_or_new() {
    let args: &[&[&str]] = &[
        &["import", "--force"],
        &["trust", "add", "codex", "@/data/runs/r1"],
        &["trust", "add", "gemini", "@/data/runs/r1"],
    ];
    sweep(logged_in, args, ALL);
}

#[test]
fn forgetting_a_folder_killed_or_failing_at_any_call_leaves_old_or_new() {
    let args: &[&[&str]] = &[
        &["import"],
        &["trust", "remove", "codex", "@/data/runs/r1"],
        &["trust", "remove", "gemini", "@/data/runs/r1"],
    ];
    sweep(trusted, args, ALL);
}
