//! `[service.*]` tables: defaults, tuning of built-in services, mistakes, order, many of them.

use super::{super::*, expect, load, wrong};
use std::{collections::BTreeMap, time::Duration};

#[test]
fn a_service_gets_the_defaults_and_on_top_what_its_table_says() {
    let toml = r#"
[supervise]
backoff = "100ms"
[service.db]
command = "/usr/bin/db --flag 'a b'"
env = { A = 1, B = true }
stop_signal = "SIGINT"
limits = { nofile = "1024:4096", core = 0, nproc = "unlimited" }
essential = true
user = 999
[service.db.backoff]
max = 3
[service.db.readiness]
tcp = "127.0.0.1:5432"
interval = "50ms"
[service.job]
kind = "oneshot"
command = ["/bin/true"]
after = ["db", "api"]
"#;
    let settings = load(&[], toml).unwrap();
    let [db, job] = settings.services.as_slice() else { panic!("two services") };
    assert_eq!(db.command, ["/usr/bin/db", "--flag", "a b"]);
    assert_eq!(db.env, BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "true".to_owned())]));
    assert_eq!((db.stop_signal, db.user.as_deref()), (2, Some("999")));
    assert_eq!((db.backoff.initial, db.backoff.max), (Duration::from_millis(100), Duration::from_secs(3)));
    assert_eq!((db.limits[0].soft, db.limits[0].hard), (Some(1024), Some(4096)));
    assert_eq!((db.limits[2].soft, db.limits[2].hard), (None, None));
    let probe = db.readiness.as_ref().unwrap();
    assert_eq!((probe.interval, probe.failure_threshold), (Duration::from_millis(50), 3));
    assert_eq!(job.restart, service::Restart::OnFailure, "a oneshot is not repeated when it has done its work");
    assert_eq!(job.after, ["db", "api"]);
}

#[test]
fn a_built_in_service_is_tuned_and_keeps_the_rest() {
    let toml = "[service.api]\nstop_grace = \"3s\"\nenv = { X = \"y\" }\n[service.api.readiness]\ninterval = \"2s\"\n";
    let settings = load(&[], toml).unwrap();
    assert!(settings.services.is_empty());
    let mut api = service::ServiceSpec::new("api", vec!["/api".to_owned()], &Defaults::of(&settings));
    api.readiness = Some(service::Probe {
        kind: service::ProbeKind::SdNotify,
        start_period: Duration::ZERO,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 3,
    });
    api.tune(&settings.overrides["api"]);
    assert_eq!(api.stop_grace, Duration::from_secs(3));
    assert_eq!(api.command, ["/api"]);
    let probe = api.readiness.unwrap();
    assert_eq!((probe.kind, probe.interval), (service::ProbeKind::SdNotify, Duration::from_secs(2)));
}

#[test]
fn every_mistake_in_a_service_table_has_its_line() {
    let toml = r#"[service.DB]
command = "/bin/db"
[service.a]
comand = "/bin/a"
[service.b]
command = "/bin/b 'x"
restart = "sometimes"
stop_signal = "TERMINATE"
limits = { nofiles = 3, core = "2:1" }
oom_score_adj = 2000
user = "postgres"
cwd = "b"
secrets = ["PASSWORD"]
after = ["apii"]
[service.b.liveness]
notify = true
[service.b.readiness]
timeout = "1s"
[service.api]
command = "/bin/x"
[service.one]
kind = "oneshot"
restart = "always"
command = ["/bin/one"]
[[services]]
x = 1
"#;
    expect(
        &wrong(toml),
        &[
            "init.toml:1: \"DB\" is no service name",
            "init.toml:4: unknown key `service.a.comand`; did you mean `command`?",
            "init.toml:3: `service.a` has no `command`",
            "init.toml:6: `service.b.command` \"/bin/b 'x\" has a quote or backslash without an end",
            "init.toml:7: `service.b.restart` = \"sometimes\" is none of: always, on-failure, never",
            "init.toml:8: `service.b.stop_signal` \"TERMINATE\" is not a signal",
            "init.toml:9: `service.b.limits.nofiles` is no resource; did you mean `nofile`?",
            "init.toml:9: `service.b.limits.core` = \"2:1\": the soft limit is above the hard one",
            "init.toml:10: `service.b.oom_score_adj` = 2000 is out of range",
            "init.toml:11: `service.b.user` \"postgres\" is not UID",
            "init.toml:12: `service.b.cwd` = \"b\" is a relative path",
            "init.toml:13: `service.b.secrets` names \"PASSWORD\", which is no secret",
            "init.toml:5: `service.b.after` names \"apii\", which is no service; did you mean `api`?",
            "init.toml:16: `service.b.liveness.notify` can only say that a service is ready",
            "init.toml:17: `service.b.readiness` does not say how to ask",
            "init.toml:20: `service.api.command` cannot be given",
            "init.toml:23: `service.one.restart` = \"always\" does not suit a oneshot",
            "init.toml:25: unknown table `[services]`; did you mean `[service]`?",
        ],
    );
}

#[test]
fn a_circle_of_services_is_named() {
    let toml = "[service.a]\ncommand=\"/a\"\nafter=[\"b\"]\n[service.b]\ncommand=\"/b\"\nafter=[\"a\"]\n";
    expect(&wrong(toml), &["services wait for each other in a circle: a -> b -> a"]);
}

#[test]
fn nothing_waits_for_what_is_switched_off() {
    let toml =
        "[service.a]\ncommand=\"/a\"\nafter=[\"b\",\"ttyd\",\"api\"]\n[service.b]\ncommand=\"/b\"\nenabled=false\n";
    let settings = load(&[("SKILL_INIT_TTYD", "off")], toml).unwrap();
    assert_eq!(settings.services.len(), 1);
    assert_eq!(settings.services[0].after, ["api"]);
}

#[test]
fn a_thousand_services_load() {
    let toml: String =
        (0..1000).map(|n| format!("[service.s{n}]\ncommand = \"/bin/true\"\nafter = [\"api\"]\n")).collect();
    assert_eq!(load(&[], &toml).unwrap().services.len(), 1000);
}
