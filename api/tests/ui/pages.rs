//! What holds for each page: marks and headers, errors, hostile text, Basic Auth.

use super::{HTML, common::*, page, send, started, text, with_engine};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::{fs, os::unix::fs::symlink};

const EVIL: &str = "<script>alert(1)</script>\"'&{{ 7*7 }}";

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
    let skills = setup.skills();
    write_skill(&skills, "evil", &json!({"name": EVIL, "description": EVIL, "version": EVIL}));
    let schema = json!({"type": "object", "properties": {
        EVIL: {"type": "string", "x-input-source": "inline", "title": EVIL, "description": EVIL, "default": EVIL},
        "pick": {"enum": [EVIL], "x-input-source": "inline"}}});
    write_input_schema(&skills, "evil", &schema);
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
fn pages_are_behind_basic_auth_and_their_forms_behind_their_own_site() {
    let worker = with_engine().guarded("käthe", "pa:ß wort").start();
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
