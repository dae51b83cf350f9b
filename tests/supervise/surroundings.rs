//! What a service is started with, and what a running init takes in from outside: credentials, a freeze by the engine.

use crate::{
    cgroup::Group,
    fixture::{Init, lines, until},
};
use std::fs;

#[test]
fn a_service_gets_its_user_group_limits_oom_score_folder_and_environment() {
    if !nix::unistd::geteuid().is_root() {
        return crate::skips::skip("another user for a service needs root");
    }
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; pwd; echo $WORD; id -G; id -u";
    let mut init = Init::start(&format!(
        r#"
        [service.app]
        command = ["sh", "-c", "{{ {script}; }}; exec sleep 1000"]
        user = "4711:4712"
        limits = {{ nofile = "77:99", core = 0 }}
        oom_score_adj = 123
        cwd = "/usr"
        env = {{ WORD = "a b" }}
        essential = true
        "#
    ));
    init.state("app", "ready");
    let mut said = std::io::BufReader::new(init.child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        line.trim_end().to_owned()
    };
    // The agents' check talks too.
    let first = std::iter::repeat_with(&mut line).find(|line| line == "77").unwrap();
    let rest: Vec<String> = std::iter::once(first).chain(std::iter::repeat_with(line)).take(8).collect();
    assert_eq!(rest, ["77", "99", "0", "123", "/usr", "a b", "4712", "4711"]);
}

#[test]
fn a_reload_imports_credentials_and_restarts_nobody() {
    let mut init = Init::start("[service.app]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n");
    init.ready();
    let pid = init.service("app")["pid"].clone();
    let source = init.path("agent_config/codex/auth.json");
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::write(&source, r#"{"OPENAI_API_KEY":"sk-one"}"#).unwrap();
    init.signal(libc::SIGHUP);
    init.log(|line| line["message"] == "configuration re-read");
    let imported = fs::read_to_string(init.path("agent-cache/agent-home/.codex/auth.json")).unwrap();
    assert!(imported.contains("sk-one"), "{imported}");
    assert_eq!(init.service("app")["pid"], pid);
    assert!(!init.seen("sk-one"), "a secret is in the log");
}

/// `docker pause`, and a node that suspends a pod.
#[test]
fn what_happens_while_the_freezer_holds_everything_is_acted_upon_after_the_thaw() {
    let Some(group) = Group::with_freezer() else {
        return crate::skips::skip("no cgroup with a freezer can be made here (needs root and a writable hierarchy)");
    };
    let config = r#"
        [service.app]
        command = ["sh", "-c", "echo $$ >> @DIR@/pids; exec sleep 1000"]
        essential = true
        backoff = { initial = "0s" }
    "#;
    let mut init = Init::start_in(&group.0, config, &[]);
    init.ready();
    let pid: i32 = lines(&init.path("pids"), 1).trim().parse().unwrap();
    group.freeze(true);
    skill_init::sys::process::kill(pid, libc::SIGKILL).unwrap();
    init.signal(libc::SIGHUP);
    group.freeze(false);
    init.log(|line| line["message"] == "configuration re-read");
    until(|| (lines(&init.path("pids"), 1).lines().count() == 2).then_some(()));
    // Whichever of the two comes first.
    until(|| (init.service("app")["state"] == "ready").then_some(()));
    assert_eq!(init.service("app")["restarts"], 1);
    assert_eq!(init.stop().code(), Some(0));
}
