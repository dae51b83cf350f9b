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
