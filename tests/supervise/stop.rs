//! The stop: order, deadlines, what ignores it, what escapes it.

use crate::fixture::{Init, gone, lines, until};
use std::{fs, os::unix::process::ExitStatusExt};

#[test]
fn services_stop_in_reverse_order() {
    let service = |name: &str, after: &str| {
        format!(
            "[service.{name}]\ncommand = [\"sh\", \"-c\", \"trap 'echo {name} >> @DIR@/order; exit 0' TERM; echo >&5; \
             while :; do sleep 0.05; done\"]\nreadiness = {{ fd = 5 }}\nessential = true\nafter = [{after}]\n"
        )
    };
    let config = service("a", "") + &service("b", "\"a\"") + &service("c", "\"b\"");
    let mut init = Init::start(&config);
    init.ready();
    assert_eq!(init.stop().code(), Some(0));
    assert_eq!(fs::read_to_string(init.path("order")).unwrap(), "c\nb\na\n");
}

#[test]
fn a_service_that_ignores_the_stop_signal_is_killed_and_the_exit_is_clean() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "trap '' TERM; echo $$ > @DIR@/pid; echo >&5; while :; do sleep 0.05; done"]
        readiness = { fd = 5 }
        stop_grace = "200ms"
        essential = true
        "#,
    );
    init.ready();
    let pid = lines(&init.path("pid"), 1);
    init.signal(libc::SIGTERM);
    assert_eq!(init.state("app", "killing"), "killed: grace period over");
    assert_eq!(init.exit().code(), Some(0));
    assert!(gone(pid.trim()));
}

#[test]
fn what_escaped_by_setsid_and_double_fork_is_ended_too() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "(setsid sh -c 'trap \"\" TERM; echo $$ > @DIR@/escaped; while :; do sleep 0.05; done' &); while ! test -s @DIR@/escaped; do sleep 0.01; done; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        essential = true
        "#,
    );
    init.ready();
    let escaped = lines(&init.path("escaped"), 1);
    assert!(!gone(escaped.trim()));
    assert_eq!(init.stop().code(), Some(0));
    until(|| gone(escaped.trim()).then_some(()));
}

#[test]
fn a_second_signal_stops_now() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sh", "-c", "trap '' TERM INT; echo >&5; while :; do sleep 0.05; done"]
        readiness = { fd = 5 }
        stop_grace = "10m"
        essential = true
        "#,
        &[("SKILL_INIT_STOP_GRACE", "20m")],
    );
    init.ready();
    init.signal(libc::SIGTERM);
    init.state("app", "stopping");
    init.signal(libc::SIGINT);
    assert_eq!(init.state("app", "killing"), "killed: no more waiting");
    assert_eq!(init.exit().code(), Some(0));
}

#[test]
fn readiness_goes_false_before_anything_is_stopped() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        essential = true
        "#,
        &[("SKILL_INIT_DRAIN", "300ms")],
    );
    init.ready();
    init.signal(libc::SIGQUIT);
    init.log(|line| line["message"] == "not ready");
    assert_eq!(init.status()["state"], "draining");
    assert_eq!(init.ask(&["health", "--live"]).0.code(), Some(0));
    init.state("app", "stopping");
    assert_eq!(init.exit().code(), Some(0));
}

#[test]
fn an_essential_end_by_signal_is_the_containers_exit_code() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "kill -SEGV $$"]
        restart = "never"
        essential = true
        "#,
    );
    let status = init.exit();
    assert_eq!((status.code(), status.signal()), (Some(139), None));
}

#[test]
fn operators_stop_start_and_restart_by_name() {
    let mut init = Init::start("[service.app]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n");
    init.ready();
    assert_eq!(init.ask(&["stop", "app"]).0.code(), Some(0));
    init.state("app", "stopped");
    assert_eq!(init.status()["ready"], false);
    assert_eq!(init.ask(&["start", "app"]).0.code(), Some(0));
    init.ready();
    assert_eq!(init.ask(&["restart", "app"]).0.code(), Some(0));
    init.state("app", "stopping");
    init.ready();
    assert_ne!(init.ask(&["start", "nobody"]).0.code(), Some(0));
}
