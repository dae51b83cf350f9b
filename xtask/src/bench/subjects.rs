//! Who is measured: the floor, the wrappers that run one command, the supervisors with one service.

use super::peers::{self, find};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// One program under the gauge.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(&'static str, String)>,
    /// Starts the command from its own configuration.
    pub(super) service: bool,
    /// Becomes the command: there is nothing but the start to measure.
    pub(super) start_only: bool,
}

impl Subject {
    /// The program under test, not a peer.
    pub(super) fn is_ours(&self) -> bool {
        self.name.starts_with("skill-init")
    }
}

/// The floor first, then us, then the peers that are installed.
pub(super) fn bare(binary: &Path, floor: &Path) -> Vec<Subject> {
    let mut subjects = vec![wrapper("floor.c", floor.to_owned(), &[]), ours(binary)];
    for name in ["tini", "tini-static", "dumb-init", "catatonit"] {
        subjects.extend(find(name).map(|program| wrapper(name, program, &["--"])));
    }
    subjects
}

/// The bare mode.
pub(super) fn ours(binary: &Path) -> Subject {
    wrapper("skill-init --", binary.to_owned(), &["--"])
}

fn wrapper(name: &str, program: PathBuf, words: &[&str]) -> Subject {
    let argv = std::iter::once(program.display().to_string()).chain(words.iter().map(|w| (*w).to_owned())).collect();
    Subject { name: name.to_owned(), program, argv, env: Vec::new(), service: false, start_only: false }
}

/// The same with nothing that wakes it but events.
pub(super) fn without_tick(mut subject: Subject) -> Subject {
    subject.env.push(("SKILL_INIT_TICK", "0".to_owned()));
    subject
}

/// Us with and without the whole preparation, then the peers; each with one service.
pub(super) fn supervisors(binary: &Path, work: &Path, gauge: &Path) -> Result<Vec<Subject>, String> {
    let mut subjects = vec![
        entrypoint(binary, work, "skill-init, one service", &fleet(work, gauge, 1)?, &[]),
        entrypoint(
            binary,
            work,
            "skill-init, whole preparation, API worker",
            Path::new(""),
            &[("SKILL_INIT_API", "true"), ("SKILL_INIT_IMPORT", "true"), ("SKILL_INIT_TRUST", "true")],
        ),
    ];
    if let Some(worker) = subjects.last_mut() {
        worker.env.push(("SKILL_INIT_API_COMMAND", format!("{} child", gauge.display())));
        // It is ready when it listens; one that never is gets asked all the time.
        worker.env.extend(["PORT", "GAUGE_PORT"].map(|name| (name, WORKER_PORT.to_owned())));
    }
    let quiet = entrypoint(binary, work, "skill-init, one service, slow tick off", &fleet(work, gauge, 1)?, &[]);
    subjects.insert(1, without_tick(quiet));
    subjects.push(shell_entrypoint(work, gauge)?);
    subjects.extend(peers::supervisors(work, gauge, 1)?);
    Ok(subjects)
}

/// The shell script that takes the same steps as our whole preparation, then becomes the worker.
fn shell_entrypoint(work: &Path, gauge: &Path) -> Result<Subject, String> {
    let program = work.join("entrypoint.sh");
    fs::write(&program, include_str!("../../../benches/entrypoint.sh"))
        .map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(Subject {
        name: "shell entrypoint, same steps, no init".to_owned(),
        argv: vec!["/bin/sh".to_owned(), program.display().to_string()],
        program,
        env: vec![
            ("SKILL_RUNNER_DATA_DIR", work.join("shell-data").display().to_string()),
            ("SKILL_RUNNER_AGENT_CACHE_DIR", work.join("shell-cache").display().to_string()),
            ("WORKER", format!("{} child", gauge.display())),
        ],
        service: true,
        start_only: true,
    })
}

/// `skill-init entrypoint` without terminal, gateway and agents; `more` wins.
pub(super) fn entrypoint(
    binary: &Path,
    work: &Path,
    name: &str,
    config: &Path,
    more: &[(&'static str, &str)],
) -> Subject {
    let folder = |name: &str| work.join(name).display().to_string();
    let mut env = vec![
        ("SKILL_INIT_CONFIG", config.display().to_string()),
        ("SKILL_RUNNER_DATA_DIR", folder("data")),
        ("SKILL_RUNNER_AGENT_CACHE_DIR", folder("cache")),
        ("SKILL_INIT_SOCKET", folder("control.sock")),
    ];
    let defaults = [
        ("SKILL_INIT_API", "false"),
        ("SKILL_INIT_TTYD", "off"),
        ("SKILL_INIT_GATEWAY", "false"),
        ("SKILL_INIT_ENSURE", "off"),
        ("SKILL_INIT_IMPORT", "false"),
        ("SKILL_INIT_TRUST", "false"),
        ("SKILL_INIT_BACKOFF", "0s"),
        ("SKILL_INIT_RESTART_BUDGET", "1000000"),
        ("SKILL_INIT_LOG", "error"),
    ];
    env.extend(defaults.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())));
    let argv = vec![binary.display().to_string(), "entrypoint".to_owned()];
    Subject { name: name.to_owned(), program: binary.to_owned(), argv, env, service: true, start_only: false }
}

/// Where the stand-in for the API worker listens.
const WORKER_PORT: &str = "18473";

/// What a stubborn service gets between TERM and KILL.
pub(super) const GRACE_MS: u64 = 300;

/// A configuration with `count` services that do nothing.
pub(super) fn fleet(work: &Path, gauge: &Path, count: usize) -> Result<PathBuf, String> {
    configuration(work, &format!("fleet-{count}.toml"), gauge, count, "")
}

/// One service with a grace of its own.
pub(super) fn stubborn(work: &Path, gauge: &Path) -> Result<PathBuf, String> {
    configuration(work, "stubborn.toml", gauge, 1, &format!("stop_grace = \"{GRACE_MS}ms\"\n"))
}

fn configuration(work: &Path, name: &str, gauge: &Path, count: usize, more: &str) -> Result<PathBuf, String> {
    let file = work.join(name);
    let mut text = String::new();
    for n in 0..count {
        let _ = writeln!(
            text,
            "[service.gauge-{n}]\ncommand = [\"{}\", \"child\"]\nrestart = \"always\"\n",
            gauge.display()
        );
        let _ = writeln!(text, "backoff = {{ initial = \"0s\" }}\nbudget = {{ restarts = 1000000 }}\n{more}");
    }
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}
