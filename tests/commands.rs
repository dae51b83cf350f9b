//! The commands as a shell meets them: a reader that goes away, a full disk, bytes that are no text, slips.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "tests start the binary under test")]

use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::{ffi::OsStrExt, net::UnixListener},
    path::Path,
    process::{Command, Output, Stdio},
};

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skill-init"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SKILL_RUNNER_RUNTIME_MODE", "local")
        .env("SKILL_RUNNER_LOCAL_ROOT", dir.join("root"))
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_watch_ends_when_its_reader_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    // An init that always answers: only the reader can end the watch.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(b"{\"response\":\"status\"}\n").unwrap();
        }
    });
    let mut watch = command(dir.path(), &["status", "--watch", "100ms", "--socket", socket.to_str().unwrap()]);
    let mut child = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_report_that_a_full_disk_cuts_off_is_a_failure_and_one_for_head_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["plan"][..], &["plan", "--json"], &["probe"], &["config", "--json"], &["agents", "list"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(dir.path(), arguments).stdout(full).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("not whole: stdout: No space left"), "{arguments:?}: {words}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(dir.path(), arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}");
    }
    // What a probe answers is not what it prints.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command(dir.path(), &["health"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8(output.stderr).unwrap().contains("not whole"));
}

#[test]
fn a_setting_that_is_no_text_is_a_mistake_and_not_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = command(dir.path(), &["config", "--check"]);
    check.env("SKILL_RUNNER_DATA_DIR", OsStr::from_bytes(b"/srv/\xff")).env("PORT", OsStr::from_bytes(b"80\xff"));
    // Somebody else's variable is none of ours to judge.
    check.env("SOMEBODY_ELSES", OsStr::from_bytes(b"\xff"));
    let (code, _, words) = run(&mut check);
    assert_eq!(code, Some(78), "{words}");
    for name in ["SKILL_RUNNER_DATA_DIR", "PORT"] {
        assert!(words.contains(&format!("env {name}: is not UTF-8 text")), "{words}");
    }
    assert!(words.contains("2 mistake(s)"), "{words}");
}

#[test]
fn the_plan_for_programs_has_probes_and_policies_as_the_file_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("init.toml");
    let services = r#"
        [service.a]
        command = "true"
        readiness = { http = "http://[::1]:81/x?y" }
        liveness = { exec = ["true", "x"] }
        [service.b]
        command = "true"
        restart = "on-failure"
        readiness = { tcp = "127.0.0.1:82" }
        [service.c]
        command = "true"
        readiness = { fd = 5 }
        [service.d]
        command = "true"
        readiness = { notify = true }
    "#;
    fs::write(&file, services).unwrap();
    let mut plan = command(dir.path(), &["plan", "--json"]);
    let (code, out, words) = run(plan.env("SKILL_INIT_CONFIG", &file));
    assert_eq!(code, Some(0), "{words}");
    let plan: Value = serde_json::from_str(&out).unwrap();
    let of = |name: &str, key: &str| {
        let services = plan["services"].as_array().unwrap();
        services.iter().find(|service| service["name"] == name).unwrap()[key].clone()
    };
    assert_eq!(of("a", "readiness"), json!({ "http": "http://[::1]:81/x?y" }));
    assert_eq!(of("a", "liveness"), json!({ "exec": ["true", "x"] }));
    assert_eq!((of("b", "readiness"), of("b", "liveness")), (json!({ "tcp": "127.0.0.1:82" }), Value::Null));
    assert_eq!((of("b", "restart"), of("a", "restart")), (json!("on-failure"), json!("always")));
    assert_eq!((of("c", "readiness"), of("d", "readiness")), (json!({ "fd": 5 }), json!({ "notify": true })));
}

#[test]
fn an_option_of_entrypoint_that_there_is_not_ends_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, words) = run(&mut command(dir.path(), &["entrypoint", "--verison"]));
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("\"--verison\" is no command"), "{words}");
    assert!(!dir.path().join("root").exists(), "the preparation ran");
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(b"{\"response\":\"error\",\"code\":\"refused\",\"message\":\"a\\u001b[2Jb\"}\n").unwrap();
    });
    let (code, _, words) = run(&mut command(dir.path(), &["stop", "x", "--socket", socket.to_str().unwrap()]));
    assert_eq!(code, Some(1));
    assert!(words.contains("a\\u{1b}[2Jb"), "{words:?}");
}

#[test]
fn every_configuration_file_of_the_documentation_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("init.toml");
    let mut seen = 0;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for page in fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()) {
        if page.extension() != Some(OsStr::new("md")) {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            fs::write(&file, block).unwrap();
            let (code, _, words) = run(command(dir.path(), &["config", "--check"]).env("SKILL_INIT_CONFIG", &file));
            assert_eq!(code, Some(0), "{}: {words}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no page shows a file");
}
