//! One agent's session: its folder, its files, its trust, its processes; all of it gone at the end.
//!
//! ```text
//! folder -> files -> trust -> spawn in the foreground -> wait -> (TERM, KILL) -> sweep -> untrust -> remove
//! ```
//!
//! A folder that holds nothing but what was put there is removed at once; one with an agent's files in it is kept for
//! `SKILL_INIT_TERMINAL_KEEP` and removed by a later menu. Its name tells when it began, so that the folder of a
//! menu that was killed is found too: no session outlives the time limit.

use super::{
    Config,
    menu::{Entry, Kind},
    terminal::Terminal,
    watch::{Event, Watch},
};
use crate::{
    agents::trust::Store,
    layout::Layout,
    plan::environment::Variables,
    sys::{
        self,
        fs::write_atomic,
        spawn::{FileAction, Group, Spawn},
        wait::{ExitStatus, Peek, peek, reap_any},
    },
};
use nix::sys::signal::{SigSet, Signal};
use std::{
    collections::BTreeSet,
    ffi::CString,
    fs,
    io::{self, ErrorKind},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// An end within this time of the start is taken for a refusal of the arguments.
const AT_ONCE: Duration = Duration::from_millis(400);

/// Names that an agent of the terminal does not get: they start programs of the user's choice, or belong to others. The
/// engine table has more.
const WITHHELD: &[&str] = &[
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "GIT_EDITOR",
    "GIT_PAGER",
    "BROWSER",
    "SHELL",
    "BASH_ENV",
    "ENV",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "NODE_OPTIONS",
    "NOTIFY_SOCKET",
    "TTYD_USER",
];

/// How a session ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// By itself.
    Ended(ExitStatus),
    /// The time limit was reached.
    TimeOver,
    /// The terminal or the container went away.
    HungUp,
}

/// A session that is prepared.
#[derive(Debug)]
pub(super) struct Session<'c> {
    config: &'c Config,
    entry: &'c Entry,
    folder: PathBuf,
    written: BTreeSet<PathBuf>,
}

impl<'c> Session<'c> {
    /// Makes folder, files and trust entry.
    pub(super) fn begin(config: &'c Config, entry: &'c Entry) -> io::Result<Self> {
        let folder = make_folder(&config.layout)?;
        let mut session = Self { config, entry, folder, written: BTreeSet::new() };
        if entry.kind == Kind::Agent {
            session.write_files(entry.sandbox)?;
            if let Some(trust) = &entry.engine.trust
                && let Err(error) = Store::of(&config.layout).add(trust, &session.folder)
            {
                tracing::warn!(%error, "terminal session without a trust entry");
            }
        }
        Ok(session)
    }

    fn write_files(&mut self, sandbox: bool) -> io::Result<()> {
        for file in &self.entry.engine.session_files {
            let path = self.folder.join(&file.path);
            if let Some(parent) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            let content = file.content.trim_start().replace("{sandbox}", if sandbox { "true" } else { "false" });
            write_atomic(&path, content.as_bytes(), 0o600).map_err(io::Error::other)?;
            self.written.insert(file.path.clone());
        }
        Ok(())
    }

    /// Runs it to its end.
    pub(super) fn run(mut self, terminal: &Terminal, watch: &Watch, deadline: Instant) -> io::Result<Outcome> {
        let (program, arguments) = self.entry.command.clone().map_err(io::Error::other)?;
        let began = Instant::now();
        let mut outcome = self.attempt(&program, &arguments, terminal, watch, deadline);
        let refused =
            |outcome: &io::Result<Outcome>| matches!(outcome, Ok(Outcome::Ended(status)) if !status.success());
        if let Some(second) = self.entry.second.as_ref().filter(|_| refused(&outcome) && began.elapsed() < AT_ONCE) {
            terminal.reclaim();
            terminal.say("It does not start with its own sandbox here; once more without.");
            self.write_files(false)?;
            outcome = self.attempt(&program, second, terminal, watch, deadline);
        }
        outcome
    }

    fn attempt(
        &self,
        program: &Path,
        arguments: &[String],
        terminal: &Terminal,
        watch: &Watch,
        deadline: Instant,
    ) -> io::Result<Outcome> {
        let pid = self.spawn(program, arguments, terminal)?;
        let outcome = wait(pid, watch, deadline);
        // Whatever it left in its group or elsewhere: re-parented to us, because we are a subreaper.
        let _ = sys::process::kill(-pid, libc::SIGKILL);
        end_descendants();
        Ok(outcome)
    }

    fn spawn(&self, program: &Path, arguments: &[String], terminal: &Terminal) -> io::Result<i32> {
        let c = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
        let program = c(program.as_os_str().as_bytes())?;
        let mut argv = vec![program.clone()];
        for argument in arguments {
            argv.push(c(argument.as_bytes())?);
        }
        let cwd = if self.entry.kind == Kind::Agent { &self.folder } else { &self.config.layout.agent_home };
        let mut envp = Vec::new();
        for (name, value) in self.environment() {
            envp.push(c(format!("{name}={value}").as_bytes())?);
        }
        let mut spawn = Spawn::new(program, argv);
        spawn.envp = Some(envp);
        spawn.group = Group::Own;
        // Ignored here, ignored there: everything else starts with its default.
        let mut defaults = SigSet::all();
        for ignored in [Signal::SIGTSTP, Signal::SIGTTOU, Signal::SIGTTIN] {
            defaults.remove(ignored);
        }
        spawn.default_signals = Some(*defaults.as_ref());
        spawn.files.push(FileAction::Chdir(c(cwd.as_os_str().as_bytes())?));
        if terminal.has_foreground() {
            spawn.files.push(FileAction::Foreground(0));
        }
        spawn.files.push(FileAction::CloseFrom(3));
        spawn.spawn()
    }

    fn environment(&self) -> Variables {
        let mut env = self.config.environment.clone();
        let table = self.config.catalogue.engines.iter().flat_map(|engine| &engine.terminal_withheld);
        let withheld: BTreeSet<&str> = WITHHELD.iter().copied().chain(table.map(String::as_str)).collect();
        env.retain(|name, _| !withheld.contains(name.as_str()) && !name.starts_with("SKILL_INIT_"));
        for (name, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")] {
            env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        // Programs that insist on starting "the user's shell" find one that ends at once.
        env.insert("SHELL".to_owned(), "/bin/false".to_owned());
        let folder = self.folder.display().to_string();
        let roots = format!("{folder}:{}", self.config.layout.agent_home.display());
        env.insert("SKILL_RUNNER_UI_SHELL_SESSION_DIR".to_owned(), folder);
        env.insert("SKILL_RUNNER_UI_SHELL_ALLOWED_WRITE_ROOTS".to_owned(), roots);
        env
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(trust) = self.entry.engine.trust.as_ref().filter(|_| self.entry.kind == Kind::Agent)
            && let Err(error) = Store::of(&self.config.layout).remove(trust, &self.folder)
        {
            tracing::warn!(%error, "the trust entry of a terminal session stays");
        }
        if self.config.keep.is_zero() || !holds_more(&self.folder, &self.written) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Waits for the child; at the deadline or a hang-up it gets SIGTERM, and SIGKILL after the grace.
fn wait(pid: i32, watch: &Watch, deadline: Instant) -> Outcome {
    let mut ending: Option<(Instant, fn() -> Outcome)> = None;
    loop {
        let until = ending.as_ref().map_or(deadline, |(kill_at, _)| *kill_at);
        let event = match (&ending, watch_or_timeout(watch, until, ending.is_some())) {
            (_, Event::ChildEnded) => {
                let status = sys::wait::reap(pid);
                match (status, &ending) {
                    (Some(status), None) => return Outcome::Ended(status),
                    (Some(_), Some((_, outcome))) => return outcome(),
                    (None, _) => continue,
                }
            }
            (Some((_, outcome)), _) => {
                let _ = sys::process::kill(-pid, libc::SIGKILL);
                let _ = sys::wait::wait(pid);
                return outcome();
            }
            (None, event) => event,
        };
        // A stopped group could not obey; SIGCONT after SIGTERM lets it.
        for signal in [libc::SIGTERM, libc::SIGCONT] {
            let _ = sys::process::kill(-pid, signal);
        }
        let outcome: fn() -> Outcome = if event == Event::TimeOver { || Outcome::TimeOver } else { || Outcome::HungUp };
        ending = Some((Instant::now() + GRACE, outcome));
    }
}

/// While a session is being ended a hang-up is no news: only the child and the time count then.
fn watch_or_timeout(watch: &Watch, until: Instant, ending: bool) -> Event {
    if ending { watch.wait_child(until) } else { watch.wait(Some(until), false) }
}

/// Ends and reaps every descendant that is left, generation after generation.
fn end_descendants() {
    let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let deadline = Instant::now() + GRACE;
    while peek() != Peek::NoChildren && Instant::now() < deadline {
        for pid in children_of(own) {
            let _ = sys::process::kill(pid, libc::SIGKILL);
        }
        if reap_any().is_none() {
            // SIGKILL takes a moment; there is nothing to wait for but the next look.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn children_of(parent: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| crate::control::peer::parent_of(Path::new("/proc"), *pid) == Some(parent))
        .collect()
}

fn sessions(layout: &Layout) -> PathBuf {
    layout.data.join("ui_shell_sessions")
}

/// A new folder of our own: `<seconds since the epoch>-<pid>-<n>`, 0700, never one that is there already.
fn make_folder(layout: &Layout) -> io::Result<PathBuf> {
    let parent = sessions(layout);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&parent)?;
    let parent = parent.canonicalize()?;
    let seconds = now();
    for n in 0..100 {
        let folder = parent.join(format!("{seconds}-{}-{n}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("no free name in {}", parent.display())))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

/// Does the folder hold anything beside these files and the folders that they are in?
fn holds_more(folder: &Path, written: &BTreeSet<PathBuf>) -> bool {
    fn look(top: &Path, below: &Path, written: &BTreeSet<PathBuf>) -> bool {
        let Ok(entries) = fs::read_dir(top.join(below)) else { return false };
        entries.flatten().any(|entry| {
            let path = below.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    !written.iter().any(|file| file.starts_with(&path)) || look(top, &path, written)
                }
                _ => !written.contains(&path),
            }
        })
    }
    look(folder, Path::new(""), written)
}

/// Removes the folders of sessions that ended longer than `keep` ago. No session lasts longer than `limit`.
pub(super) fn sweep(layout: &Layout, limit: Duration, keep: Duration) {
    let Ok(entries) = fs::read_dir(sessions(layout)) else { return };
    let own = nix::unistd::geteuid().as_raw();
    for entry in entries.flatten() {
        let began = entry.file_name().to_str().and_then(|name| name.split('-').next()?.parse::<u64>().ok());
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        let Some(began) = began.filter(|_| ours) else { continue };
        let over = began.saturating_add(limit.as_secs()).saturating_add(keep.as_secs()).saturating_add(60);
        if over < now() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_only_our_files_holds_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let written: BTreeSet<PathBuf> = [PathBuf::from(".gemini/settings.json")].into();
        assert!(!holds_more(dir.path(), &written));
        fs::create_dir(dir.path().join(".gemini")).unwrap();
        fs::write(dir.path().join(".gemini/settings.json"), "{}").unwrap();
        assert!(!holds_more(dir.path(), &written));
        fs::write(dir.path().join(".gemini/more"), "").unwrap();
        assert!(holds_more(dir.path(), &written));
        fs::remove_file(dir.path().join(".gemini/more")).unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        assert!(holds_more(dir.path(), &written));
    }
}
