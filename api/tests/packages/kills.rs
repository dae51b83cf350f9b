//! Installations whose worker is killed at random moments: the real binary, one whole version at every start.

use super::{
    INSTALL,
    common::{
        program::{Program, Random},
        *,
    },
};
use serde_json::json;
use std::fs;

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
