//! Signals to the init: those that mean a stop, those that are passed on, storms of ended children, and being frozen.

use crate::fixture::{Init, lines, until};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

#[test]
fn other_signals_reach_the_essential_services_and_nobody_else() {
    let service = |name: &str, essential: bool| {
        format!(
            "[service.{name}]\ncommand = [\"sh\", \"-c\", \"trap 'echo {name} usr1 >> @DIR@/got' USR1; \
             trap 'echo {name} usr2 >> @DIR@/got' USR2; echo >&5; while :; do sleep 0.05; done\"]\n\
             readiness = {{ fd = 5 }}\nessential = {essential}\n"
        )
    };
    let mut init = Init::start(&(service("main", true) + &service("extra", false)));
    init.state("extra", "ready");
    until(|| (init.service("main")["state"] == "ready").then_some(()));
    init.signal(libc::SIGUSR1);
    lines(&init.path("got"), 1);
    init.signal(libc::SIGUSR2);
    assert_eq!(lines(&init.path("got"), 2), "main usr1\nmain usr2\n");
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn each_stop_signal_stops_in_order_with_exit_0() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGRTMIN() + 3] {
        let mut init = Init::start(
            r#"
            [service.app]
            command = ["sh", "-c", "trap 'echo bye > @DIR@/bye; exit 0' TERM; echo >&5; while :; do sleep 0.05; done"]
            readiness = { fd = 5 }
            essential = true
            "#,
        );
        init.ready();
        init.signal(signal);
        assert_eq!(init.exit().code(), Some(0), "signal {signal}");
        assert_eq!(fs::read_to_string(init.path("bye")).unwrap(), "bye\n", "signal {signal}");
    }
}

const APP: &str =
    "[service.app]\ncommand = [\"sh\", \"-c\", \"echo up > @DIR@/up; exec sleep 1000\"]\nessential = true\n";

#[test]
fn a_stop_signal_that_waits_at_the_start_is_acted_upon_though_the_parent_had_blocked_it() {
    for signal in ["TERM", "INT", "QUIT", "RTMIN+3"] {
        let mut init = Init::start_behind(signal, &format!("kill -{signal} $$"), APP);
        assert_eq!(init.exit().code(), Some(0), "{signal}");
        assert!(!init.path("up").exists(), "{signal}: a service was started");
    }
}

#[test]
fn a_signal_is_lost_at_no_moment_of_the_start() {
    // Some of these fall before main, some into the preparation, between it and the loop, and into the loop.
    for step in 0..40 {
        let mut init = Init::start_behind("HUP", "echo $HOME", APP);
        let mut word = [0; 1];
        init.child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
        std::thread::sleep(Duration::from_micros(500) * step);
        init.signal(libc::SIGHUP);
        init.log(|line| line["message"] == "configuration re-read");
        assert_eq!(init.stop().code(), Some(0), "step {step}");
    }
}

#[test]
fn no_exit_status_is_lost_in_a_storm_of_ended_children() {
    // They end together on one word, each with a status of its own and a crowd of orphans around it.
    let service = |n: usize| {
        format!(
            "[service.s{n}]\nrestart = \"never\"\ncommand = [\"sh\", \"-c\", \"echo >&5; while ! test -e @DIR@/go; do \
             sleep 0.01; done; i=0; while [ $i -lt 20 ]; do (setsid true &); i=$((i+1)); done; exit {n}\"]\n\
             readiness = {{ fd = 5 }}\n"
        )
    };
    let config: String = (1..=25).map(service).collect();
    let mut init = Init::start(&(config + "[service.main]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n"));
    init.ready();
    until(|| {
        let status = init.status();
        let ready = status["services"].as_array()?.iter().filter(|s| s["ready"] == true).count();
        (ready >= 26).then_some(())
    });
    fs::write(init.path("go"), "").unwrap();
    for n in 1..=25 {
        until(|| {
            let service = init.service(&format!("s{n}"));
            (service["last_reason"] == format!("exit {n}")).then_some(())
        });
    }
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn time_spent_stopped_counts_for_no_deadline() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "while ! test -e @DIR@/go; do sleep 0.05; done; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        start_timeout = "12s"
        restart = "never"
        essential = true
        "#,
    );
    init.state("app", "starting");
    init.signal(libc::SIGSTOP);
    // The freeze itself is what is tested: longer than the deadline, and by more than a busy machine is late.
    std::thread::sleep(Duration::from_secs(15));
    init.signal(libc::SIGCONT);
    init.log(|line| line["message"].as_str().is_some_and(|m| m.starts_with("was frozen")));
    fs::write(init.path("go"), "").unwrap();
    init.ready();
    assert_eq!(init.stop().code(), Some(0));
}

/// With nothing left to stop the init leaves in the very turn that brought the TERM: not before it has said so.
#[test]
fn who_waits_for_readiness_is_told_of_a_stop_that_takes_no_time() {
    let mut init =
        Init::start("[service.app]\ncommand = [\"sleep\", \"1000\"]\nreadiness = { fd = 5 }\nessential = true\n");
    init.state("agents", "done");
    assert!(init.ask(&["stop", "app"]).0.success());
    init.state("app", "stopped");
    let mut waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut socket = UnixStream::connect(init.path("run/control.sock")).unwrap();
            socket.write_all(b"{\"request\":\"wait-ready\",\"timeout_ms\":600000}\n").unwrap();
            socket
        })
        .collect();
    // Connections are taken in order: when these are answered, those above wait.
    for _ in 0..2 {
        init.status();
    }
    assert_eq!(init.stop().code(), Some(0));
    for socket in &mut waiting {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"refused\"") && answer.contains("the container is stopping"), "{answer:?}");
    }
}

#[test]
fn who_waits_for_readiness_is_told_of_the_stop_and_does_not_wait_on() {
    let mut init = Init::start_with(
        r#"
        [service.app]
        command = ["sh", "-c", "trap '' TERM; echo up > @DIR@/up; while :; do sleep 0.05; done"]
        readiness = { fd = 5 }
        stop_grace = "10m"
        essential = true
        "#,
        &[("SKILL_INIT_STOP_GRACE", "20m")],
    );
    lines(&init.path("up"), 1);
    // Whether its question comes before the stop or after it: the answer is the same.
    let mut waiter = std::process::Command::new(env!("CARGO_BIN_EXE_skill-init"))
        .args(["wait", "--ready", "--timeout", "10m"])
        .env("SKILL_INIT_SOCKET", init.path("run/control.sock"))
        .spawn()
        .unwrap();
    init.signal(libc::SIGTERM);
    assert_eq!(waiter.wait().unwrap().code(), Some(1));
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit().code(), Some(0));
}
