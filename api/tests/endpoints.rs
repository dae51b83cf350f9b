//! Every documented endpoint over HTTP against a running worker: its success and each of its failures.
//!
//! What the document says is the list: an operation or a status without a case here fails the test, and so does an answer
//! that its schema does not allow.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::{
    prover::{Proven, Prover, Send, operations},
    *,
};
use serde_json::{Value, json};
use std::{fs, io::Write, net::TcpStream, time::Duration};

fn id_of(answer: &Answer) -> String {
    answer.json()["request_id"].as_str().unwrap().to_owned()
}

/// One worker without Basic Auth: every success, and the failures that need no state of their own.
fn plain(proven: Proven) -> Proven {
    let setup = Setup::new()
        .skill("demo")
        .cli("codex", &format!("mkdir -p artifacts; echo hi > artifacts/a.txt; {}", codex_says(r#"{"answer": 1}"#)))
        .env("SKILL_API_UPLOAD_MAX_BYTES", "20000")
        .env("TEMP_SKILL_PACKAGE_MAX_BYTES", "20000")
        .reader();
    write_skill(&setup.skills(), "ask", &json!({"execution_modes": ["auto", "interactive"]}));
    fs::create_dir_all(setup.dir.path().join("skills/broken/assets")).unwrap();
    let mut all = Prover::new(setup.start(), proven);
    let big = vec![7u8; 30_000];

    for (path, _) in
        [("/", ()), ("/v1/system/ping", ()), ("/metrics", ()), ("/docs", ()), ("/redoc", ()), ("/openapi.json", ())]
    {
        all.get(path, &[], if path == "/v1/system/ping" { 204 } else { 200 });
    }
    all.get("/v1/skills", &[], 200);
    all.get("/v1/skills/{id}", &["demo"], 200);
    all.get("/v1/skills/{id}", &["none"], 404);
    all.get("/v1/skills/{id}", &["%ff"], 404);

    let installed = all.ask(
        "post",
        "/v1/skill-packages/install",
        &[],
        &Send::Form(&[("file", &package("fresh", &json!({})))]),
        200,
    );
    all.ask("post", "/v1/skill-packages/install", &[], &Send::Form(&[("file", &big)]), 413);
    all.ask("post", "/v1/skill-packages/install", &[], &Send::Form(&[("else", b"x")]), 422);
    all.get("/v1/skill-packages/{request_id}", &[&id_of(&installed)], 200);
    all.get("/v1/skill-packages/{request_id}", &["none"], 404);

    // One ended request of each kind, and one of each that waits for its upload.
    all.post("/v1/jobs", &[], json!({"skill_id": "demo", "parameter": {"n": "x"}}), 400);
    all.post("/v1/jobs", &[], json!({"skill_id": "none"}), 404);
    all.post("/v1/jobs", &[], json!({}), 422);
    all.post("/v1/jobs", &[], json!({"skill_id": "ask", "runtime_options": {"execution_mode": "interactive"}}), 501);
    let job =
        id_of(&all.post("/v1/jobs", &[], json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}), 200));
    let reader = json!({"skill_id": "reader", "model": "m", "input": {}});
    let open_job = id_of(&all.post("/v1/jobs", &[], reader.clone(), 200));
    let upload = "/v1/jobs/{id}/upload";
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", b"no zip")]), 400);
    all.ask("post", upload, &["none"], &Send::Form(&[("file", b"x")]), 404);
    all.ask("post", upload, &[&job], &Send::Form(&[("file", b"x")]), 409);
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", &big)]), 413);
    all.ask("post", upload, &[&open_job], &Send::Form(&[]), 422);
    all.ask("post", upload, &[&open_job], &Send::Form(&[("file", &zip(&[("paper.txt", b"p")]))]), 200);
    let still_open_job = id_of(&all.post("/v1/jobs", &[], reader, 200));
    all.post("/v1/temp-skill-runs", &[], json!({"engine": "nope"}), 400);
    all.ask("post", "/v1/engines/{engine}/models/snapshots", &["codex"], &Send::Raw(r#"{"models": [["m"]]}"#), 422);
    let huge = format!("\"{}\"", "x".repeat((8 << 20) + 8));
    for (method, path, _) in all.with_status(413) {
        if !all.document["paths"][&path][&method]["requestBody"]["content"]["application/json"].is_null() {
            let with: &[&str] = if path.contains('{') { &["x"] } else { &[] };
            all.ask(&method, &path, with, &Send::Raw(&huge), 413);
            // What is derived for named fields takes their values as a list too.
            for other in ["[[]]", r#"["demo"]"#, "null", "7"] {
                all.ask(&method, &path, with, &Send::Raw(other), 422);
            }
        }
    }
    all.ask("post", "/v1/temp-skill-runs", &[], &Send::Raw("{"), 422);
    let temp = id_of(&all.post("/v1/temp-skill-runs", &[], json!({"parameter": {"n": 1}}), 200));
    let upload = "/v1/temp-skill-runs/{id}/upload";
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", b"no zip")]), 400);
    all.ask("post", upload, &["none"], &Send::Form(&[("skill_package", b"x")]), 404);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", &big)]), 413);
    all.ask("post", upload, &[&temp], &Send::Form(&[("file", b"x")]), 422);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", &package("passing", &json!({})))]), 200);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", b"x")]), 409);
    let open_temp = id_of(&all.post("/v1/temp-skill-runs", &[], json!({}), 200));

    for (prefix, id, open) in [("/v1/jobs", &job, &still_open_job), ("/v1/temp-skill-runs", &temp, &open_temp)] {
        assert_eq!(all.worker.settled(prefix, id)["status"], "succeeded");
        for below in [
            "",
            "/result",
            "/artifacts",
            "/bundle",
            "/bundle/debug",
            "/logs",
            "/events",
            "/events/history",
            "/interaction/pending",
        ] {
            all.get(&format!("{prefix}/{{id}}{below}"), &[id], 200);
            all.get(&format!("{prefix}/{{id}}{below}"), &["none"], 404);
        }
        for below in ["", "/events/history", "/interaction/pending"] {
            all.get(&format!("{prefix}/{{id}}{below}"), &[open], 200);
        }
        all.get(&format!("{prefix}/{{id}}/result"), &[open], 404);
        all.get(&format!("{prefix}/{{id}}/events"), &[id, "?cursor=x"], 422);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_seq=2&limit=1"], 200);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_ts=yesterday"], 400);
        all.get(&format!("{prefix}/{{id}}/events/history"), &[id, "?from_seq=x"], 422);
        let range = format!("{prefix}/{{id}}/logs/range");
        all.get(&range, &[id, "?stream=stdout&byte_from=0&byte_to=5"], 200);
        all.get(&range, &[id, "?stream=x"], 400);
        all.get(&range, &["none", "?stream=stdout"], 404);
        all.get(&range, &[id], 422);
        let artifact = format!("{prefix}/{{id}}/artifacts/{{path}}");
        all.get(&artifact, &[id, "artifacts/a.txt"], 200);
        all.get(&artifact, &[id, "result/result.json"], 400);
        all.get(&artifact, &[id, "artifacts/none"], 404);
        let reply = format!("{prefix}/{{id}}/interaction/reply");
        let answer = json!({"interaction_id": 1, "response": "yes"});
        all.post(&reply, &[id], answer.clone(), 400);
        all.post(&reply, &["none"], answer, 404);
        all.ask("post", &reply, &[id], &Send::Raw("{"), 422);
        all.ask("post", &format!("{prefix}/{{id}}/cancel"), &[id], &Send::Nothing, 200);
        all.ask("post", &format!("{prefix}/{{id}}/cancel"), &["none"], &Send::Nothing, 404);
    }

    all.get("/v1/engines", &[], 200);
    all.get("/v1/engines/auth-status", &[], 200);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": [{"id": "m"}]}), 200);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": [{"id": "m"}]}), 409);
    all.post("/v1/engines/{engine}/models/snapshots", &["none"], json!({"models": []}), 404);
    all.post("/v1/engines/{engine}/models/snapshots", &["codex"], json!({"models": 1}), 422);
    for below in ["models", "models/manifest", "sandbox"] {
        all.get(&format!("/v1/engines/{{engine}}/{below}"), &["codex"], 200);
        all.get(&format!("/v1/engines/{{engine}}/{below}"), &["none"], 404);
    }
    let upgrade = id_of(&all.post("/v1/engines/upgrades", &[], json!({"mode": "single", "engine": "codex"}), 200));
    all.post("/v1/engines/upgrades", &[], json!({"mode": "some"}), 422);
    all.get("/v1/engines/upgrades/{id}", &[&upgrade], 200);
    all.get("/v1/engines/upgrades/{id}", &["none"], 404);

    for path in ["/skills", "/engines", "/concurrency", "/runs"] {
        all.get(&format!("/v1/management{path}"), &[], 200);
    }
    all.get("/v1/management/runs", &["?page=x"], 422);
    for (path, name) in [("/skills/{id}", "demo"), ("/skills/{id}/schemas", "demo"), ("/engines/{engine}", "codex")] {
        all.get(&format!("/v1/management{path}"), &[name], 200);
        all.get(&format!("/v1/management{path}"), &["none"], 404);
    }
    let broken = all.worker.path("skills/ask/assets/output.schema.json");
    fs::write(broken, "{").unwrap();
    all.get("/v1/management/skills/{id}/schemas", &["ask"], 409);
    for below in ["", "/files", "/events", "/events/history", "/pending"] {
        all.get(&format!("/v1/management/runs/{{id}}{below}"), &[&job], 200);
        all.get(&format!("/v1/management/runs/{{id}}{below}"), &["none"], 404);
    }
    all.get("/v1/management/runs/{id}/events", &[&job, "?cursor=x"], 422);
    all.get("/v1/management/runs/{id}/events/history", &[&job, "?to_ts=now"], 400);
    all.get("/v1/management/runs/{id}/events/history", &[&job, "?to_seq=x"], 422);
    for (below, good, bad) in [
        ("/file", "?path=result/result.json", "?path=../x"),
        ("/protocol/history", "?stream=rasp", "?stream=x"),
        ("/logs/range", "?stream=stderr", "?stream=x"),
    ] {
        let path = format!("/v1/management/runs/{{id}}{below}");
        all.get(&path, &[&job, good], 200);
        all.get(&path, &[&job, bad], 400);
        all.get(&path, &["none", good], 404);
        all.get(&path, &[&job], 422);
    }
    let answer = json!({"interaction_id": 1, "response": "yes"});
    all.post("/v1/management/runs/{id}/reply", &[&job], answer.clone(), 409);
    all.post("/v1/management/runs/{id}/reply", &["none"], answer, 404);
    all.ask("post", "/v1/management/runs/{id}/reply", &[&job], &Send::Raw("{"), 422);
    all.ask("post", "/v1/management/runs/{id}/cancel", &[&job], &Send::Nothing, 200);
    all.ask("post", "/v1/management/runs/{id}/cancel", &["none"], &Send::Nothing, 404);
    all.ask("post", "/v1/jobs/cleanup", &[], &Send::Nothing, 200);

    // The login flows: places that are kept.
    for (method, path) in operations(&all.document.clone()) {
        if all.document["paths"][&path][&method]["tags"][0] == "engine login" {
            let parameters = path.matches('{').count();
            all.ask(&method, &path, &["x"; 2][..parameters], &Send::Json(json!({"engine": "codex"})), 501);
        }
    }

    all.proven
}

/// What is busy: a full queue, an upgrade under way, packages that wait, a run that has not begun or asks nobody.
fn busy(proven: Proven) -> Proven {
    let setup = Setup::new()
        .skill("demo")
        .cli("codex", "exec sleep 1000")
        .init("exec sleep 1000")
        .env("SKILL_RUNNER_MAX_CONCURRENT", "1")
        .env("SKILL_RUNNER_MAX_QUEUE_SIZE", "1")
        .reader();
    write_skill(&setup.skills(), "talker", &json!({"execution_modes": ["auto", "interactive"]}));
    let mut all = Prover::new(setup.start(), proven);
    let open = id_of(&all.post("/v1/jobs", &[], json!({"skill_id": "reader"}), 200));
    let temp = id_of(&all.post("/v1/temp-skill-runs", &[], json!({}), 200));
    let talk = json!({"runtime_options": {"execution_mode": "interactive"}});
    let talker = id_of(&all.post("/v1/temp-skill-runs", &[], talk, 200));
    let modes = json!({"execution_modes": ["auto", "interactive"]});
    let package_of = |id: &str| package(id, &modes);
    let upload = "/v1/temp-skill-runs/{id}/upload";
    all.ask("post", upload, &[&talker], &Send::Form(&[("skill_package", &package_of("talker"))]), 501);
    for (prefix, id) in [("/v1/jobs", &open), ("/v1/temp-skill-runs", &temp)] {
        all.ask("post", &format!("{prefix}/{{id}}/cancel"), &[id], &Send::Nothing, 409);
    }
    all.ask("post", "/v1/management/runs/{id}/cancel", &[&open], &Send::Nothing, 409);

    let body = || json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
    let running = id_of(&all.post("/v1/jobs", &[], body(), 200));
    all.worker.running(&running);
    all.post("/v1/jobs", &[], body(), 200);
    all.post("/v1/jobs", &[], body(), 429);
    all.ask("post", "/v1/jobs/{id}/upload", &[&open], &Send::Form(&[("file", &zip(&[("paper", b"x")]))]), 429);
    all.ask("post", upload, &[&temp], &Send::Form(&[("skill_package", &package_of("passing"))]), 429);

    let upgrades = "/v1/engines/upgrades";
    all.post(upgrades, &[], json!({"mode": "single", "engine": "codex"}), 200);
    all.post(upgrades, &[], json!({"mode": "all"}), 409);

    // Two are unpacked at a time and 16 wait; none begins while this is held.
    let app = all.worker.app.clone();
    let held = all.worker.block_on(app.no_installs(HANG)).expect("nothing is being installed");
    let install = "/v1/skill-packages/install";
    let waiting: Vec<String> = (0..18)
        .map(|n| id_of(&all.ask("post", install, &[], &Send::Form(&[("file", &package_of(&format!("p{n}")))]), 200)))
        .collect();
    for _ in 0..2 {
        all.ask("post", install, &[], &Send::Form(&[("file", &package_of("late"))]), 429);
    }
    drop(held);
    for id in &waiting {
        becomes("it is installed", || {
            all.worker.get(&format!("/v1/skill-packages/{id}")).json()["status"] == "succeeded"
        });
    }
    becomes("there is room again", || all.worker.post_form(install, &[("file", &package_of("late"))]).status == 200);
    assert_eq!(all.worker.get("/v1/skills/p17").status, 200);

    // No client can make an interactive run yet: the row says that it is one.
    let database = rusqlite::Connection::open(all.worker.path("data/skill_api.db")).unwrap();
    database.busy_timeout(HANG).unwrap();
    database
        .execute(
            "UPDATE requests SET options = '{\"execution_mode\": \"interactive\"}' WHERE request_id = ?1",
            [&running],
        )
        .unwrap();
    let reply = json!({"interaction_id": 1, "response": "yes"});
    all.post("/v1/jobs/{id}/interaction/reply", &[&running], reply.clone(), 409);
    database.execute("UPDATE requests SET kind = 'temp' WHERE request_id = ?1", [&running]).unwrap();
    all.post("/v1/temp-skill-runs/{id}/interaction/reply", &[&running], reply, 409);
    all.proven
}

/// With Basic Auth on everything, and from a page of another site; the login flows keep their places.
fn guarded(proven: Proven) -> Proven {
    let worker = Setup::new().skill("demo").guarded("u", "p").env("UI_BASIC_AUTH_SCOPE", "all").start();
    let document = request(worker.address, "GET", "/openapi.json", &[], b"").json();
    let mut all = Prover::new(worker, proven);
    assert_eq!(all.document, document);
    for (status, headers) in
        [(401, &[][..]), (403, &[("sec-fetch-site", "cross-site"), ("authorization", "Basic dTpw")][..])]
    {
        for (method, path, concrete) in all.with_status(status) {
            let answer = request(all.worker.address, &method.to_ascii_uppercase(), &concrete, headers, b"");
            assert_eq!(answer.status, status, "{method} {concrete}");
            all.accept(&method, &path, &concrete, &answer);
        }
    }
    all.proven
}

/// Bodies that stop before their end, all at the same time.
fn cut_off(proven: Proven) -> Proven {
    let setup = Setup::new().skill("demo").reader();
    let mut config = setup.config();
    config.patience = Duration::from_secs(5);
    let mut all = Prover::new(setup.start_with(config), proven);
    let open = id_of(&awaited("a job", || {
        Some(all.worker.post("/v1/jobs", &json!({"skill_id": "reader"}))).filter(|answer| answer.status == 200)
    }));
    let temp = id_of(&all.worker.post("/v1/temp-skill-runs", &json!({})));
    let asked: Vec<_> = all
        .with_status(408)
        .into_iter()
        .map(|(method, path, concrete)| {
            let id = if path.starts_with("/v1/temp") { &temp } else { &open };
            let concrete = concrete.replace("/x/", &format!("/{id}/"));
            let form = !all.document["paths"][&path][&method]["requestBody"]["content"]["multipart/form-data"].is_null();
            let (kind, begun) = match form {
                true => ("multipart/form-data; boundary=B", "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nPK"),
                false => ("application/json", "{\"skill_id\":"),
            };
            let mut stream = TcpStream::connect(all.worker.address).unwrap();
            let head = format!("POST {concrete} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: 999\r\n\r\n");
            stream.write_all(format!("{head}{begun}").as_bytes()).unwrap();
            (method, path, stream)
        })
        .collect();
    assert!(asked.len() >= 9, "{asked:?}");
    for (method, path, stream) in asked {
        let answer = read_answer(stream, &path);
        assert_eq!(answer.status, 408, "{path}: {}", String::from_utf8_lossy(&answer.body));
        all.accept(&method, &path, &path, &answer);
    }
    all.proven
}

#[test]
fn every_operation_answers_its_success_and_each_of_its_failures_as_the_document_says() {
    let proven = cut_off(guarded(busy(plain(Proven::new()))));
    // With auth on everything the document names every status that there is.
    let worker = Setup::new().guarded("u", "p").env("UI_BASIC_AUTH_SCOPE", "all").start();
    let document: Value = worker.get("/openapi.json").json();
    let mut missing = Vec::new();
    for (method, path) in operations(&document) {
        let proven = proven.get(&(method.clone(), path.clone())).cloned().unwrap_or_default();
        for status in document["paths"][&path][&method]["responses"].as_object().unwrap().keys() {
            // 5XX: a fault, a full volume, a stop, which are no client's to ask for.
            let Ok(status) = status.parse::<u16>() else { continue };
            // No run waits for its user yet, so no reply is taken.
            let not_yet = path.ends_with("/reply") && status == 200;
            if !proven.contains(&status) && !not_yet {
                missing.push(format!("{method} {path}: {status}"));
            }
        }
    }
    assert!(missing.is_empty(), "no case for:\n{}", missing.join("\n"));
}
