//! From a service's definition to the child that posix_spawn makes.
//!
//! What posix_spawn cannot set (user, limits, oom score) goes through the hidden `exec-stage` subcommand in the
//! fresh child; services that need none of it are executed directly.

use crate::{
    settings::{
        Secret,
        service::{ProbeKind, ServiceSpec},
    },
    sys::spawn::{FileAction, Group, Spawn},
};
use std::{
    collections::BTreeMap,
    ffi::CString,
    os::{fd::RawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// What every service is started with.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The plan's environment for children, without any secret.
    pub env: BTreeMap<String, String>,
    /// Every secret that a service may ask for by name.
    pub secrets: BTreeMap<String, Secret<String>>,
    /// `NOTIFY_SOCKET`.
    pub notify_socket: Option<PathBuf>,
    /// Drop to this `uid[:gid]` unless the service names its own user.
    pub user: Option<String>,
}

/// Why a service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Not in PATH, or no such file.
    #[error("{program}: not found{hint}")]
    NotFound {
        /// As the definition names it.
        program: String,
        /// Where it was looked for.
        hint: String,
    },
    /// The child could not enter it, and the error of posix_spawn(3) would not say which file it means.
    #[error("cwd {path}: no such folder; create it, or correct the service's cwd", path = .path.display())]
    NoFolder {
        /// As the definition names it.
        path: PathBuf,
    },
    /// An empty command, or a string with a NUL byte in it.
    #[error("{0}")]
    Unusable(&'static str),
}

/// Descriptors of the child.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams {
    /// Its stdout; `None`: ours.
    pub stdout: Option<RawFd>,
    /// Its stderr; `None`: ours.
    pub stderr: Option<RawFd>,
    /// Write end of a notification pipe.
    pub notify: Option<RawFd>,
}

/// The child of a service.
pub fn service(spec: &ServiceSpec, around: &Surroundings, streams: Streams) -> Result<Spawn, LaunchError> {
    let mut env = around.env.clone();
    env.extend(spec.env.clone());
    for name in &spec.secrets {
        if let Some(secret) = around.secrets.get(name) {
            env.insert(name.clone(), secret.expose().clone());
        }
    }
    env.insert("SKILL_INIT_SERVICE".to_owned(), spec.name.clone());
    let notifies = [&spec.readiness, &spec.liveness].into_iter().flatten().any(|p| p.kind == ProbeKind::SdNotify);
    match &around.notify_socket {
        Some(path) if notifies => env.insert("NOTIFY_SOCKET".to_owned(), path.to_string_lossy().into_owned()),
        _ => env.remove("NOTIFY_SOCKET"),
    };
    if let Some(path) = spec.cwd.as_ref().filter(|path| !path.is_dir()) {
        return Err(LaunchError::NoFolder { path: path.clone() });
    }
    let mut command = vec![find(&spec.command, env.get("PATH").map(String::as_str), spec.cwd.as_deref())?];
    command.extend(spec.command.iter().skip(1).cloned());
    let stage = exec_stage(spec, around);
    if !stage.is_empty() {
        let mut staged = vec!["/proc/self/exe".to_owned(), "exec-stage".to_owned()];
        staged.extend(stage);
        staged.push("--".to_owned());
        staged.append(&mut command);
        command = staged;
    }
    let mut spawn = child(command, &env)?;
    spawn.files = files(spec, streams)?;
    Ok(spawn)
}

/// The child of an exec probe: the service's environment and user, no output.
pub fn probe(spec: &ServiceSpec, command: &[String], around: &Surroundings) -> Result<Spawn, LaunchError> {
    let asked =
        ServiceSpec { command: command.to_vec(), limits: Vec::new(), readiness: None, liveness: None, ..spec.clone() };
    let mut spawn = service(&asked, around, Streams::default())?;
    let null = CString::from(c"/dev/null");
    spawn.files.extend([1, 2].map(|fd| FileAction::Open { fd, path: null.clone(), flags: libc::O_WRONLY, mode: 0 }));
    Ok(spawn)
}

fn child(command: Vec<String>, env: &BTreeMap<String, String>) -> Result<Spawn, LaunchError> {
    let nul = |_| LaunchError::Unusable("a NUL byte in the command or the environment");
    let argv = command.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().map_err(nul)?;
    let program = argv.first().cloned().ok_or(LaunchError::Unusable("an empty command"))?;
    let mut spawn = Spawn::new(program, argv);
    // A session of its own has no terminal: what would ask there (ssh, git) fails at once instead of being stopped for ever.
    spawn.group = Group::Session;
    let envp = env.iter().map(|(k, v)| CString::new(format!("{k}={v}"))).collect::<Result<Vec<_>, _>>().map_err(nul)?;
    spawn.envp = Some(envp);
    Ok(spawn)
}

fn files(spec: &ServiceSpec, streams: Streams) -> Result<Vec<FileAction>, LaunchError> {
    let mut files = vec![FileAction::Open { fd: 0, path: CString::from(c"/dev/null"), flags: libc::O_RDONLY, mode: 0 }];
    files.extend(streams.stdout.map(|fd| FileAction::Dup2(fd, 1)));
    files.extend(streams.stderr.map(|fd| FileAction::Dup2(fd, 2)));
    let mut lowest_closed = 3;
    if let (Some(fd), Some(ProbeKind::NotifyFd { fd: wanted })) =
        (streams.notify, spec.readiness.as_ref().map(|p| &p.kind))
    {
        files.push(FileAction::Dup2(fd, *wanted));
        files.extend((3..*wanted).map(FileAction::Close));
        lowest_closed = wanted + 1;
    }
    // Every descriptor of ours is close-on-exec; this catches what was inherited from the runtime.
    files.push(FileAction::CloseFrom(lowest_closed));
    if let Some(cwd) = &spec.cwd {
        let path = CString::new(cwd.as_os_str().as_bytes()).map_err(|_| LaunchError::Unusable("a NUL byte in cwd"))?;
        files.push(FileAction::Chdir(path));
    }
    Ok(files)
}

/// The arguments of `exec-stage`; empty: not needed.
fn exec_stage(spec: &ServiceSpec, around: &Surroundings) -> Vec<String> {
    let mut args = Vec::new();
    if let Some(user) = spec.user.as_ref().or(around.user.as_ref()) {
        args.extend(["--user".to_owned(), user.clone()]);
    }
    for limit in &spec.limits {
        let text = |value: Option<u64>| value.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
        args.extend(["--limit".to_owned(), format!("{}={}:{}", limit.name, text(limit.soft), text(limit.hard))]);
    }
    if let Some(score) = spec.oom_score_adj {
        args.extend(["--oom".to_owned(), score.to_string()]);
    }
    args
}

/// The path of the command's first word: as it is if it has a slash, else the first executable in PATH.
fn find(command: &[String], path: Option<&str>, cwd: Option<&Path>) -> Result<String, LaunchError> {
    let name = command.first().filter(|name| !name.is_empty()).ok_or(LaunchError::Unusable("an empty command"))?;
    if name.contains('/') {
        let absolute =
            if name.starts_with('/') { PathBuf::from(name) } else { cwd.unwrap_or(Path::new("/")).join(name) };
        return if absolute.exists() {
            Ok(absolute.to_string_lossy().into_owned())
        } else {
            Err(LaunchError::NotFound { program: name.clone(), hint: String::new() })
        };
    }
    let path = path.unwrap_or("/usr/local/bin:/usr/bin:/bin");
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file() && executable(file))
        .map(|file| file.to_string_lossy().into_owned())
        .ok_or_else(|| LaunchError::NotFound { program: name.clone(), hint: format!(" in PATH ({path})") })
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}
