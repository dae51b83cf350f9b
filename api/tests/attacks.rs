//! What a hostile client, skill or agent tries against a running worker, and what it gets.
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
use base64::{Engine, engine::general_purpose::STANDARD};
use common::*;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    time::Duration,
};

const SECRET: &str = "TOP-SECRET-9d1f";

/// What is left on a connection until its end; an end by force counts as one.
fn rest(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(HANG)).unwrap();
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => out.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the worker keeps the connection: {error}"),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn raw(worker: &Worker, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

#[test]
fn who_sends_slowly_is_cut_off_and_keeps_nobody_from_being_served() {
    let setup = Setup::new().skill("demo");
    let mut config = setup.config();
    config.patience = Duration::from_secs(5);
    let worker = setup.start_with(config);
    let open = |bytes: &str| {
        let mut stream = TcpStream::connect(worker.address).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream
    };
    let mut slow: Vec<TcpStream> =
        ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\nx-a: ", "GET / HTTP/1.1\r\nhost: x\r\n"]
            .iter()
            .flat_map(|begun| (0..25).map(move |_| begun))
            .map(|begun| open(begun))
            .collect();
    let body = "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"skill_id\":";
    let mut half: Vec<TcpStream> = (0..25).map(|_| open(body)).collect();
    let form = "POST /v1/skill-packages/install HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: 900\r\n\r\n--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nPK";
    half.extend((0..25).map(|_| open(form)));
    // Served meanwhile.
    assert_eq!(
        awaited("an answer", || Some(worker.get("/v1/skills")).filter(|answer| answer.status == 200)).status,
        200
    );
    for stream in &mut slow {
        let said = rest(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
    for stream in &mut half {
        let said = rest(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    assert_eq!(worker.get("/v1/management/runs").json()["total"], 0);
    becomes("half an upload is removed", || {
        fs::read_dir(worker.path("data/skill_packages")).map_or(0, Iterator::count) == 0
    });
}

#[test]
fn heads_that_are_too_large_or_no_http_are_refused_and_nothing_else_happens() {
    let worker = Setup::new().skill("demo").start();
    let header = |name: &str, size: usize| {
        format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{name}: {}\r\n\r\n", "a".repeat(size))
    };
    let large = raw(&worker, header("x", 100 * 1024).as_bytes());
    assert!(large.starts_with("HTTP/1.1 431"), "{large:?}");
    assert!(raw(&worker, header("x", 16 * 1024).as_bytes()).starts_with("HTTP/1.1 200"));
    let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    assert!(raw(&worker, format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).starts_with("HTTP/1.1 431"));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(100 * 1024));
    assert!(raw(&worker, long.as_bytes()).starts_with("HTTP/1.1 4"));
    for odd in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // Two lengths, or a length beside chunks: what smuggles a second request.
        b"POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
    ] {
        let said = raw(&worker, odd);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{:?}: {said}", String::from_utf8_lossy(odd));
    }
    let both = b"POST /v1/jobs/cleanup HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/skills HTTP/1.1\r\nhost: x\r\n\r\n";
    let said = raw(&worker, both);
    assert!(!said.contains("\"demo\""), "a second request was smuggled in: {said}");
    assert_eq!(worker.get("/v1/skills").status, 200);
}

#[test]
fn bodies_that_are_too_deep_too_large_or_never_end_are_refused() {
    let worker = Setup::new().skill("demo").start();
    let json = [("content-type", "application/json")];
    for (body, status) in [
        (format!("{{\"skill_id\": \"demo\", \"input\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)), 422),
        (format!("{{\"skill_id\": \"{}\"}}", "a".repeat(9 << 20)), 413),
        ("{\"skill_id\": \"demo\", \"skill_id\": \"demo\"}".to_owned(), 422),
        ("{\"skill_id\": \"demo\", \"input\": {\"topic\": \"\\ud800\"}}".to_owned(), 422),
        ("\u{feff}{\"skill_id\": \"demo\"}".to_owned(), 422),
    ] {
        let answer = request(worker.address, "POST", "/v1/jobs", &json, body.as_bytes());
        assert_eq!(answer.status, status, "{}", body.chars().take(60).collect::<String>());
    }
    // Chunks without an end, into a field that nobody asked for: a form has a limit as a whole.
    let small = Setup::new().env("SKILL_API_UPLOAD_MAX_BYTES", "2000").start();
    let mut stream = TcpStream::connect(small.address).unwrap();
    let head = "POST /v1/skill-packages/install HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=B\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let begin = "--B\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\n";
    stream.write_all(format!("{:x}\r\n{begin}\r\n", begin.len()).as_bytes()).unwrap();
    let piece = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let sent = (0..4096).take_while(|_| stream.write_all(piece.as_bytes()).is_ok()).count();
    assert!(sent < 4096, "256 MiB of a form of 2 kB were taken");
    assert_eq!(worker.get("/v1/management/runs").json()["total"], 0);
}

#[test]
fn numbers_at_the_edge_are_answered_and_break_nothing() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    for number in
        ["0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615"]
    {
        for path in [
            format!("/v1/jobs/{id}/events?cursor={number}"),
            format!("/v1/jobs/{id}/events/history?from_seq={number}"),
            format!("/v1/jobs/{id}/events/history?to_seq={number}&limit={number}"),
            format!("/v1/jobs/{id}/events/history?from_seq={number}&to_seq={number}&limit={number}"),
            format!("/v1/jobs/{id}/logs/range?stream=stdout&byte_from={number}"),
            format!("/v1/jobs/{id}/logs/range?stream=stdout&byte_from=0&byte_to={number}"),
            format!("/v1/management/runs?page={number}&page_size={number}"),
            format!("/v1/management/runs/{id}/protocol/history?stream=rasp&limit={number}"),
            format!("/ui/runs?page={number}"),
            format!("/ui/runs/{id}?from={number}"),
        ] {
            let status = worker.get(&path).status;
            assert!([200, 400, 422].contains(&status), "{path}: {status}");
        }
    }
    for number in ["-1", "18446744073709551616", "1e3", "0x10", "%00", "NaN"] {
        let path = format!("/v1/jobs/{id}/events/history?from_seq={number}");
        assert_eq!(worker.get(&path).status, 422, "{path}");
    }
    let far = worker.get("/v1/management/runs?page=18446744073709551615&page_size=200").json();
    assert_eq!((&far["total"], &far["runs"]), (&json!(1), &json!([])));
    // A range header is not understood, and a whole file is a right answer to it.
    let ranged = request(worker.address, "GET", &format!("/v1/jobs/{id}/bundle"), &[("range", "bytes=0-1,5-,-1")], b"");
    assert_eq!((ranged.status, &ranged.body[..2]), (200, &b"PK"[..]));
}

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
    write_skill(&setup.dir.path().join("skills"), "reader", &json!({}));
    let schema = json!({"type": "object", "properties": {"paper": {"type": "string"}}, "required": ["paper"]});
    fs::write(setup.dir.path().join("skills/reader/assets/input.schema.json"), schema.to_string()).unwrap();
    let worker = setup.start();
    let zeros = vec![0; 20 << 20];
    let bomb = zip(&[("paper", &zeros)]);
    let many: Vec<(String, &[u8])> = (0..10_001).map(|n| (format!("f{n}"), &b""[..])).collect();
    let many = zip(&many.iter().map(|(name, content)| (name.as_str(), *content)).collect::<Vec<_>>());
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
fn every_password_of_utf8_opens_and_nothing_near_it_does() {
    for password in ["p", " ", ":", "pä ß:ø", "密码", "🔑🔑", "a\u{301}", "\u{e1}", "x\ty", &"long ".repeat(500)]
    {
        let worker = Setup::new()
            .env("UI_BASIC_AUTH_ENABLED", "on")
            .env("UI_BASIC_AUTH_USERNAME", "käthe")
            .env("UI_BASIC_AUTH_PASSWORD", password)
            .env("UI_BASIC_AUTH_SCOPE", "all")
            .start();
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
    let setup = Setup::new().skill("demo").env("UI_BASIC_AUTH_ENABLED", "on").env("UI_BASIC_AUTH_USERNAME", "u");
    let worker = setup.env("UI_BASIC_AUTH_PASSWORD", "p").env("UI_BASIC_AUTH_SCOPE", "all").start();
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
    let worker = Setup::new()
        .skill("demo")
        .cli("codex", &codex_says(r#"{"answer": 1}"#))
        .env("UI_BASIC_AUTH_ENABLED", "on")
        .env("UI_BASIC_AUTH_USERNAME", "u")
        .env("UI_BASIC_AUTH_PASSWORD", "p")
        .start();
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

#[test]
fn a_template_without_an_end_fails_its_run_and_not_the_worker() {
    let setup = Setup::new().cli("codex", &codex_says(r#"{"answer": 1}"#));
    let prompt = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    write_skill(&setup.dir.path().join("skills"), "endless", &json!({"entrypoint": {"prompts": {"codex": prompt}}}));
    let worker = setup.start();
    let id = worker.job(&json!({"skill_id": "endless"}));
    let status: Value = worker.settled("/v1/jobs", &id);
    assert_eq!(status["error"]["code"], "PROMPT_INVALID", "{status}");
}
