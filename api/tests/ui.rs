//! The pages over HTTP: every one with its success, its failure, its headers; hostile names and contents stay text.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;
use base64::{Engine, engine::general_purpose::STANDARD};
use common::*;
use serde_json::json;
use std::{collections::BTreeSet, fs, net::SocketAddr, os::unix::fs::symlink};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const EVIL: &str = "<script>alert(1)</script>\"'&{{ 7*7 }}";

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn page(worker: &Worker, path: &str) -> String {
    let answer = request(worker.address, "GET", path, &[HTML], b"");
    assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    text(&answer)
}

/// A form as a browser sends it; a file is `(name, Some(file name), content)`.
fn send(address: SocketAddr, path: &str, parts: &[(&str, Option<&str>, &str)]) -> Answer {
    let mut body = String::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.push_str(&format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"));
    }
    body.push_str("--B--\r\n");
    request(address, "POST", path, &[("content-type", "multipart/form-data; boundary=B"), HTML], body.as_bytes())
}

fn with_engine() -> Setup {
    let answer = codex_says(r#"{"answer": 42, "__SKILL_DONE__": true}"#);
    Setup::new().skill("demo").cli("codex", &format!("echo bye >&2\necho made > artifacts/made.txt\n{answer}"))
}

/// A run that a page started; its id.
fn started(worker: &Worker, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", text(answer));
    let id = answer.header("location").unwrap().strip_prefix("/ui/runs/").unwrap().to_owned();
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
    id
}

#[test]
fn every_page_answers_and_says_what_may_run_in_it() {
    let worker = with_engine().start();
    let id = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    for (path, has) in [
        ("/ui", "demo"),
        ("/ui/skills/demo", "Run skill"),
        ("/ui/skills/demo/view?path=SKILL.md", "# demo"),
        ("/ui/runs", "succeeded"),
        ("/ui/runs?status=succeeded&page=1", "demo"),
        ("/ui/engines", "workspace-write"),
        ("/ui/engines/codex/models", "Models of codex"),
        (&format!("/ui/runs/{id}"), "42"),
        (&format!("/ui/runs/{id}?from=1"), "conversation-started"),
        (&format!("/ui/runs/{id}/view?path=artifacts/made.txt"), "made"),
    ] {
        let answer = request(worker.address, "GET", path, &[HTML], b"");
        let body = text(&answer);
        assert!(answer.status == 200 && body.contains(has), "{path}: {} {body}", answer.status);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'; style-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-src http://x:7681 https://x:7681") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        for mark in
            ["<!doctype html>", "<html lang=\"en\">", "class=\"skip\"", "<main id=\"main\"", "<nav aria-label", "<h1"]
        {
            assert!(body.contains(mark), "{path}: {mark}");
        }
        assert!(!body.contains(" style=") && !body.contains("onclick"), "{path}");
    }
    for (path, has) in [
        ("/ui/load", "progress"),
        ("/ui/management/skills/table", "demo"),
        ("/ui/management/engines/table", "codex"),
        ("/ui/management/runs/table", "demo"),
        (&format!("/ui/management/runs/{id}/view"), "run_bundle.zip"),
    ] {
        let part = page(&worker, path);
        assert!(part.contains(has) && !part.contains("<html"), "{path}: {part}");
    }
    for (name, kind) in [("app.css", "text/css"), ("app.js", "text/javascript"), ("icon.svg", "image/svg+xml")] {
        let asset = worker.get(&format!("/ui/assets/{name}?x"));
        assert!(asset.status == 200 && asset.header("content-type").unwrap().starts_with(kind), "{name}");
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
    }
    assert_eq!(worker.get("/ui/").status, 308);
    let tail = worker.get(&format!("/ui/runs/{id}/logs/tail"));
    assert_eq!((tail.status, text(&tail).as_str()), (200, "bye\n"));
    let download = worker.get(&format!("/ui/runs/{id}/download?path=artifacts/made.txt"));
    assert_eq!((download.status, text(&download).as_str()), (200, "made\n"));
    assert!(download.header("content-disposition").unwrap().starts_with("attachment"));
}

#[test]
fn errors_are_pages_for_browsers_and_json_for_tools() {
    let worker = with_engine().start();
    for (method, path, status) in [
        ("GET", "/ui/nowhere", 404),
        ("GET", "/ui/skills/none", 404),
        ("GET", "/ui/skills/none/view?path=x", 404),
        ("GET", "/ui/skills/demo/view?path=none.txt", 404),
        ("GET", "/ui/skills/demo/view", 422),
        ("GET", "/ui/runs/none", 404),
        ("GET", "/ui/runs?status=odd", 400),
        ("GET", "/ui/engines/none/models", 404),
        ("GET", "/ui/engines/upgrades/none/status", 404),
        ("GET", "/ui/assets/none.css", 404),
        ("POST", "/ui/runs/none/cancel", 404),
        ("POST", "/ui", 405),
    ] {
        let answer = request(worker.address, method, path, &[HTML], b"");
        let body = text(&answer);
        assert_eq!(answer.status, status, "{path}: {body}");
        assert!(body.contains("<h1>") && body.contains("<main"), "{path}: {body}");
        assert!(answer.header("content-security-policy").unwrap().contains("style-src 'self'"), "{path}");
        let tool = request(worker.address, method, path, &[], b"");
        assert_eq!(tool.status, status, "{path}");
        assert!(!tool.json()["detail"].is_null(), "{path}");
    }
}

#[test]
fn what_skills_files_and_forms_say_stays_text_and_paths_stay_inside() {
    let setup = with_engine();
    let skills = setup.dir.path().join("skills");
    write_skill(&skills, "evil", &json!({"name": EVIL, "description": EVIL, "version": EVIL}));
    fs::write(
        skills.join("evil/assets/input.schema.json"),
        json!({"type": "object", "properties": {
        EVIL: {"type": "string", "x-input-source": "inline", "title": EVIL, "description": EVIL, "default": EVIL},
        "pick": {"enum": [EVIL], "x-input-source": "inline"}}})
        .to_string(),
    )
    .unwrap();
    fs::write(skills.join("evil").join("<img src=x onerror=alert(1)>.md"), EVIL).unwrap();
    fs::write(skills.join("evil/blob"), [0, 159, 146, 150]).unwrap();
    fs::write(skills.join("evil/large.txt"), "a".repeat(300 * 1024)).unwrap();
    fs::write(setup.dir.path().join("secret"), "top secret").unwrap();
    symlink(setup.dir.path().join("secret"), skills.join("evil/link")).unwrap();
    fs::create_dir_all(skills.join(EVIL.replace('/', "_"))).unwrap();
    let worker = setup.start();
    for path in [
        "/ui",
        "/ui/skills/evil",
        "/ui/skills/evil/view?path=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.md",
        "/ui/skills/evil/view?path=assets/runner.json",
    ] {
        let body = page(&worker, path);
        assert!(!body.contains("<script>alert") && !body.contains("<img src=x"), "{path}: {body}");
        assert!(body.contains("&lt;script&gt;") && !body.contains("49}") && !body.contains("&amp;49"), "{path}");
    }
    let refused = send(
        worker.address,
        "/ui/skills/evil/run",
        &[("engine", None, EVIL), ("model", None, EVIL), ("timeout", None, EVIL)],
    );
    assert!(refused.status == 422 && !text(&refused).contains("<script>alert"), "{}", text(&refused));
    assert!(page(&worker, "/ui/skills/evil/view?path=blob").contains("binary file"));
    assert!(page(&worker, "/ui/skills/evil/view?path=large.txt").contains("first 256 KiB"));
    let chinese = request(worker.address, "GET", "/ui", &[HTML, ("accept-language", "zh-CN,zh;q=0.9")], b"");
    assert!(text(&chinese).contains("<html lang=\"zh\">") && text(&chinese).contains("安装技能"));
    for bad in ["..%2F..%2Fsecret", "link", "%2Fetc%2Fpasswd", "a%00b", "assets", "..", ""] {
        let answer = worker.get(&format!("/ui/skills/evil/view?path={bad}"));
        assert!(
            [400, 404].contains(&answer.status) && !text(&answer).contains("top secret"),
            "{bad}: {}",
            answer.status
        );
    }
    let id = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    for bad in ["../../skill_api.db", "%2Fetc%2Fpasswd", "..", "artifacts"] {
        for route in ["view", "download"] {
            let answer = worker.get(&format!("/ui/runs/{id}/{route}?path={bad}"));
            assert!([400, 404].contains(&answer.status), "{route} {bad}: {}", answer.status);
        }
    }
}

#[test]
fn a_form_with_mistakes_comes_back_with_each_at_its_field_and_starts_nothing() {
    let setup = with_engine();
    let assets = setup.dir.path().join("skills/demo/assets");
    fs::write(
        assets.join("input.schema.json"),
        json!({"type": "object", "required": ["paper", "topic"], "properties": {
        "paper": {"type": "string", "extensions": ["txt"]},
        "topic": {"type": "string", "minLength": 3, "x-input-source": "inline"}}})
        .to_string(),
    )
    .unwrap();
    let worker = setup.start();
    let refused = send(
        worker.address,
        "/ui/skills/demo/run",
        &[
            ("engine", None, "codex"),
            ("input.topic", None, "ab"),
            ("parameter.n", None, "many"),
            ("input.paper", Some(""), ""),
        ],
    );
    let body = text(&refused);
    assert_eq!(refused.status, 422, "{body}");
    for field in ["input.paper", "input.topic", "parameter.n"] {
        assert!(
            body.contains(&format!("id=\"{field}-error\"")) && body.contains(&format!("href=\"#{field}\"")),
            "{field}: {body}"
        );
    }
    assert!(
        body.contains("value=\"many\"") && body.contains("aria-invalid=\"true\"") && body.contains("role=\"alert\"")
    );
    assert!(body.contains("This is not a number."));
    let unknown = send(
        worker.address,
        "/ui/skills/demo/run",
        &[("engine", None, "none"), ("input.topic", None, "abc"), ("input.paper", Some("a.txt"), "x")],
    );
    assert!(unknown.status == 400 && text(&unknown).contains("is unknown"), "{}", text(&unknown));
    assert_eq!(worker.get("/v1/management/runs").json()["total"], 0);
    let good = send(
        worker.address,
        "/ui/skills/demo/run",
        &[
            ("engine", None, "codex"),
            ("input.topic", None, "cats"),
            ("parameter.n", None, "7"),
            ("no_cache", None, "on"),
            ("input.paper", Some("../My Paper.txt"), "the paper"),
        ],
    );
    let id = started(&worker, &good);
    let input: serde_json::Value =
        serde_json::from_slice(&fs::read(worker.run_folder(&id).join("input.json")).unwrap()).unwrap();
    assert_eq!((&input["input"]["topic"], &input["parameter"]), (&json!("cats"), &json!({"n": 7})));
    assert_eq!(fs::read_to_string(worker.run_folder(&id).join("uploads/paper.txt")).unwrap(), "the paper");
    let left: Vec<_> = fs::read_dir(worker.path("data/requests")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".upload")), "{left:?}");
}

#[test]
fn a_file_that_is_not_required_reaches_the_run_too() {
    let setup = with_engine();
    let schema = json!({"type": "object", "properties": {"extra": {"type": "string"}}});
    fs::write(setup.dir.path().join("skills/demo/assets/input.schema.json"), schema.to_string()).unwrap();
    let worker = setup.start();
    let sent = send(
        worker.address,
        "/ui/skills/demo/run",
        &[("engine", None, "codex"), ("input.extra", Some("e.md"), "more")],
    );
    let id = started(&worker, &sent);
    assert_eq!(fs::read_to_string(worker.run_folder(&id).join("uploads/extra.md")).unwrap(), "more");
    started(
        &worker,
        &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex"), ("input.extra", Some(""), "")]),
    );
}

#[test]
fn a_run_can_be_canceled_from_its_page_and_the_head_shows_the_load() {
    let setup = Setup::new().skill("demo").cli("codex", "exec sleep 1000").env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    fs::write(
        setup.dir.path().join("data/concurrency.json"),
        r#"{"max_concurrent": 1, "max_queue_size": 9, "binds": "memory", "advice": "raise the memory limit"}"#,
    )
    .unwrap();
    let worker = setup.start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let sent = send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex"), ("no_cache", None, "on")]);
        ids.push(sent.header("location").unwrap().to_owned());
    }
    let load = awaited("one runs and one waits", || {
        let load = page(&worker, "/ui/load").split_whitespace().collect::<Vec<_>>().join(" ");
        let both = ["<strong>1</strong> <span>of 1</span>", "<strong>1</strong> <span>of 9</span>"];
        both.iter().all(|part| load.contains(part)).then_some(load)
    });
    assert!(load.contains("memory") && load.contains("raise the memory limit"), "{load}");
    let load = worker.get("/v1/management/concurrency").json();
    assert_eq!((&load["binds"], &load["advice"]), (&json!("memory"), &json!("raise the memory limit")));
    let running = page(&worker, &ids[0]);
    assert!(running.contains("data-events=\"/v1/jobs/") && running.contains("/cancel"), "{running}");
    for path in ids.iter().rev() {
        let answer = request(worker.address, "POST", &format!("{path}/cancel"), &[("origin", "http://x")], b"");
        assert_eq!((answer.status, answer.header("location")), (303, Some(path.as_str())));
        let id = path.strip_prefix("/ui/runs/").unwrap();
        assert_eq!(worker.settled("/v1/jobs", id)["status"], "canceled");
        assert!(page(&worker, path).contains("badge canceled") && !page(&worker, path).contains("data-events"));
    }
}

#[test]
fn a_request_that_waits_for_its_files_has_a_page_too() {
    let setup = with_engine();
    let schema = json!({"type": "object", "required": ["paper"], "properties": {"paper": {"type": "string"}}});
    fs::write(setup.dir.path().join("skills/demo/assets/input.schema.json"), schema.to_string()).unwrap();
    let worker = setup.start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    assert!(page(&worker, &format!("/ui/runs/{id}")).contains("Waiting for its files"));
    assert_eq!(worker.get(&format!("/ui/runs/{id}/view?path=input.json")).status, 404);
}

#[test]
fn a_finished_run_of_a_hundred_thousand_events_is_shown_in_pages() {
    let mut script = "seq -f line-%.0f 0 99999\n".to_owned();
    script.push_str(&codex_says(r#"{"answer": 1}"#));
    let worker = Setup::new().skill("demo").cli("codex", &script).start();
    let id = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    let last = page(&worker, &format!("/ui/runs/{id}"));
    assert!(last.contains("conversation-completed") && !last.contains("line-99000<"), "{}", last.len());
    assert!(last.len() < 120_000, "{}", last.len());
    assert_eq!(last.matches("<li class=\"line ").count(), 200);
    let first = page(&worker, &format!("/ui/runs/{id}?from=1"));
    assert!(first.contains("line-0<") && first.contains(&format!("/ui/runs/{id}?from=201")), "{first}");
    let middle = page(&worker, &format!("/ui/runs/{id}?from=50001"));
    assert!(middle.contains("from=49801") && middle.contains("from=50201"));
    assert_eq!(middle.matches("<li class=\"line ").count(), 200);
}

#[test]
fn pages_are_behind_basic_auth_and_their_forms_behind_their_own_site() {
    let worker = with_engine()
        .env("UI_BASIC_AUTH_ENABLED", "true")
        .env("UI_BASIC_AUTH_USERNAME", "käthe")
        .env("UI_BASIC_AUTH_PASSWORD", "pa:ß wort")
        .start();
    let basic = format!("Basic {}", STANDARD.encode("käthe:pa:ß wort"));
    let known = ("authorization", basic.as_str());
    for path in [
        "/ui",
        "/ui/runs",
        "/ui/engines",
        "/ui/load",
        "/ui/skills/demo",
        "/ui/assets/app.js",
        "/ui/nowhere",
        "/ui/skills/demo/view?path=SKILL.md",
        "/ui/engines/tui/session",
    ] {
        let refused = request(worker.address, "GET", path, &[HTML], b"");
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").unwrap().contains("realm="), "{path}");
        let body = text(&refused);
        assert!(body.contains("Sign in") && body.contains("Authentication required"), "{path}: {body}");
        let tool = request(worker.address, "GET", path, &[], b"");
        assert_eq!(tool.json()["detail"], "Authentication required", "{path}");
        let wanted = if path == "/ui/nowhere" { 404 } else { 200 };
        assert_eq!(request(worker.address, "GET", path, &[HTML, known], b"").status, wanted, "{path}");
    }
    for headers in [[known, ("sec-fetch-site", "cross-site")], [known, ("origin", "http://evil.example")]] {
        for path in ["/ui/skills/demo/run", "/ui/engines/upgrades", "/ui/runs/x/cancel"] {
            assert_eq!(request(worker.address, "POST", path, &headers, b"").status, 403, "{path}");
        }
    }
    let own = request(worker.address, "POST", "/ui/runs/x/cancel", &[known, ("sec-fetch-site", "same-origin")], b"");
    assert_eq!(own.status, 404);
}

#[test]
fn an_update_is_started_by_a_form_and_shows_how_it_goes() {
    let setup = Setup::new().cli("codex", "exit 1");
    let gate = setup.dir.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done\necho 'added <b>1</b> package'", gate.display());
    let worker = setup.init(&script).start();
    let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
    let go = |body: &str| request(worker.address, "POST", "/ui/engines/upgrades", &form, body.as_bytes());
    let answer = go("mode=single&engine=codex");
    assert_eq!(answer.status, 303, "{}", text(&answer));
    let shown = page(&worker, answer.header("location").unwrap());
    assert!(shown.contains("badge running") && shown.contains("disabled") && shown.contains("/status\""), "{shown}");
    let second = go("mode=all");
    assert!(second.status == 409 && text(&second).contains("under way"));
    fs::write(&gate, "").unwrap();
    let id = answer.header("location").unwrap().rsplit('=').next().unwrap().to_owned();
    let part = awaited("the upgrade ends", || {
        Some(page(&worker, &format!("/ui/engines/upgrades/{id}/status")))
            .filter(|part| part.contains("data-ended=\"1\""))
    });
    assert!(part.contains("badge succeeded") && part.contains("added &lt;b&gt;1"), "{part}");
    assert!(page(&worker, "/ui/engines").contains(&id) || page(&worker, "/ui/engines").contains("Last update"));
    assert_eq!(go("mode=odd").status, 422);
}

#[test]
fn the_terminals_state_is_said_and_never_waited_for_by_a_page() {
    let off = Setup::new().env("SKILL_INIT_TTYD", "off").start();
    let session = off.get("/ui/engines/tui/session").json();
    assert_eq!(session["state"], "off", "{session}");
    assert!(session["message"].as_str().unwrap().contains("switched off"));
    let gateway = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("0.0.0.0:{}", gateway.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for clients in [0, 1] {
            let (mut stream, _) = gateway.accept().unwrap();
            // The whole question: what is left unread when the socket closes would cut the answer off.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let n = std::io::Read::read(&mut stream, &mut piece).unwrap();
                assert!(n > 0);
                asked.extend_from_slice(&piece[..n]);
            }
            let body =
                format!("skill_init_terminal_clients {clients}\nskill_init_service_ready{{service=\"ttyd\"}} 1\n");
            std::io::Write::write_all(&mut stream, format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    let worker = Setup::new().env("SKILL_INIT_HTTP_ADDR", &address).env("UI_SHELL_TTYD_PORT", "7999").start();
    let states = [0, 1].map(|_| worker.get("/ui/engines/tui/session").json());
    assert_eq!((&states[0]["state"], &states[0]["port"]), (&json!("free"), &json!(7999)));
    assert_eq!(states[1]["state"], "taken");
    let gone = worker.get("/ui/engines/tui/session").json();
    assert_eq!(gone["state"], "unknown");
    assert!(page(&worker, "/ui/engines").contains("data-port=\"7999\""));
}

/// Every route of the pages: how it is asked, a success, a failure. `RUN` and `UPGRADE` are ids.
const ROUTES: &[(&str, &str, &str, u16, &str, u16)] = &[
    ("GET", "/ui", "/ui", 200, "/ui/nowhere", 404),
    ("GET", "/ui/", "/ui/", 308, "/ui//", 404),
    ("GET", "/ui/load", "/ui/load", 200, "/ui/load/x", 404),
    ("GET", "/ui/assets/{name}", "/ui/assets/app.js", 200, "/ui/assets/none", 404),
    ("GET", "/ui/skills", "/ui/skills", 308, "/ui/skills/", 404),
    ("GET", "/ui/skills/{id}", "/ui/skills/demo", 200, "/ui/skills/none", 404),
    ("GET", "/ui/skills/{id}/view", "/ui/skills/demo/view?path=SKILL.md", 200, "/ui/skills/demo/view", 422),
    ("POST", "/ui/skills/{id}/run", "/ui/skills/demo/run", 303, "/ui/skills/none/run", 404),
    ("GET", "/ui/engines", "/ui/engines", 200, "/ui/engines/", 404),
    ("POST", "/ui/engines/upgrades", "/ui/engines/upgrades", 303, "/ui/engines/upgrades/", 404),
    (
        "GET",
        "/ui/engines/upgrades/{id}/status",
        "/ui/engines/upgrades/UPGRADE/status",
        200,
        "/ui/engines/upgrades/none/status",
        404,
    ),
    ("GET", "/ui/engines/tui/session", "/ui/engines/tui/session", 200, "/ui/engines/tui", 404),
    ("GET", "/ui/engines/{engine}/models", "/ui/engines/codex/models", 200, "/ui/engines/none/models", 404),
    ("GET", "/ui/runs", "/ui/runs", 200, "/ui/runs?status=odd", 400),
    ("GET", "/ui/runs/{id}", "/ui/runs/RUN", 200, "/ui/runs/none", 404),
    ("GET", "/ui/runs/{id}/view", "/ui/runs/RUN/view?path=input.json", 200, "/ui/runs/RUN/view?path=../x", 400),
    (
        "GET",
        "/ui/runs/{id}/download",
        "/ui/runs/RUN/download?path=input.json",
        200,
        "/ui/runs/RUN/download?path=none",
        404,
    ),
    ("GET", "/ui/runs/{id}/logs/tail", "/ui/runs/RUN/logs/tail", 200, "/ui/runs/RUN/logs/tail?stream=pty", 400),
    ("POST", "/ui/runs/{id}/cancel", "/ui/runs/RUN/cancel", 303, "/ui/runs/none/cancel", 404),
    ("GET", "/ui/management/skills/table", "/ui/management/skills/table", 200, "/ui/management/skills", 404),
    ("GET", "/ui/management/engines/table", "/ui/management/engines/table", 200, "/ui/management/engines", 404),
    ("GET", "/ui/management/runs/table", "/ui/management/runs/table", 200, "/ui/management/runs/table?page=x", 422),
    ("GET", "/ui/management/runs/{id}/view", "/ui/management/runs/RUN/view", 200, "/ui/management/runs/none/view", 404),
    ("GET", "/ui/{*rest}", "/ui/load", 200, "/ui/x/y/z", 404),
];

#[test]
fn every_route_of_the_pages_answers_its_success_and_its_failure() {
    let worker = with_engine().init("echo done").start();
    let printed = format!("{:?}", skill_api::server::router(&worker.app));
    let served: BTreeSet<&str> =
        printed.split('"').filter(|part| part.starts_with("/ui") && !part.contains("__private")).collect();
    let listed: BTreeSet<&str> = ROUTES.iter().map(|row| row.1).collect();
    assert_eq!(served, listed, "routes without a row, or rows without a route");
    let run = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    let upgrade =
        worker.post("/v1/engines/upgrades", &json!({"mode": "single", "engine": "codex"})).json()["request_id"]
            .as_str()
            .unwrap()
            .to_owned();
    becomes("the upgrade ends", || {
        worker.get(&format!("/v1/engines/upgrades/{upgrade}")).json()["status"] == "succeeded"
    });
    let ask = |method: &str, path: &str| {
        let path = path.replace("RUN", &run).replace("UPGRADE", &upgrade);
        match (method, path.as_str()) {
            ("POST", path) if path.ends_with("/run") => send(worker.address, path, &[("engine", None, "codex")]),
            ("POST", path) => {
                let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
                request(worker.address, method, path, &form, b"mode=single&engine=codex")
            }
            (_, path) => request(worker.address, method, path, &[HTML], b""),
        }
    };
    for (method, _, good, status, bad, failure) in ROUTES {
        assert_eq!(ask(method, good).status, *status, "{method} {good}");
        let refused = ask(method, bad);
        assert_eq!(refused.status, *failure, "{method} {bad}");
        assert!(text(&refused).contains("<h1>"), "{bad}");
    }
}
