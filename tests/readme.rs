//! README.md shows what `skill-init status` prints: the picture is what the code makes of such a status.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use skill_init::control::{
    protocol::{Concurrency, Gauge, Orphans, Phase, ServiceState, ServiceStatus, State, Status, Usage},
    render::{self, Style},
};
use std::{fs, path::Path};

const COMMAND: &str = "$ skill-init status\n";

/// A container after four minutes whose worker was restarted once.
fn shown() -> Status {
    const UP: u64 = 252_000;
    let service = |name: &str, pid: i32, last_reason: &str| ServiceStatus {
        name: name.to_owned(),
        state: ServiceState::Ready,
        pid: Some(pid),
        ready: true,
        uptime_ms: Some(UP),
        last_reason: last_reason.to_owned(),
        ..ServiceStatus::default()
    };
    let phase = |(name, microseconds): (&str, u64)| Phase { name: name.to_owned(), microseconds };
    Status {
        state: State::Ready,
        pid: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: UP,
        ready: true,
        concurrency: Concurrency {
            max_concurrent: 3,
            max_queue: 128,
            binds: "cpu".to_owned(),
            advice: "give the machine more CPUs, or raise SKILL_RUNNER_CPU_FACTOR".to_owned(),
        },
        usage: Usage {
            pids: Gauge { used: Some(41), limit: Some(512) },
            memory: Gauge { used: Some(222_720_000), limit: Some(4 << 30) },
            memory_pressure: Some(0),
        },
        orphans: Orphans { reaped_total: 17, zombies: Some(0), ..Orphans::default() },
        restarts_total: 1,
        phases: [("settings", 500), ("probe", 500), ("plan", 100), ("apply", 4_700), ("ready", 29_400)]
            .map(phase)
            .to_vec(),
        services: vec![
            service("gateway", 8, "ready"),
            ServiceStatus {
                uptime_ms: Some(63_000),
                restarts: 1,
                status_text: Some("listening on 0.0.0.0:8000".to_owned()),
                essential: true,
                ..service("api", 9, "ready")
            },
            service("ttyd", 11, "running"),
            ServiceStatus { state: ServiceState::Done, pid: None, uptime_ms: None, ..service("agents", 0, "done") },
        ],
        ..Status::default()
    }
}

#[test]
fn the_picture_of_a_status_is_what_the_command_prints() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = page.split_once(COMMAND).unwrap();
    let (picture, _) = rest.split_once("```").unwrap();
    assert_eq!(picture, render::status(&shown(), Style::Plain));
}
