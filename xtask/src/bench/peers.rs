//! The peers that supervise: their configurations with any number of services that do nothing.

use super::subjects::Subject;
use std::{
    env,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Every peer that is looked for.
const ALL: &[&str] =
    &["tini", "tini-static", "dumb-init", "catatonit", "s6-svscan", "runsvdir", "supervisord", "horust", "dinit"];

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A peer's program; loud where there is none.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let found = on_path(name);
    if found.is_none() {
        eprintln!(
            "bench: {name} IS NOT INSTALLED: left out (apt-get install tini dumb-init catatonit s6 runit supervisor; cargo install horust; dinit)"
        );
    }
    found
}

/// Peers that have no row, for they are not installed.
pub(super) fn missing() -> Vec<&'static str> {
    ALL.iter().copied().filter(|name| on_path(name).is_none()).collect()
}

/// Those that are installed, each with so many services that are started again when they end.
pub(super) fn supervisors(work: &Path, gauge: &Path, count: usize) -> Result<Vec<Subject>, String> {
    let child = gauge.display();
    let mut ini = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\nuser=root\n",
        // A file of its own: it removes it at its end, and run by root that was /dev/null.
        work.join("supervisord.pid").display()
    );
    let mut boot = "type = internal\n".to_owned();
    for n in 0..count {
        for tree in ["s6", "runit"] {
            let run = write(work, &format!("{tree}/gauge-{n}/run"), &format!("#!/bin/sh\nexec {child} child\n"))?;
            fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
        }
        let _ = write!(ini, "\n[program:gauge-{n}]\ncommand={child} child\nautorestart=true\nstartsecs=0\n");
        // Without keep-env its services see no environment, and the gauge's child does not find its shared file.
        let horust = format!(
            "command = \"{child} child\"\n[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\n\
             [environment]\nkeep-env = true\n"
        );
        write(work, &format!("horust/gauge-{n}.toml"), &horust)?;
        let dinit = format!("type = process\ncommand = {child} child\nrestart = true\nrestart-delay = 0\n");
        write(work, &format!("dinit/gauge-{n}"), &dinit)?;
        let _ = writeln!(boot, "waits-for = gauge-{n}");
    }
    write(work, "dinit/boot", &boot)?;
    write(work, "horust-run/.keep", "")?;
    let ini = write(work, "supervisord.conf", &ini)?.display().to_string();
    let folder = |name: &str| work.join(name).display().to_string();
    let (dinit, socket) = (folder("dinit"), folder("dinit.sock"));
    let words = [
        // Of itself it takes five hundred.
        ("s6-svscan", vec!["-c".to_owned(), "2000".to_owned(), folder("s6")]),
        ("runsvdir", vec!["-P".to_owned(), folder("runit")]),
        ("supervisord", vec!["-n".to_owned(), "-c".to_owned(), ini]),
        (
            "horust",
            vec!["--services-path".to_owned(), folder("horust"), "--uds-folder-path".to_owned(), folder("horust-run")],
        ),
        ("dinit", ["-o", "-q", "-d", &dinit, "-p", &socket, "boot"].map(str::to_owned).to_vec()),
    ];
    Ok(words.into_iter().filter_map(|(name, words)| Some(supervisor(name, find(name)?, words))).collect())
}

fn supervisor(name: &str, program: PathBuf, words: Vec<String>) -> Subject {
    let argv = std::iter::once(program.display().to_string()).chain(words).collect();
    Subject { name: name.to_owned(), program, argv, env: Vec::new(), service: true, start_only: false }
}

fn write(work: &Path, path: &str, text: &str) -> Result<PathBuf, String> {
    let file = work.join(path);
    fs::create_dir_all(file.parent().unwrap_or(work))
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}
