//! A running skill-init with a configuration file, and questions to it.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for a loaded machine; nothing waits this long when it works.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

pub(crate) struct Init {
    pub(crate) dir: TempDir,
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Init {
    /// Starts `skill-init local` with these `[service.*]` tables and nothing of its own.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more environment; its stdout is a pipe that the test may read.
    pub(crate) fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        Self::launch(&[env!("CARGO_BIN_EXE_skill-init")], config, env, true)
    }

    /// The same without anybody who reads its log: `state`, `log` and `ready` cannot be used.
    pub(crate) fn start_unread(config: &str) -> Self {
        Self::launch(&[env!("CARGO_BIN_EXE_skill-init")], config, &[], false)
    }

    /// The same in a cgroup.
    pub(crate) fn start_in(cgroup: &Path, config: &str, env: &[(&str, &str)]) -> Self {
        let script = "echo 0 > \"$0/cgroup.procs\" && exec \"$@\"";
        let cgroup = cgroup.to_str().expect("a path");
        Self::launch(&["/bin/sh", "-c", script, cgroup, env!("CARGO_BIN_EXE_skill-init")], config, env, true)
    }

    /// The same with this signal blocked by its parent, and after these words of a shell in the same process.
    pub(crate) fn start_behind(signal: &str, words: &str, config: &str) -> Self {
        let (block, script) = (format!("--block-signal={signal}"), format!("{words} && exec \"$0\" \"$@\""));
        let program = ["/usr/bin/env", &block, "/bin/sh", "-c", &script, env!("CARGO_BIN_EXE_skill-init")];
        Self::launch(&program, config, &[], true)
    }

    /// The same where `/run/systemd/journal` is this folder and stderr is said to be the journal.
    pub(crate) fn start_under_journal(journal: &Path, config: &str) -> Self {
        let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$0\" /run/systemd/journal \
                      && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"";
        let journal = journal.to_str().expect("a path");
        let program = ["unshare", "--mount", "/bin/sh", "-c", script, journal, env!("CARGO_BIN_EXE_skill-init")];
        Self::launch(&program, config, &[], true)
    }

    fn launch(program: &[&str], config: &str, env: &[(&str, &str)], read: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("init.toml");
        fs::write(&file, config.replace("@DIR@", &dir.path().display().to_string())).expect("the configuration");
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .args(["local", "--dir"])
            .arg(dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", dir.path())
            .env("SKILL_INIT_CONFIG", &file)
            .env("SKILL_INIT_API", "false")
            .env("SKILL_INIT_GATEWAY", "false")
            .env("SKILL_INIT_ENSURE", "off")
            .env("SKILL_INIT_TTYD", "off")
            .env("SKILL_INIT_TICK", "0s")
            .env("SKILL_INIT_LOG_FORMAT", "json")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take_if(|_| read) {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { dir, child, lines, seen: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits for a log line about this service coming into this state; its reason.
    pub(crate) fn state(&mut self, service: &str, state: &str) -> String {
        self.log(|line| line["service"] == service && line["to"] == state)["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits for the first JSON log line, not seen before, for which this holds.
    pub(crate) fn log(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if let Ok(value) = serde_json::from_str::<Value>(&line)
                        && wanted(&value)
                    {
                        return value;
                    }
                }
                Err(_) => panic!("the awaited line did not come; the log:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// This text stood in a log line that was looked at.
    pub(crate) fn seen(&self, text: &str) -> bool {
        self.seen.iter().any(|line| line.contains(text))
    }

    pub(crate) fn ready(&mut self) {
        self.log(|line| line["message"] == "ready");
    }

    pub(crate) fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        skill_init::sys::process::kill(pid, signal).expect("a signal");
    }

    /// Runs `skill-init ARGS` against it; stdout.
    pub(crate) fn ask(&self, args: &[&str]) -> (ExitStatus, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_skill-init"))
            .args(args)
            .env_clear()
            .env("SKILL_INIT_SOCKET", self.path("run/control.sock"))
            .output()
            .expect("the binary runs");
        (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(crate) fn status(&self) -> Value {
        let (_, text) = self.ask(&["status", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn service(&self, name: &str) -> Value {
        let status = self.status();
        let services = status["services"].as_array().expect("services");
        services.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no {name} in {status}")).clone()
    }

    /// Waits for its exit.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        // The pipe closes when the last holder has gone; wait(2) then returns at once.
        while self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
        self.child.wait().expect("its status")
    }

    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.exit()
    }
}

impl Drop for Init {
    /// Stops at once, with everything below it; killed itself it would leave its services to the machine.
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(15);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            self.signal(libc::SIGTERM);
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a file has this many lines at least; its text.
pub(crate) fn lines(path: &Path, count: usize) -> String {
    until(|| fs::read_to_string(path).ok().filter(|text| text.ends_with('\n') && text.lines().count() >= count))
}

/// Polls until there is a value: for facts that nobody announces (a process is gone, a file was written).
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < end, "it did not become so");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The process is gone, or only its zombie is left (of another reaper than ours).
pub(crate) fn gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
    }
}
