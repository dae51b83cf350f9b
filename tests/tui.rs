//! The menu as a person meets it: the real binary on a real terminal, with stand-ins for the agents.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "tests start the binary under test")]

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{Read, Write},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
};

/// Folders of an installation, with agents of our own making.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new(agents: &[(&str, &str)]) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        let bin = home.path("npm/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(home.path("home/.codex")).unwrap();
        fs::write(home.path("init.toml"), "").unwrap();
        for (name, script) in agents {
            let file = bin.join(name);
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        home
    }
    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(below)
    }
    fn sessions(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("data/ui_shell_sessions")) else { return vec![] };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
    fn trusted(&self) -> String {
        fs::read_to_string(self.path("home/.codex/config.toml")).unwrap_or_default()
    }
    fn start(&self, arguments: &[&str], env: &[(&str, &str)]) -> Tui {
        let pty = openpty(None, None).unwrap();
        // A child that held the other end would never see it closed.
        for end in [&pty.master, &pty.slave] {
            nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).unwrap();
        }
        let slave = || std::process::Stdio::from(pty.slave.try_clone().unwrap());
        // setsid(1) makes the pseudo-terminal the controlling one, as ttyd does.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_skill-init"), "tui"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SKILL_INIT_CONFIG", self.path("init.toml"))
            .env("SKILL_RUNNER_RUNTIME_MODE", "container")
            .env("SKILL_RUNNER_DATA_DIR", self.path("data"))
            .env("SKILL_RUNNER_AGENT_CACHE_DIR", self.path("cache"))
            .env("SKILL_RUNNER_AGENT_HOME", self.path("home"))
            .env("SKILL_RUNNER_NPM_PREFIX", self.path("npm"))
            .envs(env.iter().copied())
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .unwrap();
        drop(pty.slave);
        Tui { child, master: Some(fs::File::from(pty.master)), seen: String::new() }
    }
}

struct Tui {
    child: Child,
    master: Option<fs::File>,
    seen: String,
}

impl Tui {
    fn typed(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }
    /// Reads until the text since the last call holds `text`; gives what came before it.
    fn until(&mut self, text: &str) -> String {
        let master = self.master.as_mut().unwrap();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let ready =
                poll(&mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)], PollTimeout::try_from(300_000).unwrap());
            assert_eq!(ready, Ok(1), "waiting for {text:?}, seen {:?}", self.seen);
            let mut bytes = [0; 4096];
            let read = master.read(&mut bytes).unwrap_or(0);
            assert_ne!(read, 0, "ended while waiting for {text:?}, seen {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
    fn end(&mut self) -> ExitStatus {
        // A terminal that nobody reads would keep the last words.
        if let Some(mut master) = self.master.take() {
            let _ = master.read_to_end(&mut Vec::new());
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        self.master = None;
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

const MENU: &str = "(q leaves): ";

fn gone(pid: &str) -> bool {
    !Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn an_agent_runs_with_its_predefined_arguments_in_a_trusted_folder_of_its_own() {
    let home = Home::new(&[(
        "codex",
        "echo \"ARGS=$*.\"; echo \"CWD=$PWD.\"; cat \"$HOME/.codex/config.toml\"; echo DONE; exit 3",
    )]);
    let mut tui = home.start(&[], &[]);
    let menu = tui.until(MENU);
    assert!(menu.contains(" 1  codex            managed"), "{menu}");
    assert!(menu.contains(" 2  codex login      managed"), "{menu}");
    assert!(menu.contains(" -  gemini           not installed"), "{menu}");
    tui.typed("1\r");
    let output = tui.until("DONE");
    let args = "ARGS=--sandbox workspace-write --ask-for-approval never -c features.shell_tool=false -c features.unified_exec=false.";
    assert!(output.contains(args), "{output}");
    let folder = output.split("CWD=").nth(1).unwrap().split(".\r").next().unwrap().to_owned();
    assert!(folder.starts_with(home.path("data/ui_shell_sessions/").to_str().unwrap()), "{folder}");
    assert!(output.contains(&format!("[projects.\"{folder}\"]")), "{output}");
    tui.until("codex ended: exit 3.");
    tui.until(MENU);
    assert!(!home.trusted().contains(&folder), "{}", home.trusted());
    assert!(home.sessions().is_empty(), "{:?}", home.sessions());
    tui.typed("q");
    tui.until("Goodbye.");
    assert_eq!(tui.end().code(), Some(0));
}

#[test]
fn arrow_keys_choose_too_and_what_is_not_installed_cannot_be_chosen() {
    let home = Home::new(&[("opencode", "echo \"ARGS=[$*]\"; cat opencode.json; echo DONE")]);
    let mut tui = home.start(&[], &[]);
    tui.until(MENU);
    tui.typed("1\r");
    tui.typed("\u{1b}[B");
    tui.until("opencode ");
    tui.typed("\u{1b}[B");
    tui.until("opencode login");
    tui.typed("\u{1b}[A");
    tui.until("opencode  ");
    tui.typed("\r");
    let output = tui.until("DONE");
    assert!(output.contains("ARGS=[]"), "{output}");
    assert!(output.contains(r#""permission": "deny""#), "{output}");
}

#[test]
fn a_file_of_the_agent_keeps_the_folder_unless_nothing_is_to_be_kept() {
    for (keep, left) in [("24h", 1), ("0s", 0)] {
        let home = Home::new(&[("opencode", "echo work > result.txt")]);
        let mut tui = home.start(&[], &[("SKILL_INIT_TERMINAL_KEEP", keep)]);
        tui.until(MENU);
        tui.typed("4\r");
        tui.until("opencode ended");
        tui.until(MENU);
        assert_eq!(home.sessions().len(), left, "{keep}");
        tui.typed("q");
        tui.end();
    }
}

#[test]
fn old_folders_go_and_fresh_or_foreign_ones_stay() {
    let home = Home::new(&[]);
    let top = home.path("data/ui_shell_sessions");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for name in ["1000-7-0".to_owned(), format!("{now}-7-0"), "somebody-elses".to_owned()] {
        fs::create_dir_all(top.join(name)).unwrap();
    }
    let mut tui = home.start(&[], &[]);
    tui.until(MENU);
    assert_eq!(home.sessions().len(), 2);
    assert!(!top.join("1000-7-0").exists());
    tui.typed("q");
    tui.end();
}

#[test]
fn the_environment_holds_nothing_that_opens_a_shell_or_tells_a_secret() {
    let home = Home::new(&[("codex", "env; echo DONE")]);
    let env = [
        ("EDITOR", "vim-secret"),
        ("SHELL", "/bin/sh-secret"),
        ("UI_BASIC_AUTH_PASSWORD", "password-secret"),
        ("SKILL_INIT_LOG", "info"),
        ("BASH_ENV", "/x-secret"),
        ("OPENAI_API_KEY", "the-agents-own"),
    ];
    let mut tui = home.start(&[], &env);
    tui.until(MENU);
    tui.typed("1\r");
    let output = tui.until("DONE");
    assert!(!output.contains("secret"), "{output}");
    assert!(!output.contains("SKILL_INIT_"), "{output}");
    assert!(output.contains("OPENAI_API_KEY=the-agents-own"));
    assert!(output.contains("SHELL=/bin/false"));
    assert!(output.contains(&format!("HOME={}", home.path("home").display())));
    assert!(output.contains("SKILL_RUNNER_UI_SHELL_ALLOWED_WRITE_ROOTS="));
}

#[test]
fn ctrl_z_stops_nobody_and_ctrl_c_reaches_the_agent() {
    let home =
        Home::new(&[("codex", "trap 'echo INT; exit 0' INT; echo READY; while read line; do echo got-$line; done")]);
    let mut tui = home.start(&[], &[]);
    tui.until(MENU);
    tui.typed("1\r");
    tui.until("READY");
    tui.typed("\u{1a}still here\n");
    tui.until("got-still here");
    tui.typed("\u{3}");
    tui.until("INT");
    tui.until(MENU);
}

#[test]
fn the_time_limit_ends_a_stubborn_agent_and_everything_it_started() {
    let agent = "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM; echo ESCAPED=$$.; while :; do sleep 1000; done' &); \
                 echo PID=$$.; while :; do sleep 1000; done";
    let home = Home::new(&[("codex", agent)]);
    let mut tui = home.start(&["--limit", "2s"], &[]);
    tui.until(MENU);
    tui.typed("1\r");
    let mut output = tui.until("PID=");
    output.push_str(&tui.until("time limit is reached"));
    output.push_str(&tui.seen.clone());
    assert_eq!(tui.end().code(), Some(0));
    let pid = output.split('.').next().unwrap_or_default().to_owned();
    let escaped = output.split("ESCAPED=").nth(1).map(|rest| rest.split('.').next().unwrap().to_owned());
    for pid in [Some(pid), escaped].into_iter().flatten().filter(|pid| pid.trim().parse::<i32>().is_ok()) {
        assert!(gone(&pid), "{pid} still runs");
    }
    assert!(home.sessions().is_empty());
    assert!(!home.trusted().contains("ui_shell_sessions"), "{}", home.trusted());
}

#[test]
fn the_time_limit_ends_the_menu_too() {
    let home = Home::new(&[]);
    let mut tui = home.start(&["--limit", "100ms"], &[]);
    assert_eq!(tui.end().code(), Some(0));
}

#[test]
fn a_closed_window_ends_the_session_and_cleans_up() {
    let home = Home::new(&[("codex", "trap '' HUP; echo PID=$$.; while :; do sleep 1000; done")]);
    let mut tui = home.start(&[], &[]);
    tui.until(MENU);
    tui.typed("1\r");
    tui.until("PID=");
    let pid = tui.until(".");
    let pid = pid.trim_end_matches('.').to_owned();
    assert_eq!(home.sessions().len(), 1);
    // The end of the pseudo-terminal: the kernel sends SIGHUP to the session's leader.
    tui.master = None;
    assert!(tui.child.wait().is_ok());
    assert!(gone(&pid));
    assert!(home.sessions().is_empty());
    assert!(!home.trusted().contains("ui_shell_sessions"), "{}", home.trusted());
}

#[test]
fn an_agent_whose_own_sandbox_refuses_is_tried_once_without() {
    let agent = "case \"$*\" in *--sandbox*) exit 1;; esac; echo \"ARGS=$*.\"; cat .gemini/settings.json; echo DONE";
    let home = Home::new(&[("gemini", agent)]);
    let mut tui = home.start(&[], &[]);
    let menu = tui.until(MENU);
    let number = menu.lines().find(|line| line.contains("gemini")).unwrap().trim().chars().next().unwrap();
    tui.typed(&format!("{number}\r"));
    let output = tui.until("DONE");
    assert!(output.contains("ARGS=--approval-mode default."), "{output}");
    assert!(output.contains(r#""sandbox": false"#), "{output}");
}

#[test]
fn term_from_the_supervisor_ends_it_in_the_middle_of_a_session() {
    let home = Home::new(&[("codex", "echo PID=$$.; exec sleep 1000")]);
    let mut tui = home.start(&[], &[]);
    tui.until(MENU);
    tui.typed("1\r");
    tui.until("PID=");
    let pid = tui.until(".").trim_end_matches('.').to_owned();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    kill(Pid::from_raw(parent), Signal::SIGTERM).unwrap();
    assert_eq!(tui.end().code(), Some(0));
    assert!(gone(&pid));
    assert!(home.sessions().is_empty());
}
