//! Does a CLI run? The only evidence is that it answers `--version` with its version.
//!
//! A file that is executable proves nothing: npm leaves stubs behind that throw. Checks run at the same
//! time, each under its own deadline and with a home of its own that is thrown away, because the CLIs
//! litter it (gemini leaves two files per call, opencode makes nine folders) and because gemini refuses
//! even `--version` where its settings do not parse.

use super::{
    catalogue::{Catalogue, Engine, Version},
    environment,
    run::{self, Interrupt, Job},
};
use crate::{layout::Layout, settings::Environment};
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// What a check needs.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The environment of this process.
    pub env: &'a Environment,
    /// Folders.
    pub layout: &'a Layout,
    /// Deadline of one `--version`.
    pub deadline: Duration,
    /// SIGTERM to this process.
    pub interrupt: Option<&'a Interrupt>,
}

/// A CLI that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The line of stdout that holds the version, as it was printed.
    pub line: String,
    /// The version's numbers.
    pub version: Version,
    /// How long it took.
    pub elapsed: Duration,
}

/// What is known of one place where a CLI may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It ran.
    Runs(PathBuf, Answer),
    /// Something is there and does not run; the reason.
    Broken(PathBuf, String),
    /// Something is there and did not answer in time; how long it was waited for.
    Silent(PathBuf, String),
    /// Nothing is there.
    Absent,
}

impl Found {
    /// The path, where there is something.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Runs(path, _) | Self::Broken(path, _) | Self::Silent(path, _) => Some(path),
            Self::Absent => None,
        }
    }
    /// The answer, where it ran.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Runs(_, answer) => Some(answer),
            Self::Broken(..) | Self::Silent(..) | Self::Absent => None,
        }
    }
    /// It did not answer in time.
    pub const fn is_silent(&self) -> bool {
        matches!(self, Self::Silent(..))
    }
}

/// One engine, checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The engine's name.
    pub engine: String,
    /// In the managed prefix.
    pub managed: Found,
    /// On PATH, outside the managed prefix; only looked for where it matters.
    pub global: Found,
}

impl Checked {
    /// The CLI that is used: the managed one if it runs, else the global one if it runs.
    pub fn effective(&self) -> Option<(&Path, &Answer, &'static str)> {
        match (&self.managed, &self.global) {
            (Found::Runs(path, answer), _) => Some((path, answer, "managed")),
            (_, Found::Runs(path, answer)) => Some((path, answer, "global")),
            _ => None,
        }
    }
    /// Why it is not there, in words.
    pub fn reason(&self, engine: &Engine) -> String {
        match (&self.managed, &engine.unavailable) {
            (Found::Runs(..), _) => String::new(),
            (Found::Broken(path, reason) | Found::Silent(path, reason), _) => {
                format!("{} does not run: {reason}", path.display())
            }
            (Found::Absent, Some(reason)) => format!("unavailable: {reason}"),
            (Found::Absent, None) => format!("not installed: skill-init agents ensure {}", engine.name),
        }
    }
}

/// Checks these engines at the same time; one that was silent in the crowd is asked once more, alone: four
/// CLIs that start together on half a core can outlast a deadline that each of them meets by itself.
pub fn all(engines: &[&Engine], around: Surroundings<'_>) -> Vec<Checked> {
    sweep_homes(around.layout);
    let mut all: Vec<Checked> = std::thread::scope(|scope| {
        let threads: Vec<_> = engines.iter().map(|engine| (engine, scope.spawn(move || one(engine, around)))).collect();
        threads
            .into_iter()
            .map(|(engine, thread)| {
                thread.join().unwrap_or_else(|_| Checked {
                    engine: engine.name.clone(),
                    managed: Found::Absent,
                    global: Found::Absent,
                })
            })
            .collect()
    });
    if engines.len() > 1 && !around.interrupt.is_some_and(Interrupt::happened) {
        for (engine, checked) in engines.iter().zip(&mut all) {
            if checked.managed.is_silent() || checked.global.is_silent() {
                *checked = one(engine, around);
            }
        }
    }
    all
}

/// Checks one engine.
pub fn one(engine: &Engine, around: Surroundings<'_>) -> Checked {
    let managed = managed(engine, around);
    let global = match &managed {
        Found::Runs(..) => match run::find_in_path(&engine.binary, &environment::outer_path(around.env, around.layout))
        {
            // It is not the one that is used: known to be there, not run.
            Some(path) => Found::Broken(path, "not asked: the managed one is used".to_owned()),
            None => Found::Absent,
        },
        _ => match run::find_in_path(&engine.binary, &environment::outer_path(around.env, around.layout)) {
            Some(path) => ask(engine, path, around),
            None => Found::Absent,
        },
    };
    Checked { engine: engine.name.clone(), managed, global }
}

/// The managed CLI of an engine.
pub fn managed(engine: &Engine, around: Surroundings<'_>) -> Found {
    let prefix = &around.layout.npm_prefix;
    for dir in [prefix.join("bin"), prefix.clone()] {
        for suffix in ["", ".cmd", ".exe"] {
            let path = dir.join(format!("{}{suffix}", engine.binary));
            if run::is_executable(&path) {
                return ask(engine, path, around);
            }
            if suffix.is_empty() && path.is_symlink() && !path.exists() {
                return Found::Broken(path, "the link leads nowhere: an interrupted install".to_owned());
            }
        }
    }
    Found::Absent
}

/// Asks the CLI at this path.
pub fn ask(engine: &Engine, path: PathBuf, around: Surroundings<'_>) -> Found {
    match version(engine, &path, around) {
        Ok(answer) => Found::Runs(path, answer),
        Err(Fault::Silent(reason)) => Found::Silent(path, reason),
        Err(Fault::Wrong(reason)) => Found::Broken(path, reason),
    }
}

/// What a CLI did instead of answering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing, in time, or it was killed from outside (the OOM killer): that says nothing about the CLI.
    #[error("{0}")]
    Silent(String),
    /// Something else.
    #[error("{0}")]
    Wrong(String),
}

/// Runs `PATH --version` in a throw-away home; the error says what it did instead of answering.
pub fn version(engine: &Engine, path: &Path, around: Surroundings<'_>) -> Result<Answer, Fault> {
    let wrong = Fault::Wrong;
    let home = Home::make(around.layout, &engine.name).map_err(|e| wrong(format!("no home for the check: {e}")))?;
    let env = environment::child(around.env, around.layout, home.path());
    let mut job = Job::new(path, &["--version"], &env, around.deadline);
    job.cwd = Some(home.path().to_owned());
    let outcome = run::run(&job, around.interrupt, &mut |_| {}).map_err(|e| wrong(e.to_string()))?;
    if !outcome.ended_by_itself() {
        return Err(Fault::Silent(outcome.how()));
    }
    if !outcome.status.success() {
        return Err(wrong(format!("{}: {}", outcome.status, last_words(&outcome.stderr, &outcome.stdout))));
    }
    let line = version_line(&engine.version, &outcome.stdout).ok_or_else(|| {
        let words = last_words(&outcome.stdout, &outcome.stderr);
        wrong(format!("it ended with 0 and printed no version: {words}"))
    })?;
    let version = Version::find(&line).unwrap_or(Version(0, 0, 0));
    Ok(Answer { line, version, elapsed: outcome.elapsed })
}

/// The line of stdout that has the form, else the first that holds a version at all. Never a line of stderr.
fn version_line(form: &str, stdout: &str) -> Option<String> {
    let (before, after) = form.split_once("{version}").unwrap_or((form, ""));
    let lines = || stdout.lines().map(str::trim).filter(|line| Version::find(line).is_some());
    lines()
        .find(|line| {
            line.strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.contains(' '))
        })
        .or_else(|| lines().next())
        .map(str::to_owned)
}

/// What a program said: the telling line of a stack trace, else its last line.
pub(crate) fn last_words(first: &str, second: &str) -> String {
    let text = if first.trim().is_empty() { second } else { first };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let telling = lines.iter().find(|line| line.contains("Error:") || line.starts_with("Error"));
    telling.or(lines.last()).map_or_else(|| "it said nothing".to_owned(), |line| line.chars().take(300).collect())
}

/// The checks that a table of engines needs for a report: every one that is not optional, and every optional
/// one that is wanted or whose command is in the managed prefix.
pub fn reported<'a>(catalogue: &'a Catalogue, wanted: &[&Engine], layout: &Layout) -> Vec<&'a Engine> {
    catalogue
        .engines
        .iter()
        .filter(|engine| {
            !engine.optional
                || wanted.iter().any(|w| w.name == engine.name)
                || layout.npm_prefix.join("bin").join(&engine.binary).is_symlink()
        })
        .collect()
}

/// A home that is removed when it is no longer needed. It lies on the cache volume: codex complains about a
/// home below the temporary folder.
#[derive(Debug)]
pub struct Home(PathBuf);

static NEXT_HOME: AtomicU32 = AtomicU32::new(0);

impl Home {
    /// Makes one; below the system's temporary folder where the cache cannot be written.
    pub fn make(layout: &Layout, name: &str) -> io::Result<Self> {
        let n = NEXT_HOME.fetch_add(1, Ordering::Relaxed);
        let leaf = format!("home-{}-{n}-{name}", std::process::id());
        let mut last = io::Error::from(ErrorKind::NotFound);
        for parent in [homes(layout), std::env::temp_dir()] {
            let dir = parent.join(&leaf);
            let made = fs::create_dir_all(&parent).and_then(|()| fs::DirBuilder::new().mode(0o700).create(&dir));
            match made {
                Ok(()) => return Ok(Self(dir)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next check.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn homes(layout: &Layout) -> PathBuf {
    layout.cache.join("tmp")
}

/// Removes the homes of checks that were killed.
fn sweep_homes(layout: &Layout) {
    for entry in fs::read_dir(homes(layout)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("home-")).and_then(|rest| rest.split('-').next());
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::Mode, settings::Settings};
    use std::os::unix::fs::PermissionsExt;

    struct Place {
        dir: tempfile::TempDir,
        layout: Layout,
        env: Environment,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let settings = Settings::load(&Environment::default()).unwrap();
            let layout = Layout::new(&settings, Mode::Local(dir.path().to_owned()));
            let env = Environment([("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into());
            fs::create_dir_all(layout.npm_prefix.join("bin")).unwrap();
            Self { dir, layout, env }
        }
        fn command(&self, script: &str) -> &Self {
            let path = self.layout.npm_prefix.join("bin/codex");
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            self
        }
        fn check(&self, deadline: Duration) -> Found {
            let around = Surroundings { env: &self.env, layout: &self.layout, deadline, interrupt: None };
            managed(Catalogue::built_in().get("codex").unwrap(), around)
        }
    }
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_cli_that_answers_is_present_and_leaves_nothing_behind() {
        let place = Place::new();
        place.command("echo 'WARNING: 9.9.9' >&2; echo noise; touch \"$HOME/litter\"; echo 'codex-cli 0.169.0'");
        let found = place.check(LONG);
        assert_eq!(found.answer().unwrap().line, "codex-cli 0.169.0");
        assert_eq!(fs::read_dir(place.layout.cache.join("tmp")).unwrap().count(), 0);
        assert!(place.dir.path().exists());
    }

    #[test]
    fn a_stub_that_throws_is_broken_with_its_own_words() {
        let place = Place::new();
        place.command("echo 'throw x' >&2; echo 'Error: Missing optional dependency y' >&2; exit 1");
        let Found::Broken(_, reason) = place.check(LONG) else { panic!("not broken") };
        assert!(reason.contains("exit 1") && reason.contains("Missing optional dependency"), "{reason}");
    }

    #[test]
    fn a_version_on_stderr_is_no_version() {
        let place = Place::new();
        place.command("echo 'codex-cli 0.169.0' >&2");
        assert!(matches!(place.check(LONG), Found::Broken(..)));
    }

    #[test]
    fn a_hanging_cli_costs_its_own_deadline() {
        let place = Place::new();
        place.command("sleep 1000");
        let Found::Silent(_, reason) = place.check(Duration::from_millis(200)) else { panic!("not silent") };
        assert!(reason.starts_with("no answer within"), "{reason}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_broken_and_an_empty_prefix_is_absent() {
        let place = Place::new();
        assert_eq!(place.check(LONG), Found::Absent);
        std::os::unix::fs::symlink("../lib/gone", place.layout.npm_prefix.join("bin/codex")).unwrap();
        assert!(matches!(place.check(LONG), Found::Broken(..)));
    }

    #[test]
    fn a_file_of_another_machine_is_broken_not_fatal() {
        let place = Place::new();
        place.command("");
        fs::write(place.layout.npm_prefix.join("bin/codex"), [0x7f, b'E', b'L', b'F', 9]).unwrap();
        assert!(matches!(place.check(LONG), Found::Broken(..)));
    }
}
