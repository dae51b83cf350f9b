//! Basic Auth, and pages of other sites: who does not know the password, or comes from elsewhere, does nothing.

use super::{common::*, raw};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

#[test]
fn every_password_of_utf8_opens_and_nothing_near_it_does() {
    for password in ["p", " ", ":", "pä ß:ø", "密码", "🔑🔑", "a\u{301}", "\u{e1}", "x\ty", &"long ".repeat(500)]
    {
        let worker = Setup::new().guarded("käthe", password).env("UI_BASIC_AUTH_SCOPE", "all").start();
        let with = |text: &str| {
            let value = format!("Basic {}", STANDARD.encode(text));
            request(worker.address, "GET", "/v1/skills", &[("authorization", &value)], b"").status
        };
        assert_eq!(with(&format!("käthe:{password}")), 200, "{password:?}");
        for near in [
            format!("käthe:{password}x"),
            format!("käthe: {password}"),
            format!("käthe:{}", &password[..password.char_indices().last().unwrap().0]),
            format!("Käthe:{password}"),
            format!("käthe{password}"),
            format!(":{password}"),
            password.to_owned(),
            String::new(),
        ] {
            assert_eq!(with(&near), 401, "{near:?}");
        }
        // The two ways to write one letter are two passwords.
        if password == "a\u{301}" {
            assert_eq!(with("käthe:\u{e1}"), 401);
        }
    }
}

#[test]
fn no_way_of_writing_a_path_goes_round_basic_auth() {
    let worker = Setup::new().skill("demo").guarded("u", "p").env("UI_BASIC_AUTH_SCOPE", "all").start();
    let seen = |answer: &str| answer.starts_with("HTTP/1.1 2") || answer.contains("demo");
    for path in [
        "/v1/skills",
        "/v1/jobs",
        "/ui",
        "/ui/skills/demo",
        "/v1/management/skills",
        "/v1/engines/auth-status",
        "/v1/engines/codex/models/manifest",
    ] {
        let (first, rest_of) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        for written in [
            path.to_owned(),
            format!("/{path}"),
            format!("//{}", &path[1..]),
            format!("/.{path}"),
            format!("/x/..{path}"),
            format!("/%2e{path}"),
            format!("{path}/"),
            format!("{path}//"),
            format!("{path}/."),
            format!("{path}%2f"),
            format!("{path}%00"),
            format!("{path};x"),
            format!("{path}?"),
            path.to_uppercase(),
            format!("/%{:02x}{}/{rest_of}", first.as_bytes()[0], &first[1..]),
            format!("http://x{path}"),
            format!("http://x:1/{path}"),
        ] {
            for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                let said = raw(
                    &worker,
                    format!("{method} {written} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                        .as_bytes(),
                );
                assert!(!seen(&said), "{method} {written}: {said}");
            }
        }
    }
    for header in [
        "x-original-url: /",
        "x-rewrite-url: /",
        "x-forwarded-for: 127.0.0.1",
        "x-http-method-override: GET",
        "authorization: Basic",
        "authorization: basic dTpw=x",
        "authorization: Bearer dTpw",
        "proxy-authorization: Basic dTpw",
    ] {
        let said = raw(
            &worker,
            format!("GET /v1/skills HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n").as_bytes(),
        );
        assert!(said.starts_with("HTTP/1.1 401"), "{header}: {said}");
    }
}

#[test]
fn a_page_of_another_site_can_start_delete_and_install_nothing() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).guarded("u", "p").start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    let (kind, package) = form(&[("file", &package("planted", &json!({})))]);
    // What a browser that knows the password sends for a page of another site: forms, and text that is JSON.
    let known = ("authorization", "Basic dTpw");
    let origins: [&[(&str, &str)]; 7] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://x.evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://x:81")],
        &[("origin", "http://x.evil.example")],
    ];
    let text = ("content-type", "text/plain");
    let writes: [(&str, (&str, &str), &[u8]); 7] = [
        ("/v1/jobs", text, br#"{"skill_id": "demo"}"#),
        ("/v1/jobs/cleanup", text, b""),
        ("/v1/skill-packages/install", ("content-type", &kind), &package),
        ("/v1/engines/upgrades", text, br#"{"mode": "all"}"#),
        ("/ui/engines/upgrades", ("content-type", "application/x-www-form-urlencoded"), b"mode=all"),
        ("/ui/skills/demo/run", ("content-type", "multipart/form-data; boundary=B"), b"--B--\r\n"),
        (&format!("/ui/runs/{id}/cancel"), ("content-type", "application/x-www-form-urlencoded"), b""),
    ];
    for origin in origins {
        for (path, kind, body) in writes {
            let mut headers = vec![known, kind];
            headers.extend_from_slice(origin);
            assert_eq!(request(worker.address, "POST", path, &headers, body).status, 403, "{path} {origin:?}");
        }
    }
    // Without the headers of a browser text is still no JSON.
    assert_eq!(request(worker.address, "POST", "/v1/jobs", &[text], br#"{"skill_id": "demo"}"#).status, 422);
    let runs = worker.get("/v1/management/runs").json();
    assert_eq!(runs["total"], 1, "{runs}");
    assert_eq!(worker.get("/v1/skills").json().as_array().unwrap().len(), 1);
    // Nothing says that another site may read.
    let read = request(worker.address, "GET", "/v1/skills", &[("origin", "http://evil.example")], b"");
    assert!(!read.head.to_ascii_lowercase().contains("access-control-allow"), "{}", read.head);
}
