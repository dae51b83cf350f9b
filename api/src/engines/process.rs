//! One engine process: its own group, live output, deadline, TERM, grace, KILL, and nothing left behind.
//!
//! Every process of a run carries `SKILL_RUNNER_RUN_ID` in its environment. What left the group (setsid, double fork)
//! is found by it and ended too, also by the next worker after a crash.

use super::oom::{OomKill, Watch};
use crate::runs::{Input, Stream};
use bytes::{Bytes, BytesMut};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

/// The variable that marks every process of a run.
pub const RUN_ID: &str = "SKILL_RUNNER_RUN_ID";

/// A shell exits with this and the number of the signal that its command died by.
const SHELL_SIGNAL: i32 = 128;

/// What to run.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Absolute path.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// The whole environment, with [`RUN_ID`].
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Deadline.
    pub deadline: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// Why a run is to end before its engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A client canceled it.
    Canceled,
    /// The worker stops.
    Stopping,
}

/// How the engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// By the kernel's OOM killer, which took it or what it ran for a shell (exit status 137).
    OomKilled(OomKill),
    /// At the deadline.
    TimedOut,
    /// Because it was asked to.
    Asked(Reason),
}

/// Runs it to its end; output goes to `chunk` as it comes. The error is the spawn's.
pub(crate) async fn run(
    launch: &Launch,
    output: mpsc::Sender<Input>,
    mut asked: watch::Receiver<Option<Reason>>,
    oom: &Watch,
) -> io::Result<Ended> {
    let mut child = Command::new(&launch.program)
        .args(&launch.args)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut readers = tokio::task::JoinSet::new();
    if let Some(out) = child.stdout.take() {
        readers.spawn(forward(out, Stream::Stdout, output.clone()));
    }
    if let Some(err) = child.stderr.take() {
        readers.spawn(forward(err, Stream::Stderr, output));
    }
    let deadline = Instant::now() + launch.deadline;
    let early = tokio::select! {
        status = child.wait() => Ok(status?),
        reason = wanted(&mut asked) => Err(Ended::Asked(reason)),
        () = tokio::time::sleep_until(deadline) => Err(Ended::TimedOut),
        never = oom.look() => match never {},
    };
    let run_id = launch.env.get(RUN_ID).cloned().unwrap_or_default();
    let ended = match early {
        Ok(status) => own_end(status, oom).await,
        Err(ended) => {
            signal_all(group, &run_id, Signal::SIGTERM).await;
            if timeout(launch.grace, child.wait()).await.is_err() {
                signal_all(group, &run_id, Signal::SIGKILL).await;
                child.wait().await?;
            }
            ended
        }
    };
    // What it left behind would hold the pipes open, and outlive the run.
    sweep(group, &run_id).await;
    let drained = Instant::now() + Duration::from_secs(5);
    while let Ok(Some(_)) = timeout_at(drained, readers.join_next()).await {}
    Ok(ended)
}

/// Of an engine that nobody ended.
async fn own_end(status: ExitStatus, oom: &Watch) -> Ended {
    let ended = match status.signal() {
        Some(signal) => Ended::Signaled(signal),
        None => Ended::Exited(status.code().unwrap_or(-1)),
    };
    let killed = Signal::SIGKILL as i32;
    if matches!(ended, Ended::Signaled(signal) if signal == killed)
        || matches!(ended, Ended::Exited(code) if code == SHELL_SIGNAL + killed)
    {
        return oom.claim().await.map_or(ended, Ended::OomKilled);
    }
    ended
}

async fn wanted(asked: &mut watch::Receiver<Option<Reason>>) -> Reason {
    loop {
        if let Some(reason) = *asked.borrow_and_update() {
            return reason;
        }
        if asked.changed().await.is_err() {
            // Nobody is left to ask.
            std::future::pending::<()>().await;
        }
    }
}

async fn forward(mut from: impl AsyncRead + Unpin, stream: Stream, to: mpsc::Sender<Input>) {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    loop {
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let chunk: Bytes = buffer.split().freeze();
                if to.send(Input::Chunk(stream, chunk)).await.is_err() {
                    return;
                }
                buffer.reserve(16 * 1024);
            }
        }
    }
}

/// Ends every process of a run that is still there: TERM for a second, then KILL for as long as a machine in need takes.
/// It is over when two looks in a row found nobody: what was born behind the first is seen by the second.
pub async fn sweep(group: Option<Pid>, run_id: &str) {
    let mut nobody = false;
    for round in 0..300 {
        let id = run_id.to_owned();
        let left = tokio::task::spawn_blocking(move || marked(&id)).await.unwrap_or_default();
        if left.is_empty() {
            // The group may hold processes whose environment cannot be read.
            if let Some(group) = group {
                let _ = killpg(group, Signal::SIGKILL);
            }
            if std::mem::replace(&mut nobody, true) {
                return;
            }
            continue;
        }
        nobody = false;
        let signal = if round < 10 { Signal::SIGTERM } else { Signal::SIGKILL };
        for pid in left {
            let _ = kill(pid, signal);
        }
        tokio::time::sleep(Duration::from_millis(if round == 0 { 10 } else { 100 })).await;
    }
    tracing::warn!(run = run_id, "processes of an ended run cannot be ended");
}

async fn signal_all(group: Option<Pid>, run_id: &str, signal: Signal) {
    if let Some(group) = group
        && let Err(error) = killpg(group, signal)
        && error != Errno::ESRCH
    {
        tracing::warn!(run = run_id, %error, "the engine's group cannot be signalled");
    }
    let id = run_id.to_owned();
    for pid in tokio::task::spawn_blocking(move || marked(&id)).await.unwrap_or_default() {
        let _ = kill(pid, signal);
    }
}

/// Processes whose environment carries this run's id; zombies have none. Blocking.
///
/// In the middle of an execve(2) a process shows no environment for a moment: it is asked again until it does. Without that a
/// tool that an engine starts last, and in a session of its own, would outlive its run.
pub fn marked(run_id: &str) -> Vec<Pid> {
    if run_id.is_empty() {
        return Vec::new();
    }
    let mark = format!("{RUN_ID}={run_id}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut unsure: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).collect();
    let (mut found, mut buffer) = (Vec::new(), vec![0; ENVIRONMENT]);
    // What stays unsure for a second is something odd that is none of ours.
    for _ in 0..1000 {
        unsure.retain(|pid| match carries(*pid, mark.as_bytes(), &mut buffer) {
            Some(true) => {
                found.push(Pid::from_raw(*pid));
                false
            }
            Some(false) => false,
            None => true,
        });
        if unsure.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

/// Of a process's environment this much is looked at; a run's own is a few KiB.
const ENVIRONMENT: usize = 1 << 20;

/// Is this in the environment of a process? `None`: it is between its old program and its new one.
fn carries(pid: i32, mark: &[u8], buffer: &mut [u8]) -> Option<bool> {
    // In one read: the file is the memory that the process had at the open, and ends early once that is given up.
    let read = fs::File::open(format!("/proc/{pid}/environ")).and_then(|mut file| io::Read::read(&mut file, buffer));
    let Ok(environ) = read.map(|count| buffer.get(..count).unwrap_or_default()) else { return Some(false) };
    if !environ.is_empty() {
        return Some(environ.split(|byte| *byte == 0).any(|entry| entry == mark));
    }
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Some(false) };
    if may_get_an_environment(&stat) { None } else { Some(false) }
}

/// Of a process that showed no environment, by its line in proc_pid_stat(5): a zombie or a kernel thread has no memory (`vsize`
/// 0). In an execve(2) the place of the code is set last (`startcode`, load_elf_binary in fs/binfmt_elf.c); from then on an
/// environment is there, or is really empty (`env_start` = `env_end`).
fn may_get_an_environment(stat: &str) -> bool {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The first field there is the third of the line.
    let field = |number: usize| after_name.split_whitespace().nth(number - 3).and_then(|text| text.parse::<u64>().ok());
    match (field(23), field(26), field(50), field(51)) {
        (Some(vsize), Some(code), Some(start), Some(end)) => vsize > 0 && (code == 0 || end > start),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_has_no_environment_for_good_is_not_waited_for() {
        let line = |vsize: u64, code: u64, start: u64, end: u64| {
            let zeros = |n: usize| "0 ".repeat(n);
            format!("7 (a ) b) S {}{vsize} 0 0 {code} {}{start} {end} 0\n", zeros(19), zeros(23))
        };
        for (what, line, expected) in [
            ("a zombie", line(0, 0, 0, 0), false),
            ("in an exec, early", line(4096, 0, 0, 0), true),
            ("in an exec, late", line(4096, 0, 9, 9), true),
            ("after an exec", line(4096, 5, 9, 12), true),
            ("env -i", line(4096, 5, 9, 9), false),
        ] {
            assert_eq!(may_get_an_environment(&line), expected, "{what}");
        }
        assert!(!may_get_an_environment("7 (a"));
        assert!(!may_get_an_environment(""));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test starts a process")]
    fn a_process_that_changes_its_program_again_and_again_is_found_at_every_look() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("again");
        fs::write(&script, "#!/bin/sh\nexec \"$0\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let id = format!("again-{}", std::process::id());
        let mut child = std::process::Command::new(&script).env(RUN_ID, &id).spawn().unwrap();
        let missed = (0..500).filter(|_| marked(&id).is_empty()).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missed, 0, "of 500 looks");
        assert!(marked(&id).is_empty());
    }
}
