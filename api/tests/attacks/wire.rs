//! Bytes, sizes and numbers: slow, broken, endless, at the edge. The worker answers and goes on serving.

use super::{common::*, raw, rest};
use serde_json::{Value, json};
use std::{fs, io::Write, net::TcpStream, time::Duration};

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
        // Two bytes each, and seventy in memory.
        (format!("{{\"skill_id\": \"demo\", \"input\": {{\"topic\": [0{}]}}}}", ",0".repeat(4_000_000)), 413),
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
fn large_bodies_share_a_room_and_small_ones_need_none() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let json = |size: usize| {
        let head = format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(worker.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // Announced, not sent: their place is taken, and one has none.
    let mut held: Vec<TcpStream> = (0..9).map(|_| json(8 << 20)).collect();
    for stream in &held {
        stream.set_nonblocking(true).unwrap();
    }
    let answered = awaited("a refusal", || held.iter().position(|stream| stream.peek(&mut [0]).is_ok()));
    let refused = held.swap_remove(answered);
    refused.set_nonblocking(false).unwrap();
    let refused = read_answer(refused, "the ninth large body");
    assert_eq!(refused.status, 503);
    assert!(refused.json()["detail"].as_str().unwrap().contains("later"), "{}", refused.json());
    assert_eq!(worker.post("/v1/jobs", &json!({"skill_id": "demo"})).status, 200);
    // Few bytes, and many values.
    let many = json!({"skill_id": "demo", "input": {"topic": vec![vec![0]; 5000]}});
    assert_eq!(worker.post("/v1/jobs", &many).status, 503);
    // In chunks, nobody knows how large it will be.
    let chunked = |body: &str| {
        let head = "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut stream = TcpStream::connect(worker.address).unwrap();
        stream.write_all(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes()).unwrap();
        read_answer(stream, "chunks").status
    };
    let padded = |size: usize| format!("{{\"skill_id\": \"demo\"{}}}", " ".repeat(size));
    assert_eq!((chunked(&padded(10)), chunked(&padded(100 << 10))), (200, 503));
    // What is no JSON is refused unread.
    let mut other = TcpStream::connect(worker.address).unwrap();
    let head = "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: 900000\r\n\r\n";
    other.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_answer(other, "a form for JSON").status, 422);
    drop(held);
    awaited("room for chunks", || (chunked(&padded(100 << 10)) == 200).then_some(()));
    let large = json!({"skill_id": "demo", "input": {"topic": "a".repeat(1 << 20)}});
    awaited("room again", || Some(worker.post("/v1/jobs", &large)).filter(|answer| answer.status != 503));
}

#[test]
fn what_is_no_field_of_a_form_is_not_collected() {
    let worker = Setup::new().skill("demo").start();
    let kind = [("content-type", "multipart/form-data; boundary=B")];
    let long = "a".repeat(1 << 20);
    for before in ["", "--B\r\ncontent-disposition: form-data; name=\"file\"; x=\""] {
        let body = format!("{before}{long}\r\n--B--\r\n");
        let answer = request(worker.address, "POST", "/v1/skill-packages/install", &kind, body.as_bytes());
        assert_eq!(answer.status, 422, "{before}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("has more than"), "{}", answer.json());
    }
}

#[test]
fn a_form_of_two_large_files_is_taken_however_fast_it_comes() {
    let setup = Setup::new().skill("demo");
    let worker = setup.start();
    let file = vec![b'a'; 3 << 20];
    for _ in 0..5 {
        // Neither is wanted, both are read; then what was wanted is missing.
        let answer = worker.post_form("/v1/skill-packages/install", &[("one", &file), ("two", &file)]);
        let told = answer.json()["detail"].to_string();
        assert!(answer.status == 422 && told.contains("no file 'file'"), "{told}");
    }
}

#[test]
fn an_answer_is_whole_although_nobody_read_the_body() {
    let worker = Setup::new().skill("demo").start();
    let whole = worker.get("/openapi.json").body;
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let body = vec![b'a'; 1 << 20];
    let head =
        format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // The answer is under way.
    stream.peek(&mut [0]).unwrap();
    stream.write_all(&body).unwrap();
    let answer = read_answer(stream, "GET with a body");
    assert_eq!((answer.status, answer.body == whole), (200, true), "{} of {} bytes", answer.body.len(), whole.len());
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

#[test]
fn a_template_without_an_end_fails_its_run_and_not_the_worker() {
    let setup = Setup::new().cli("codex", &codex_says(r#"{"answer": 1}"#));
    let prompt = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    write_skill(&setup.skills(), "endless", &json!({"entrypoint": {"prompts": {"codex": prompt}}}));
    let worker = setup.start();
    let id = worker.job(&json!({"skill_id": "endless"}));
    let status: Value = worker.settled("/v1/jobs", &id);
    assert_eq!(status["error"]["code"], "PROMPT_INVALID", "{status}");
}
