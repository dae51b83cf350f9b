//! Ways out of a folder: paths, links and archives. None of them reads or writes anything outside.

use super::common::*;
use serde_json::json;
use std::{fs, io::Read, os::unix::fs::symlink, path::Path};

const SECRET: &str = "TOP-SECRET-9d1f";

/// Ways to write a path that leads from a folder to `secret` beside it.
fn escapes(up: usize) -> Vec<String> {
    let to = |parent: &str, slash: &str| format!("{}secret", format!("{parent}{slash}").repeat(up));
    let mut out = Vec::new();
    for parent in ["..", "%2e%2e", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "\u{ff0e}\u{ff0e}", "..;", "%2e%2e%00", "...."]
    {
        for slash in ["/", "%2f", "%252f", "%5c", "\\", "%c0%af", "\u{ff0f}", "//", "/./"] {
            out.push(
                to(parent, slash)
                    .bytes()
                    .map(|b| if b.is_ascii() { (b as char).to_string() } else { format!("%{b:02x}") })
                    .collect(),
            );
        }
    }
    out.push("%2fproc%2fself%2fenviron".to_owned());
    out.push("/proc/self/environ".to_owned());
    out.push("file:%2f%2f%2fetc%2fpasswd".to_owned());
    out
}

#[test]
fn no_way_of_writing_a_path_leads_out_of_a_folder() {
    let setup = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#));
    let root = setup.dir.path().to_owned();
    for below in ["secret", "data/secret", "data/runs/secret", "data/requests/secret", "skills/secret"] {
        fs::create_dir_all(root.join(below).parent().unwrap()).unwrap();
        fs::write(root.join(below), SECRET).unwrap();
    }
    let worker = setup.start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    fs::write(worker.run_folder(&id).join("secret"), SECRET).unwrap();
    let mut asked = 0;
    for up in 1..=4 {
        for escape in escapes(up) {
            for path in [
                format!("/v1/jobs/{id}/artifacts/artifacts/{escape}"),
                format!("/v1/jobs/{id}/artifacts/{escape}"),
                format!("/v1/jobs/{escape}/result"),
                format!("/v1/jobs/{escape}"),
                format!("/v1/skills/{escape}"),
                format!("/v1/skill-packages/{escape}"),
                format!("/v1/management/skills/{escape}"),
                format!("/ui/skills/{escape}"),
                format!("/ui/skills/demo/view?path={escape}"),
                format!("/ui/assets/{escape}"),
                format!("/v1/engines/{escape}/models"),
            ] {
                let answer = worker.get(&path);
                assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
                assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{path}");
                asked += 1;
            }
            // Below a run's own folder everything may be read, so here only what lies beyond it is a secret.
            if up > 1 {
                for path in [
                    format!("/v1/management/runs/{id}/file?path=artifacts/{escape}"),
                    format!("/ui/runs/{id}/view?path=artifacts/{escape}"),
                    format!("/ui/runs/{id}/download?path=artifacts/{escape}"),
                ] {
                    let answer = worker.get(&path);
                    assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 3000, "{asked}");
}

#[test]
fn links_that_an_agent_plants_in_its_run_lead_nowhere() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    fs::create_dir_all(worker.path("outside/artifacts")).unwrap();
    for name in ["secret", "stdout.1.log", "result.json", "run_bundle.zip", "artifacts/secret"] {
        fs::write(worker.path("outside").join(name), format!("{{\"status\": \"{SECRET}\"}}")).unwrap();
    }
    let outside = worker.path("outside");
    let leaks = |what: &str, plant: &dyn Fn(&Path)| {
        let id = worker.job(&json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}));
        worker.settled("/v1/jobs", &id);
        plant(&worker.run_folder(&id));
        for below in [
            "artifacts",
            "artifacts/artifacts/secret",
            "artifacts/artifacts/link",
            "artifacts/artifacts/dir/secret",
            "artifacts/artifacts/fifo",
            "result",
            "bundle",
            "bundle/debug",
            "logs",
            "logs/range?stream=stdout",
            "events/history",
        ] {
            let answer = worker.get(&format!("/v1/jobs/{id}/{below}"));
            // 500: what the worker wrote itself is broken, and its log says so.
            assert!([200, 404, 500].contains(&answer.status), "{what}: {below}: {}", answer.status);
            assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{what}: {below}");
        }
        for below in [
            "file?path=artifacts/secret",
            "file?path=artifacts/link",
            "file?path=artifacts/dir/secret",
            "file?path=artifacts/fifo",
            "files",
            "file?path=.audit/stdout.1.log",
            "protocol/history?stream=rasp",
        ] {
            let answer = worker.get(&format!("/v1/management/runs/{id}/{below}"));
            assert!([200, 404].contains(&answer.status), "{what}: {below}: {}", answer.status);
            assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{what}: {below}");
        }
        let page = worker.get(&format!("/ui/runs/{id}"));
        assert!(!String::from_utf8_lossy(&page.body).contains(SECRET), "{what}: the page");
    };
    let swap = |run: &Path, below: &str, to: &str| {
        let path = run.join(below);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        symlink(outside.join(to), path).unwrap();
    };
    leaks("a link to a file", &|run| symlink(outside.join("secret"), run.join("artifacts/link")).unwrap());
    leaks("a link to a folder", &|run| symlink(&outside, run.join("artifacts/dir")).unwrap());
    leaks("a pipe", &|run| nix::unistd::mkfifo(&run.join("artifacts/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap());
    leaks("artifacts itself", &|run| swap(run, "artifacts", "artifacts"));
    leaks("the result", &|run| swap(run, "result/result.json", "result.json"));
    leaks("the result's folder", &|run| swap(run, "result", ""));
    leaks("the bundle", &|run| swap(run, "bundle/run_bundle.zip", "run_bundle.zip"));
    leaks("the bundle's folder", &|run| swap(run, "bundle", ""));
    leaks("a log", &|run| swap(run, ".audit/stdout.1.log", "stdout.1.log"));
    leaks("the audit folder", &|run| swap(run, ".audit", ""));
    leaks("an event log", &|run| swap(run, ".audit/fcmp_events.1.jsonl", "secret"));
    leaks("a protocol log", &|run| swap(run, ".audit/events.1.jsonl", "secret"));
}

#[test]
fn links_that_an_agent_makes_while_it_runs_do_not_reach_the_bundle() {
    let setup = Setup::new().skill("demo");
    let secret = setup.dir.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let script = format!(
        "ln -s {0} artifacts/link; ln -s {1} artifacts/dir; ln {0} artifacts/twin; rm artifacts/twin; mkfifo artifacts/fifo\n\
         echo mine > artifacts/mine.html\n{2}",
        secret.display(),
        setup.dir.path().display(),
        codex_says(r#"{"answer": 1}"#)
    );
    let worker = setup.cli("codex", &script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/artifacts")).json()["artifacts"], json!(["artifacts/mine.html"]));
    for bundle in ["bundle", "bundle/debug"] {
        let body = worker.get(&format!("/v1/jobs/{id}/{bundle}")).body;
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body)).unwrap();
        for at in 0..zip.len() {
            let (mut text, mut entry) = (Vec::new(), zip.by_index(at).unwrap());
            entry.read_to_end(&mut text).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(SECRET), "{bundle}: {}", entry.name().unwrap());
        }
    }
    // What a browser could run is a download.
    let page = worker.get(&format!("/v1/jobs/{id}/artifacts/artifacts/mine.html"));
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/octet-stream")));
    assert!(page.header("content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

#[test]
fn an_archive_that_lies_is_refused_wherever_it_is_taken_and_leaves_nothing() {
    let setup = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "200000").env("TEMP_SKILL_PACKAGE_MAX_BYTES", "200000");
    let worker = setup.reader().start();
    let zeros = vec![0; 20 << 20];
    let bomb = zip(&[("paper", &zeros)]);
    let many: Vec<(String, &[u8])> = (0..10_001).map(|n| (format!("f{n}"), &b""[..])).collect();
    let many = zip(&many);
    let job = worker.job(&json!({"skill_id": "reader"}));
    let temp = worker.post("/v1/temp-skill-runs", &json!({})).json()["request_id"].as_str().unwrap().to_owned();
    for (archive, statuses) in [
        (bomb, [413, 413]),
        (many[..many.len().min(199_000)].to_vec(), [400, 413]),
        (zip(&[("paper", b"x"), ("../paper", b"x")]), [400, 400]),
        (zip(&[("a/../../paper", b"x")]), [400, 400]),
        (b"PK\x05\x06".to_vec(), [400, 400]),
    ] {
        for (path, field) in [
            (format!("/v1/jobs/{job}/upload"), "file"),
            (format!("/v1/temp-skill-runs/{temp}/upload"), "skill_package"),
        ] {
            let answer = worker.post_form(&path, &[(field, &archive)]);
            assert!(statuses.contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    for id in [&job, &temp] {
        let left: Vec<String> = skill_api::files::list_files(&worker.path("data/requests").join(id));
        assert_eq!(left, ["request.json"], "{left:?}");
    }
    let good = worker.post_form(&format!("/v1/jobs/{job}/upload"), &[("file", &zip(&[("paper", b"x")]))]);
    assert_eq!(good.status, 200);
}

#[test]
fn folders_that_an_agent_replaces_by_links_send_nothing_of_the_worker_elsewhere() {
    let setup = Setup::new().skill("demo");
    let outside = setup.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("result.json"), SECRET).unwrap();
    let script = format!(
        "[ -f .audit/stdout.1.log ] && [ -f .audit/stderr.1.log ] || exit 3\n\
         for name in result bundle .audit interactions; do mv $name old-$name; ln -s '{}' $name; done\n{}",
        outside.display(),
        codex_says(r#"{"answer": 1}"#)
    );
    let worker = setup.cli("codex", &script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!(status["status"], "succeeded", "{status}");
    assert_eq!(skill_api::files::list_files(&outside), ["result.json"]);
    assert_eq!(fs::read_to_string(outside.join("result.json")).unwrap(), SECRET);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/result")).json()["result"]["data"]["answer"], 1);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/bundle")).status, 200);
}

#[test]
fn a_result_that_cannot_be_kept_is_no_success() {
    let script = format!("mkdir -p result/result.json/x\n{}", codex_says(r#"{"answer": 1}"#));
    let worker = Setup::new().skill("demo").cli("codex", &script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("failed"), &json!("RUN_FOLDER_UNUSABLE")));
    assert!(status["error"]["message"].as_str().unwrap().contains("result/result.json"), "{status}");
    // Nor is it kept for the next one.
    assert_eq!(worker.post("/v1/jobs", &json!({"skill_id": "demo"})).json()["cache_hit"], false);
}

#[test]
fn an_input_that_is_replaced_while_its_run_waits_fails_that_run_and_holds_nothing_up() {
    let gate = format!("while [ ! -e ../../../go ]; do sleep 0.05; done\n{}", codex_says(r#"{"answer": 1}"#));
    let setup = Setup::new().skill("demo").cli("codex", &gate).env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let worker = setup.start();
    let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
    let first = worker.job(&body);
    worker.running(&first);
    let jobs: Vec<String> = (0..4).map(|_| worker.job(&body)).collect();
    let input = |n: usize| worker.run_folder(&jobs[n]).join("input.json");
    fs::remove_file(input(0)).unwrap();
    nix::unistd::mkfifo(&input(0), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::File::create(input(1)).unwrap().set_len(65 << 20).unwrap();
    fs::write(input(2), "{").unwrap();
    fs::write(worker.path("go"), "").unwrap();
    for (job, expected) in jobs.iter().zip(["not a regular file", "larger than 64 MiB", "EOF while parsing"]) {
        let status = worker.settled("/v1/jobs", job);
        assert_eq!(status["error"]["code"], "RUN_FOLDER_UNUSABLE", "{status}");
        let message = status["error"]["message"].as_str().unwrap();
        assert!(message.contains("input.json") && message.contains(expected), "{message}");
    }
    for job in [&first, &jobs[3]] {
        assert_eq!(worker.settled("/v1/jobs", job)["status"], "succeeded");
    }
}
