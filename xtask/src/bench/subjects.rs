//! Who is measured: the floor, the wrappers that run one command, the supervisors with one service.

use std::{
    env,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
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

fn find(name: &str) -> Option<PathBuf> {
    let found = env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!(
            "bench: {name} IS NOT INSTALLED: left out (apt-get install tini dumb-init catatonit s6 runit supervisor; cargo install horust; dinit)"
        );
    }
    found
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
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    let run = format!("#!/bin/sh\nexec {} child\n", gauge.display());
    for tree in ["s6", "runit"] {
        let folder = work.join(tree).join("gauge");
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let file = folder.join("run");
        fs::write(&file, &run)
            .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
            .map_err(io(&file))?;
    }
    let ini = work.join("supervisord.conf");
    let text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\nuser=root\n\n\
         [program:gauge]\ncommand={} child\nautorestart=true\nstartsecs=0\n",
        // A file of its own: it removes it at its end, and run by root that was /dev/null.
        work.join("supervisord.pid").display(),
        gauge.display()
    );
    fs::write(&ini, text).map_err(io(&ini))?;
    let folder = |name: &str| work.join(name).display().to_string();
    let child = gauge.display();
    for (path, text) in [
        (
            "horust/gauge.toml",
            // Without keep-env its services see no environment, and the gauge's child does not find its shared file.
            format!(
                "command = \"{child} child\"\n[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\n\
                 [environment]\nkeep-env = true\n"
            ),
        ),
        ("dinit/gauge", format!("type = process\ncommand = {child} child\nrestart = true\nrestart-delay = 0\n")),
        ("horust-run/.keep", String::new()),
    ] {
        let file = work.join(path);
        fs::create_dir_all(file.parent().unwrap_or(work)).and_then(|()| fs::write(&file, text)).map_err(io(&file))?;
    }
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
    }
    let quiet = entrypoint(binary, work, "skill-init, one service, slow tick off", &fleet(work, gauge, 1)?, &[]);
    subjects.insert(1, without_tick(quiet));
    subjects.push(shell_entrypoint(work, gauge)?);
    for (name, words) in [
        ("s6-svscan", vec![folder("s6")]),
        ("runsvdir", vec!["-P".to_owned(), folder("runit")]),
        ("supervisord", vec!["-n".to_owned(), "-c".to_owned(), ini.display().to_string()]),
        (
            "horust",
            vec!["--services-path".to_owned(), folder("horust"), "--uds-folder-path".to_owned(), folder("horust-run")],
        ),
        (
            "dinit",
            vec![
                "-o".to_owned(),
                "-q".to_owned(),
                "-d".to_owned(),
                folder("dinit"),
                "-p".to_owned(),
                folder("dinit.sock"),
                "gauge".to_owned(),
            ],
        ),
    ] {
        subjects.extend(find(name).map(|program| {
            let argv = std::iter::once(program.display().to_string()).chain(words).collect();
            Subject { name: name.to_owned(), program, argv, env: Vec::new(), service: true, start_only: false }
        }));
    }
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
