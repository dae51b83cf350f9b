//! The services' output with a prefix, and the log of the init itself, with readers that read and readers that do not.

use crate::fixture::{Init, until};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::{
        fd::AsRawFd,
        unix::{fs::OpenOptionsExt, net::UnixDatagram},
    },
};

const PREFIX: (&str, &str) = ("SKILL_INIT_LOG_PREFIX", "1");

#[test]
fn each_line_of_a_service_carries_its_name_and_its_last_words_are_not_lost() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sh", "-c", "echo first; echo second; i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; printf 'last words'; exit 3"]
        restart = "never"
        essential = true
        "#,
        &[PREFIX],
    );
    let mut output = String::new();
    init.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(init.exit().code(), Some(3));
    // The agents' check talks too, at its own time.
    let of_app: Vec<&str> = output.lines().filter(|line| !line.starts_with("[agents] ")).collect();
    assert!(of_app.starts_with(&["[app] first", "[app] second", "[app] line 0"]), "{output}");
    assert!(of_app.ends_with(&["[app] line 499", "[app] last words"]), "{output}");
    assert_eq!(of_app.len(), 503, "{output}");
}

#[test]
fn a_reader_that_does_not_read_holds_up_the_service_and_not_the_init() {
    let mut init = Init::start_with(
        r#"
        [service.noisy]
        command = ["sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done"]
        [service.main]
        command = ["sleep", "1000"]
        essential = true
        "#,
        &[PREFIX],
    );
    init.ready();
    // The pipe behind our stdout is full as soon as another byte would have to wait.
    let stdout = init.child.stdout.take().unwrap();
    until(|| full(&stdout).then_some(()));
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(0));
    assert_eq!(init.ask(&["restart", "main"]).0.code(), Some(0));
    init.state("main", "stopping");
    init.state("main", "ready");
    // As soon as somebody reads, it goes on, with whole lines.
    let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
    let wanted = "[noisy] 0123456789012345678901234567890123456789";
    let mut noisy = lines.by_ref().filter(|line| !line.starts_with("[agents]"));
    assert!(noisy.by_ref().take(5_000).all(|line| line == wanted));
    init.signal(libc::SIGTERM);
    drop(lines);
    assert_eq!(init.exit().code(), Some(0));
}

/// The pipe takes not even one more page.
fn full(pipe: &impl AsRawFd) -> bool {
    let write_end = fs::File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
        .unwrap();
    !skill_init::sys::process::writable(write_end.as_raw_fd())
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_is_whole_when_somebody_reads_again() {
    let mut init = Init::start_unread(
        r#"
        [service.main]
        command = ["sleep", "1000"]
        essential = true
        [service.crashing]
        command = ["false"]
        backoff = { initial = "0s" }
        budget = { restarts = 100000, window = "1h" }
        "#,
    );
    let stderr = init.child.stderr.take().unwrap();
    until(|| full(&stderr).then_some(()));
    let before = init.service("crashing")["restarts"].as_u64().unwrap();
    until(|| (init.service("crashing")["restarts"].as_u64()? > before + 50).then_some(()));
    assert_eq!(init.ask(&["stop", "crashing"]).0.code(), Some(0));
    let restarts = init.service("crashing")["restarts"].as_u64().unwrap();
    // Now somebody reads, while nothing more is logged.
    let mut seen = 0;
    for line in BufReader::new(stderr).lines().map(Result::unwrap) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(!line["message"].as_str().unwrap().contains("dropped"), "{line}");
        seen += u64::from(line["service"] == "crashing" && line["to"] == "starting");
        if line["service"] == "crashing" && line["to"] == "stopped" {
            break;
        }
    }
    assert_eq!(seen, restarts + 1);
}

#[test]
fn where_stderr_is_the_journal_lines_go_there_with_their_fields_and_a_full_one_holds_up_nobody() {
    if !nix::unistd::geteuid().is_root() {
        return crate::skips::skip("a journal of its own needs root (a mount namespace)");
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(dir.path().join("socket")).unwrap();
    // Its queue (net.unix.max_dgram_qlen) is smaller than the lines of so many services, and nobody reads it yet.
    let services: String = (0..400).map(|n| format!("[service.s{n}]\ncommand = [\"sleep\", \"1000\"]\n")).collect();
    let mut init = Init::start_under_journal(dir.path(), &services);
    // What the journal has no room for is on stderr, and the init goes on.
    init.ready();
    assert_eq!(init.ask(&["wait", "--ready"]).0.code(), Some(0));
    journal.set_nonblocking(true).unwrap();
    let mut entries = Vec::new();
    let mut buffer = [0_u8; 65536];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    let first = entries.iter().find(|entry| entry.contains("F_KERNEL\n")).expect("the first line of the start");
    assert!(first.contains("PRIORITY\n") && first.contains("MESSAGE\n"), "{first:?}");
    // Read again, it is written to again: the stop is told there.
    init.signal(libc::SIGTERM);
    let stopping = until(|| {
        let length = journal.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned()).filter(|entry| entry.contains("SIGTERM"))
    });
    drop(journal);
    assert!(stopping.contains("MESSAGE\n"), "{stopping:?}");
    assert_eq!(init.exit().code(), Some(0));
    assert!(!init.seen("\"message\":\"skill-init\""), "a line that the journal took is on stderr too");
}
