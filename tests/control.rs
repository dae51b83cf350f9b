//! The questions and orders of an operator, to a real init, by the real commands.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "tests start the binary under test")]

#[path = "supervise/fixture.rs"]
#[allow(dead_code, reason = "the supervise suite uses all of it")]
mod fixture;

use fixture::{lines, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{net::UnixListener, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_skill-init");

/// An init that supervises the services of a configuration file and nothing else.
struct Init {
    dir: tempfile::TempDir,
    child: Child,
}

impl Init {
    fn start(services: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |below: &str| dir.path().join(below);
        std::fs::write(at("init.toml"), services).unwrap();
        let child = Command::new(BINARY)
            .arg("entrypoint")
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("SKILL_RUNNER_RUNTIME_MODE", "container"), ("SKILL_INIT_API", "0")])
            .envs([("SKILL_INIT_ENSURE", "off"), ("SKILL_INIT_TTYD", "off"), ("SKILL_INIT_GATEWAY", "0")])
            .envs([("SKILL_INIT_IMPORT", "0"), ("SKILL_INIT_TRUST", "0")])
            .env("SKILL_INIT_CONFIG", at("init.toml"))
            .env("SKILL_INIT_SOCKET", at("run/control.sock"))
            .env("SKILL_RUNNER_DATA_DIR", at("data"))
            .env("SKILL_RUNNER_AGENT_CACHE_DIR", at("cache"))
            .env("SKILL_INIT_APP_DIR", at("app"))
            .env("BINARY", BINARY)
            .env("OUT", at("out"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let init = Self { dir, child };
        let (code, words) = init.ask(&["wait", "--ready", "--timeout", "300s"]);
        assert_eq!(code, Some(0), "{words}{}", init.log());
        init
    }
    fn at(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap()
    }
    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output =
            Command::new(BINARY).args(arguments).arg("--socket").arg(self.at("run/control.sock")).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
    fn service(&self, name: &str) -> Value {
        let (code, words) = self.ask(&["status", "--json"]);
        assert_eq!(code, Some(0), "{words}");
        let status: Value = serde_json::from_str(&words).unwrap();
        status["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap().clone()
    }
    fn until(&self, name: &str, state: &str) -> Value {
        until(|| Some(self.service(name)).filter(|service| service["state"] == state))
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn an_operator_stops_starts_and_restarts_a_service() {
    let init = Init::start("[service.one]\ncommand = [\"sleep\", \"1000\"]\n", &[]);
    let first = init.service("one");
    assert_eq!(first["state"], "ready");
    assert_eq!(init.ask(&["stop", "one"]).0, Some(0));
    let stopped = init.until("one", "stopped");
    assert_eq!(stopped["pid"], Value::Null);
    assert_eq!(init.ask(&["start", "one"]).0, Some(0));
    let second = init.until("one", "ready");
    assert_ne!(first["pid"], second["pid"]);
    assert_eq!(init.ask(&["restart", "one"]).0, Some(0));
    until(|| (init.until("one", "ready")["pid"] != second["pid"]).then_some(()));
    let (code, words) = init.ask(&["stop", "nobody"]);
    assert_eq!(code, Some(69));
    assert!(words.contains("one"), "the names that there are: {words}");
}

#[test]
fn health_answers_every_question_and_the_table_shows_the_service() {
    let init = Init::start("[service.one]\ncommand = [\"sleep\", \"1000\"]\n", &[]);
    assert_eq!(init.ask(&["health"]), (Some(0), "ready\n".to_owned()));
    assert_eq!(init.ask(&["health", "--live"]), (Some(0), "live\n".to_owned()));
    assert_eq!(init.ask(&["health", "--startup"]), (Some(0), "started\n".to_owned()));
    let (code, json) = init.ask(&["health", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&json).unwrap()["ok"].clone()), (Some(0), Value::Bool(true)));
    let table = init.ask(&["status"]).1;
    assert!(table.contains("SERVICE") && table.contains("one"), "{table}");
    // SKILL_INIT_API=0 says that no worker is wanted: there is nothing to warn of.
    assert!(!table.contains("warning"), "{table}");
}

#[test]
fn a_reload_takes_the_new_service_and_leaves_the_old_one_alone() {
    let init = Init::start("[service.one]\ncommand = [\"sleep\", \"1000\"]\n", &[]);
    let before = init.service("one");
    let two = "[service.one]\ncommand = [\"sleep\", \"1000\"]\n[service.two]\ncommand = [\"sleep\", \"1000\"]\n";
    std::fs::write(init.at("init.toml"), two).unwrap();
    assert_eq!(init.ask(&["reload"]), (Some(0), "configuration re-read\n".to_owned()));
    // The answer is the outcome: nobody has to look again.
    assert!(init.ask(&["status", "--json"]).1.contains("\"two\""));
    init.until("two", "ready");
    assert_eq!(init.service("one")["pid"], before["pid"]);
    // A mistake in the file is no reason to be unhealthy.
    std::fs::write(init.at("init.toml"), "[service.one\n").unwrap();
    assert_eq!(init.ask(&["health"]).0, Some(0));
}

#[test]
fn a_reload_that_is_refused_says_why_and_the_status_goes_on_saying_so() {
    let init = Init::start("[service.one]\ncommand = [\"sleep\", \"1000\"]\n", &[]);
    let warned = || init.ask(&["status"]).1.contains("the last reload failed");
    assert!(!warned());
    std::fs::write(init.at("init.toml"), "[service.one]\ncomand = \"sleep 1\"\n").unwrap();
    let (code, words) = init.ask(&["reload"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("everything stays as it is") && words.contains("did you mean `command`"), "{words}");
    assert!(warned());
    assert_eq!(init.service("one")["state"], "ready");
    // Several at once, in the middle of each other's: each is told an outcome of a reading after its question.
    std::fs::write(init.at("init.toml"), "[service.one]\ncommand = [\"sleep\", \"1000\"]\n").unwrap();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| init.ask(&["reload"]))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(outcomes.iter().all(|(code, _)| *code == Some(0)), "{outcomes:?}");
    assert!(!warned());
}

/// A service that asks its own init, once, also by a daemon that it orphans.
const INSIDE: &str = r#"
[service.one]
command = ["sleep", "1000"]
[service.agent]
command = ["sh", "-c", """
"$BINARY" status --json > "$OUT.status"; echo $? > "$OUT.read"
"$BINARY" stop one 2> "$OUT.words"; echo $? > "$OUT.direct"
(setsid sh -c '"$BINARY" stop one 2> /dev/null; echo $? > "$OUT.new"; mv "$OUT.new" "$OUT.orphan"' &)
exec sleep 1000
"""]
"#;

fn told(init: &Init, what: &str) -> String {
    lines(&init.at(&format!("out.{what}")), 1).trim().to_owned()
}

#[test]
fn a_supervised_process_may_look_and_not_touch_even_as_an_orphan() {
    let init = Init::start(INSIDE, &[]);
    assert_eq!(told(&init, "orphan"), "1");
    assert_eq!(told(&init, "direct"), "1");
    assert_eq!(told(&init, "read"), "0");
    assert!(std::fs::read_to_string(init.at("out.words")).unwrap().contains("SKILL_INIT_CONTROL_FROM_INSIDE"));
    assert_eq!(init.service("one")["state"], "ready");
}

#[test]
fn it_may_touch_where_the_operator_says_so() {
    let init = Init::start(INSIDE, &[("SKILL_INIT_CONTROL_FROM_INSIDE", "1")]);
    assert_eq!(told(&init, "direct"), "0");
    init.until("one", "stopped");
}

#[test]
fn nobody_there_is_69_and_unhealthy_is_1() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| {
        let socket = dir.path().join("control.sock");
        Command::new(BINARY).args(arguments).arg("--socket").arg(socket).output().unwrap().status.code()
    };
    assert_eq!(ask(&["status"]), Some(69));
    assert_eq!(ask(&["reload"]), Some(69));
    assert_eq!(ask(&["wait", "--timeout", "10ms"]), Some(69));
    assert_eq!(ask(&["health"]), Some(1));
    assert_eq!(ask(&["health", "--live", "--ready"]), Some(2));
}

#[test]
fn an_answer_that_fits_no_question_is_a_fault_of_the_program_70() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(b"{\"response\":\"health\",\"ok\":true,\"reasons\":[]}\n").unwrap();
        line
    });
    let output = Command::new(BINARY).arg("reload").arg("--socket").arg(&socket).output().unwrap();
    assert!(server.join().unwrap().contains("reload"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("unexpected answer"), "{said}");
}
