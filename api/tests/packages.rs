//! Skill packages over HTTP: installed, updated, refused with every reason, and never half there.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::{
    program::{Program, Random},
    *,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const INSTALL: &str = "/v1/skill-packages/install";

type Writer = zip::ZipWriter<std::io::Cursor<Vec<u8>>>;

/// The record of an installation that has ended.
fn ended(worker: &Worker, id: &str) -> Value {
    awaited("the installation ends", || {
        let record = worker.get(&format!("/v1/skill-packages/{id}")).json();
        (!matches!(record["status"].as_str(), Some("queued" | "running"))).then_some(record)
    })
}

fn install(worker: &Worker, archive: &[u8]) -> Value {
    let answer = worker.post_form(INSTALL, &[("file", archive)]);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let accepted = answer.json();
    assert_eq!(accepted["status"], "queued", "{accepted}");
    ended(worker, accepted["request_id"].as_str().unwrap())
}

fn refused(worker: &Worker, archive: &[u8]) -> String {
    let record = install(worker, archive);
    assert_eq!(record["status"], "failed", "{record}");
    record["error"].as_str().unwrap().to_owned()
}

/// A package with these entries changed; `None` leaves one out.
fn package_with(id: &str, runner: &Value, changes: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut entries = package_entries(id, runner);
    for (name, content) in changes {
        entries.retain(|(known, _)| known != name);
        if let Some(content) = content {
            entries.push(((*name).to_owned(), content.as_bytes().to_vec()));
        }
    }
    let entries: Vec<(&str, &[u8])> =
        entries.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    zip(&entries)
}

/// Nothing of an installation is left in the skills folder but what was there.
fn unchanged(worker: &Worker, skills: &[&str]) {
    let names: Vec<String> = worker
        .get("/v1/skills")
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|skill| skill["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, skills);
    // Of a success it goes after the record says so.
    becomes("the staging goes", || fs::read_dir(worker.path("skills/.staging")).map_or(0, Iterator::count) == 0);
    assert_eq!(fs::read_dir(worker.path("data/skill_packages")).map_or(0, Iterator::count), 0, "the upload stays");
}

#[test]
fn a_package_is_installed_and_can_be_run_at_once() {
    let worker = Setup::new().cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    // The listing is warm, so that what follows proves that the installer tells the registry.
    assert_eq!(worker.get("/v1/skills").json(), json!([]));
    let package = package_with(
        "fresh",
        &json!({"version": "1.0.0"}),
        &[("fresh/.git/config", Some("x")), ("fresh/sub/.git", Some("gitdir: x")), ("__MACOSX/fresh/._x", Some("x"))],
    );
    let record = install(&worker, &package);
    for (field, value) in [("status", "succeeded"), ("skill_id", "fresh"), ("version", "1.0.0"), ("action", "install")]
    {
        assert_eq!(record[field], value, "{record}");
    }
    assert_eq!((&record["error"], &record["errors"]), (&json!(null), &json!([])));
    assert_eq!(worker.get("/v1/skills/fresh").json()["version"], "1.0.0");
    assert!(!worker.path("skills/fresh/.git").exists() && !worker.path("skills/fresh/sub/.git").exists());
    unchanged(&worker, &["fresh"]);
    let id = worker.job(&json!({"skill_id": "fresh"}));
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}

#[test]
fn an_update_needs_a_higher_version_and_archives_the_old_one() {
    let worker = Setup::new().skill("demo").start();
    let version = |version: &str| package("demo", &json!({"version": version}));
    for lower in ["0.9.9", "1.0.0", "1.0"] {
        let reason = refused(&worker, &version(lower));
        assert!(reason.contains("not higher than the installed 1.0.0"), "{reason}");
    }
    assert!(refused(&worker, &package("demo", &json!({"version": null}))).contains("has no version"));
    unchanged(&worker, &["demo"]);
    for (new, old) in [("1.9.0", "1.0.0"), ("1.10.0", "1.9.0")] {
        let record = install(&worker, &version(new));
        assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("update")), "{record}");
        assert_eq!(worker.get("/v1/skills/demo").json()["version"], new);
        let kept = fs::read_to_string(worker.path(&format!("skills/.archive/demo/{old}/assets/runner.json"))).unwrap();
        assert!(kept.contains(&format!("\"version\":\"{old}\"")), "{kept}");
    }
    unchanged(&worker, &["demo"]);
}

#[test]
fn an_invalid_folder_in_the_way_is_set_aside() {
    let worker = Setup::new().start();
    for round in ["", "~2"] {
        fs::remove_dir_all(worker.path("skills/demo")).ok();
        fs::create_dir_all(worker.path("skills/demo")).unwrap();
        fs::write(worker.path("skills/demo/notes"), format!("mine{round}")).unwrap();
        let record = install(&worker, &package("demo", &json!({})));
        assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("install")), "{record}");
        let kept = fs::read_to_string(worker.path(&format!("skills/.invalid/demo{round}/notes"))).unwrap();
        assert_eq!(kept, format!("mine{round}"));
    }
    unchanged(&worker, &["demo"]);
}

#[test]
fn every_mistake_of_a_package_is_told_at_once() {
    let worker = Setup::new().skill("demo").start();
    let runner = json!({
        "id": "other", "version": "one", "execution_modes": ["auto", "sometimes"], "max_attempt": 0, "artifacts": {},
        "schemas": {"input": "assets/input.schema.json", "parameter": "../x", "output": "assets/output.schema.json"},
        "entrypoint": {"prompts": {"codex": "{% if %}"}}, "runtime": {"dependencies": "numpy"},
    });
    let package = package_with(
        "demo",
        &runner,
        &[
            ("demo/SKILL.md", Some("---\nname: elsewhere\n---\n")),
            ("demo/assets/input.schema.json", Some(r#"{"type": "objekt"}"#)),
            ("demo/assets/output.schema.json", Some("{")),
            ("demo/assets/gemini_settings.json", Some("[]")),
            ("demo/assets/codex_config.toml", Some("a = = 1")),
        ],
    );
    let record = install(&worker, &package);
    let errors: Vec<&str> = record["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    for expected in [
        "front matter has the name \"elsewhere\"",
        "runner.json has the id \"other\"",
        "no version",
        "neither auto nor interactive",
        "max_attempt is not",
        "artifacts is not",
        "assets/input.schema.json is not a valid JSON Schema",
        "schemas.parameter: there is no file ../x",
        "assets/output.schema.json is not JSON",
        "entrypoint.prompts.codex",
        "runtime.dependencies is not",
        "gemini_settings.json is not a JSON object",
        "codex_config.toml is not TOML",
    ] {
        assert_eq!(errors.iter().filter(|error| error.contains(expected)).count(), 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 13, "{errors:#?}");
    assert_eq!(record["error"], errors.join("; "));
    unchanged(&worker, &["demo"]);
}

#[test]
fn each_thing_that_a_package_needs_is_asked_for() {
    let worker = Setup::new().start();
    let whole = |runner: Value| package("demo", &runner);
    let without = |name: &str| package_with("demo", &json!({}), &[(name, None)]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (without("demo/SKILL.md"), "SKILL.md is missing"),
        (without("demo/assets/runner.json"), "assets/runner.json is missing"),
        (without("demo/assets/parameter.schema.json"), "schemas.parameter: there is no file"),
        (package_with("demo", &json!({}), &[("demo/SKILL.md", Some("# demo"))]), "no front matter"),
        (package_with("demo", &json!({}), &[("demo/assets/runner.json", Some("[]"))]), "is not a JSON object"),
        (whole(json!({"id": null})), "the id \"\""),
        (whole(json!({"schemas": null})), "schemas with input, parameter and output is missing"),
        (whole(json!({"schemas": {"input": "assets/input.schema.json"}})), "schemas.output is missing"),
        (whole(json!({"execution_modes": []})), "execution_modes is empty"),
        (whole(json!({"execution_modes": "auto"})), "execution_modes is not a list"),
        (whole(json!({"engines": ["unknown"]})), "leave no engine"),
        (whole(json!({"engines": ["codex"], "unsupported_engines": ["codex"]})), "leave no engine"),
        (package_with("demo", &json!({}), &[("demo/assets/input.schema.json", Some("true"))]), "is not a JSON object"),
        (
            package_with(
                "demo",
                &json!({}),
                &[("demo/assets/input.schema.json", Some(r#"{"properties": {"a": {"x-input-source": "web"}}}"#))],
            ),
            "x-input-source is \"web\"",
        ),
        (package_with("demo", &json!({}), &[("README.md", Some("x"))]), "not exactly one top folder"),
        (package_with("demo", &json!({}), &[("second/x", Some("x"))]), "not exactly one top folder"),
        (zip(&[("SKILL.md", b"x")]), "not exactly one top folder"),
        (zip(&[]), "empty"),
        (package(".hidden", &json!({})), "is no skill id"),
        (b"this is no zip".to_vec(), "not a readable zip archive"),
    ];
    for (archive, reason) in cases {
        let said = refused(&worker, &archive);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    unchanged(&worker, &[]);
}

#[test]
fn escapes_links_duplicates_and_bombs_are_refused_and_write_nothing_outside() {
    let worker = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "1000000").start();
    let raw = |add: &dyn Fn(&mut Writer)| {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        add(&mut out);
        out.finish().unwrap().into_inner()
    };
    let options = zip::write::SimpleFileOptions::default();
    let zeros = vec![0; 30 << 20];
    let mut twice = zip(&[("demo/aaaa", b"1"), ("demo/bbbb", b"2")]);
    // The same name in both headers of the second entry: no writer makes that, an attacker does.
    while let Some(at) = twice.windows(9).position(|w| w == b"demo/bbbb") {
        twice[at..at + 9].copy_from_slice(b"demo/aaaa");
    }
    let mut cloaked = zip(&[("demo/safe", b"1")]);
    let at = cloaked.windows(9).position(|w| w == b"demo/safe").unwrap();
    cloaked[at..at + 9].copy_from_slice(b"demo/evil");
    let mut damaged = zip(&[("demo/text", "some text that deflates ".repeat(50).as_bytes())]);
    let at = damaged.windows(9).position(|w| w == b"demo/text").unwrap() + 12;
    damaged[at] ^= 0xff;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (zip(&[("../evil", b"x")]), "unsafe path"),
        (zip(&[("demo/../../evil", b"x")]), "unsafe path"),
        (zip(&[("/evil", b"x")]), "unsafe path"),
        (zip(&[("demo\\..\\..\\evil", b"x")]), "unsafe path"),
        (zip(&[(&format!("demo/{}", "n".repeat(300)), b"x")]), "unsafe path"),
        (raw(&|out| out.add_symlink("demo/link", "/etc/passwd", options).unwrap()), "neither a file nor a folder"),
        (twice, "there twice"),
        (zip(&[("demo/a", b"x"), ("demo/a/b", b"x")]), "there twice"),
        (cloaked, "zip"),
        (damaged, "damaged"),
        (zip(&[("demo/bomb", &zeros)]), "goes beyond the limit"),
        (
            raw(&|out| {
                for n in 0..10_001 {
                    out.start_file(format!("demo/{n}"), options).unwrap();
                }
            }),
            "the limit is 10000",
        ),
    ];
    for (archive, reason) in cases {
        if archive.len() > 1_000_000 {
            let answer = worker.post_form(INSTALL, &[("file", &archive)]);
            assert_eq!(answer.status, 413, "{reason}");
            continue;
        }
        let said = refused(&worker, &archive);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert!(!worker.path("evil").exists() && !worker.path("skills/evil").exists());
    unchanged(&worker, &[]);
}

#[test]
fn a_form_without_a_package_is_refused_at_once() {
    let worker = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "2000").start();
    assert_eq!(worker.post_form(INSTALL, &[("other", b"x")]).status, 422);
    assert_eq!(worker.post(INSTALL, &json!({})).status, 422);
    let big = worker.post_form(INSTALL, &[("file", &[0; 3000])]);
    assert_eq!(big.status, 413, "{}", String::from_utf8_lossy(&big.body));
    assert_eq!(worker.get("/v1/skill-packages/none").status, 404);
    unchanged(&worker, &[]);
}

#[test]
fn two_uploads_of_one_skill_never_mix() {
    let worker = Setup::new().skill("demo").start();
    let accepted: Vec<String> = (1..=8)
        .map(|n| {
            let archive = package("demo", &json!({"version": format!("2.{n}.0")}));
            worker.post_form(INSTALL, &[("file", &archive)]).json()["request_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let records: Vec<Value> = accepted.iter().map(|id| ended(&worker, id)).collect();
    // The order is the worker's; the highest version wins in every order, and what lost was told so.
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "2.8.0");
    for record in &records {
        let told = record["error"].as_str().is_none_or(|error| error.contains("not higher"));
        assert!(record["status"] == "succeeded" || told, "{record}");
    }
    let succeeded = records.iter().filter(|record| record["status"] == "succeeded").count();
    assert_eq!(fs::read_dir(worker.path("skills/.archive/demo")).unwrap().count(), succeeded);
    unchanged(&worker, &["demo"]);
}

#[test]
fn a_run_keeps_the_version_that_it_started_with() {
    let worker = Setup::new()
        .skill("demo")
        .cli(
            "codex",
            &format!("while [ ! -e \"$PWD/../../../go\" ]; do sleep 0.05; done\n{}", codex_says(r#"{"answer": 1}"#)),
        )
        .start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.running(&id);
    let copy = worker.run_folder(&id).join(".codex/skills/demo/assets/runner.json");
    becomes("the skill is copied", || copy.exists());
    assert_eq!(install(&worker, &package("demo", &json!({"version": "2.0.0"})))["status"], "succeeded");
    assert!(fs::read_to_string(&copy).unwrap().contains("1.0.0"));
    fs::write(worker.path("go"), "").unwrap();
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}

/// A file system of its own at a folder, for as long as this lives.
struct Mounted {
    at: PathBuf,
    root: PathBuf,
}

impl Mounted {
    /// Needs the right to mount; the reason where that is missing.
    fn new(root: &Path, below: &str, kind: &str, options: &str) -> Result<Self, String> {
        let at = root.join(below);
        fs::create_dir_all(&at).unwrap();
        let output = Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(&at).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self { at, root: root.to_owned() }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        // The worker could not remove it while it was mounted.
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn mounted(root: &Path, below: &str, kind: &str, options: &str) -> Option<Mounted> {
    match Mounted::new(root, below, kind, options) {
        Ok(mounted) => Some(mounted),
        Err(reason) => {
            eprintln!("SKIPPED: {kind} cannot be mounted here: {reason}");
            None
        }
    }
}

#[test]
fn a_skills_folder_that_cannot_be_written_says_what_to_do() {
    let setup = Setup::new();
    let Some(_mounted) = mounted(setup.dir.path(), "skills", "tmpfs", "ro") else { return };
    let worker = setup.start();
    let reason = refused(&worker, &package("demo", &json!({})));
    assert!(reason.contains("Read-only file system") && reason.contains("mount it writable"), "{reason}");
    assert_eq!(worker.get("/v1/skills").json(), json!([]));
}

#[test]
fn a_full_disk_leaves_the_old_skill_and_no_rubbish() {
    let setup = Setup::new();
    let skills = setup.dir.path().join("skills");
    let Some(_mounted) = mounted(setup.dir.path(), "skills", "tmpfs", "size=400k") else { return };
    write_skill(&skills, "demo", &json!({}));
    let worker = setup.start();
    // Nothing that compresses: it must be the disk that says no, not a limit.
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(600_000)
    .collect();
    let mut entries = package_entries("demo", &json!({"version": "2.0.0"}));
    entries.push(("demo/noise".to_owned(), noise));
    let entries: Vec<(&str, &[u8])> =
        entries.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let reason = refused(&worker, &zip(&entries));
    assert!(reason.contains("No space left") && reason.contains("make room"), "{reason}");
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "1.0.0");
    unchanged(&worker, &["demo"]);
    assert_eq!(install(&worker, &package("demo", &json!({"version": "2.0.0"})))["status"], "succeeded");
}

#[test]
fn a_skill_of_the_image_is_updated_although_its_layer_cannot_be_renamed() {
    let setup = Setup::new();
    let skills = setup.dir.path().join("skills");
    // The upper layer must not lie on an overlay itself.
    let Some(_disk) = mounted(setup.dir.path(), "disk", "tmpfs", "size=8m") else { return };
    let disk = setup.dir.path().join("disk");
    for below in ["lower", "upper", "work"] {
        fs::create_dir_all(disk.join(below)).unwrap();
    }
    write_skill(&disk.join("lower"), "demo", &json!({}));
    let layers = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,redirect_dir=off", disk.display());
    let Some(_overlay) = mounted(setup.dir.path(), "skills", "overlay", &layers) else { return };
    assert_eq!(
        fs::rename(skills.join("demo"), skills.join("x")).unwrap_err().kind(),
        std::io::ErrorKind::CrossesDevices,
        "the layer of the image can be renamed: this proves nothing"
    );
    let worker = setup.start();
    let record = install(&worker, &package("demo", &json!({"version": "2.0.0"})));
    assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("update")), "{record}");
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "2.0.0");
    assert!(worker.path("skills/.archive/demo/1.0.0/SKILL.md").exists());
    unchanged(&worker, &["demo"]);
}

#[test]
fn basic_auth_guards_both_routes() {
    let worker = Setup::new()
        .env("UI_BASIC_AUTH_ENABLED", "1")
        .env("UI_BASIC_AUTH_USERNAME", "u")
        .env("UI_BASIC_AUTH_PASSWORD", "p")
        .start();
    assert_eq!(worker.post_form(INSTALL, &[("file", b"x")]).status, 401);
    assert_eq!(worker.get("/v1/skill-packages/x").status, 401);
    let with = [("authorization", "Basic dTpw")];
    assert_eq!(request(worker.address, "GET", "/v1/skill-packages/x", &with, b"").status, 404);
    // The upload is refused before it is read, so nothing lies on the disk.
    unchanged(&worker, &[]);
}

#[test]
fn killed_at_random_moments_the_skill_is_always_one_whole_version() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let setup = Setup::new_in(dir).skill("demo");
    let root = setup.dir.path().to_owned();
    let archive_of = |version: u32| {
        let mut entries = package_entries("demo", &json!({"version": format!("2.{version}.0")}));
        // Many files that all say the version: a mixture would show.
        for n in 0..200 {
            entries.push((format!("demo/files/{n}"), version.to_string().into_bytes()));
        }
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect();
        zip(&entries)
    };
    let (mut version, mut accepted): (u32, Vec<(u32, String)>) = (0, Vec::new());
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let record_of = |program: &Program, id: &str| {
        program.try_json("GET", &format!("/v1/skill-packages/{id}"), &json!({})).expect("accepted is known")
    };
    let (mut looked_at, mut cut, mut through) = (0, false, false);
    for round in 0.. {
        let mut program = Program::start(&root);
        // At least 25 kills, and on until both have happened: an installation that was through, one that was cut off.
        for (_, id) in accepted.get(looked_at..).unwrap_or_default() {
            let error = record_of(&program, id)["error"].clone();
            through |= error.is_null();
            cut |= error.as_str().is_some_and(|error| error.contains("interrupted"));
        }
        looked_at = accepted.len();
        if round >= 25 && cut && through {
            break;
        }
        assert!(round < 500, "no kill in 500 met an installation, or all did");
        let whole = |program: &Program| -> u32 {
            let skill = program.try_json("GET", "/v1/skills/demo", &json!({})).expect("the skill is there");
            let listed = skill["version"].as_str().unwrap().to_owned();
            let said: std::collections::BTreeSet<String> = fs::read_dir(root.join("skills/demo/files"))
                .into_iter()
                .flatten()
                .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
                .collect();
            assert!(said.len() <= 1, "a mixture: {said:?}");
            let number = said.first().map_or(0, |text| text.parse().unwrap());
            assert_eq!(listed, if number == 0 { "1.0.0".to_owned() } else { format!("2.{number}.0") });
            number
        };
        whole(&program);
        let killer = program.kill_after(std::time::Duration::from_micros(random.below(1_000_000)));
        loop {
            version += 1;
            let (kind, body) = form(&[("file", &archive_of(version))]);
            let Some(answer) = program.try_raw("POST", INSTALL, &kind, &body) else { break };
            accepted.push((version, answer["request_id"].as_str().unwrap().to_owned()));
        }
        program.reap(killer);
    }
    let program = Program::start(&root);
    let (mut succeeded, mut interrupted) = (0, 0);
    for (version, id) in &accepted {
        let record = record_of(&program, id);
        match record["status"].as_str() {
            Some("succeeded") => succeeded += 1,
            Some("failed") if record["error"].as_str().unwrap().contains("interrupted") => interrupted += 1,
            Some("failed") if record["error"].as_str().unwrap().contains("not higher") => {}
            _ => panic!("{version}: {record}"),
        }
    }
    eprintln!("{} accepted, {succeeded} succeeded, {interrupted} interrupted", accepted.len());
    assert!(succeeded > 0 && interrupted > 0, "both must have happened");
    assert_eq!(fs::read_dir(root.join("skills/.archive/demo")).unwrap().count(), succeeded, "one archived per update");
    assert_eq!(fs::read_dir(root.join("skills/.staging")).unwrap().count(), 0, "staging is swept");
    let highest = accepted.iter().rev().find_map(|(version, id)| {
        let record = record_of(&program, id);
        (record["status"] == "succeeded").then_some(*version)
    });
    let installed = program.try_json("GET", "/v1/skills/demo", &json!({})).unwrap();
    assert_eq!(installed["version"], format!("2.{}.0", highest.unwrap()));
}

#[test]
fn an_upload_to_a_full_data_volume_says_so() {
    let setup = Setup::new();
    let Some(_mounted) = mounted(setup.dir.path(), "data/skill_packages", "tmpfs", "size=100k") else { return };
    let worker = setup.start();
    assert_eq!(worker.post_form(INSTALL, &[("file", &[7; 400_000])]).status, 507);
}
