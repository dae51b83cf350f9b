//! Adopted orphans: the dead are reaped, the living are known and ended by rule.

use crate::fixture::{Init, gone, lines, until};

#[test]
fn a_thousand_dead_orphans_leave_no_zombie() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do (setsid true &); i=$((i+1)); done; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        essential = true
        "#,
    );
    init.ready();
    until(|| (init.status()["orphans"]["reaped_total"].as_u64()? >= 1000).then_some(()));
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn a_live_orphan_is_known_with_its_origin_and_ended_when_the_rule_says_so() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sh", "-c", "(setsid sh -c 'echo $$ > @DIR@/orphan; exec sleep 1000' &); while ! test -s @DIR@/orphan; do sleep 0.01; done; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        essential = true
        "#,
        &[("SKILL_INIT_TICK", "100ms"), ("SKILL_INIT_ORPHANS", "end"), ("SKILL_INIT_ORPHAN_AGE", "1s")],
    );
    init.ready();
    let pid = lines(&init.path("orphan"), 1);
    let line = init.log(|line| line["message"] == "live orphan ended");
    assert_eq!(line["pid"].to_string(), pid.trim());
    assert_eq!(line["from"], "app");
    assert!(line["command"].as_str().unwrap().contains("sleep"), "{line}");
    until(|| gone(pid.trim()).then_some(()));
    assert_eq!(init.status()["orphans"]["ended_total"], 1);
}

#[test]
fn reported_orphans_live_on_until_the_stop() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sh", "-c", "(setsid sh -c 'echo $$ > @DIR@/orphan; exec sleep 1000' &); while ! test -s @DIR@/orphan; do sleep 0.01; done; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        essential = true
        "#,
        &[("SKILL_INIT_TICK", "100ms"), ("SKILL_INIT_ORPHAN_AGE", "0s")],
    );
    init.ready();
    let pid = lines(&init.path("orphan"), 1);
    let live = until(|| init.status()["orphans"]["live"].as_array().filter(|live| !live.is_empty()).cloned());
    assert_eq!(live[0]["pid"].to_string(), pid.trim());
    assert!(!gone(pid.trim()));
    assert_eq!(init.stop().code(), Some(0));
    until(|| gone(pid.trim()).then_some(()));
}

/// A service that leaves a daemon behind at each start, by setsid and a double fork, and names it in a file.
const LEAVES_A_DAEMON: &str = r#"
    [service.app]
    command = ["sh", "-c", "rm -f @DIR@/new; (setsid sh -c 'echo $$ > @DIR@/new; exec sleep 1000' &); while ! test -s @DIR@/new; do sleep 0.01; done; cat @DIR@/new >> @DIR@/daemons; echo >&5; exec sleep 1000"]
    readiness = { fd = 5 }
    essential = true
    backoff = { initial = "0s" }
"#;

/// No tick and no age could end an orphan here: only the end of its service.
const AT_THE_END: [(&str, &str); 2] = [("SKILL_INIT_ORPHANS", "end"), ("SKILL_INIT_ORPHAN_AGE", "10h")];

#[test]
fn an_operators_stop_ends_what_the_service_left_behind() {
    let mut init = Init::start_with(LEAVES_A_DAEMON, &AT_THE_END);
    init.ready();
    let daemon = lines(&init.path("daemons"), 1);
    assert_eq!(init.ask(&["stop", "app"]).0.code(), Some(0));
    let line = init.log(|line| line["message"] == "live orphan ended");
    assert_eq!((line["pid"].to_string().as_str(), &line["reason"]), (daemon.trim(), &"its service ended".into()));
    until(|| gone(daemon.trim()).then_some(()));
}

#[test]
fn a_restart_without_delay_ends_the_old_orphan_and_spares_the_new_process_and_its_daemon() {
    let mut init = Init::start_with(LEAVES_A_DAEMON, &AT_THE_END);
    init.ready();
    let leader = init.service("app")["pid"].to_string();
    let old = lines(&init.path("daemons"), 1);
    skill_init::sys::process::kill(leader.parse().unwrap(), libc::SIGKILL).unwrap();
    let line = init.log(|line| line["message"] == "live orphan ended");
    assert_eq!(line["pid"].to_string(), old.trim());
    let both = lines(&init.path("daemons"), 2);
    until(|| (init.service("app")["state"] == "ready").then_some(()));
    assert!(!gone(both.lines().nth(1).unwrap()));
    assert_eq!(init.service("app")["restarts"], 1);
    assert_eq!(init.status()["orphans"]["ended_total"], 1);
}
