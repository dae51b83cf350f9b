//! Runs one program under a deadline and brings its words back.
//!
//! For the short-lived `agents` commands, never for PID 1's loop. The program gets a process group of its
//! own, `/dev/null` as stdin and pipes that are read as it writes, so that it can never block on us. At the
//! deadline, or when this process is told to stop, its group gets SIGTERM, then SIGKILL after the grace
//! (npm rolls back on TERM and destroys on KILL). When the leader has ended, what is left of its group is
//! killed while the leader's zombie still pins the group's id; then it is reaped.

mod stream;

use crate::sys::{
    pidfd,
    spawn::{FileAction, Spawn},
    wait::{self, ExitStatus},
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::{Pid, pipe2},
};
use signal_hook::{consts, low_level::pipe};
use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use stream::Stream;

/// The longest from SIGTERM to SIGKILL when this process was told to stop.
const INTERRUPTED_GRACE: Duration = Duration::from_secs(3);

/// What to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Absolute path.
    pub program: PathBuf,
    /// Arguments, argv[0] not included.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// SIGTERM after this long.
    pub deadline: Duration,
    /// SIGKILL this long after SIGTERM.
    pub grace: Duration,
    /// Bytes kept of each stream: half from its beginning, half from its end.
    pub keep: usize,
    /// A descriptor that the program and its children inherit: a lock that holds as long as any of them lives.
    pub inherit: Option<RawFd>,
}

impl Job {
    /// A job with 64 KiB kept per stream and 2 s between TERM and KILL.
    pub fn new(program: impl Into<PathBuf>, args: &[&str], env: &BTreeMap<String, String>, deadline: Duration) -> Self {
        Self {
            program: program.into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: env.clone(),
            cwd: None,
            deadline,
            grace: Duration::from_secs(2),
            keep: 64 * 1024,
            inherit: None,
        }
    }
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Itself,
    /// It met its deadline.
    Deadline,
    /// This process was told to stop.
    Interrupted,
}

/// What became of a job.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its status.
    pub status: ExitStatus,
    /// Why it ended.
    pub ended: Ended,
    /// What it wrote on stdout, within the limit.
    pub stdout: String,
    /// What it wrote on stderr, within the limit.
    pub stderr: String,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Outcome {
    /// Ended by itself with 0.
    pub fn success(&self) -> bool {
        self.ended == Ended::Itself && self.status.success()
    }
    /// Neither its deadline, nor a stop, nor SIGKILL from outside (the OOM killer; a shell's 137 tells it of its child).
    pub fn ended_by_itself(&self) -> bool {
        self.ended == Ended::Itself && self.status.code() != 128 + 9
    }
    /// How it ended, in words.
    pub fn how(&self) -> String {
        match self.ended {
            Ended::Itself => self.status.to_string(),
            Ended::Deadline => format!("no answer within {:.0?}", self.elapsed),
            Ended::Interrupted => "stopped".to_owned(),
        }
    }
}

/// Why a job could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// posix_spawn(3) failed: the program is missing, not executable, or of another machine.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// errno.
        source: io::Error,
    },
    /// A pipe, poll or wait failed.
    #[error("cannot watch {program}: {source}")]
    Watch {
        /// The program.
        program: PathBuf,
        /// errno.
        source: io::Error,
    },
    /// A path, argument or variable holds a NUL byte.
    #[error("cannot start {program}: an argument or variable holds a NUL byte")]
    Nul {
        /// The program.
        program: PathBuf,
    },
}

/// SIGTERM, SIGINT and SIGHUP as a readable descriptor: what runs is ended in good order.
#[derive(Debug)]
pub struct Interrupt(UnixStream);

impl Interrupt {
    /// Takes the signals over; once per process.
    pub fn install() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        for signal in [consts::SIGTERM, consts::SIGINT, consts::SIGHUP] {
            pipe::register(signal, theirs.try_clone()?)?;
        }
        Ok(Self(ours))
    }
    /// Did a signal come?
    pub fn happened(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }
}

/// What happens while a job runs.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// It was started, as the leader of the process group of this id.
    Started(i32),
    /// About once a second: the time so far.
    Second(Duration),
}

/// Runs a job to its end.
pub fn run(job: &Job, interrupt: Option<&Interrupt>, tell: &mut dyn FnMut(Progress)) -> Result<Outcome, RunError> {
    let watch = |source: io::Error| RunError::Watch { program: job.program.clone(), source };
    let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC).map_err(|e| watch(e.into()))?;
    let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC).map_err(|e| watch(e.into()))?;

    let spawn = prepare(job, out_write.as_raw_fd(), err_write.as_raw_fd())
        .ok_or_else(|| RunError::Nul { program: job.program.clone() })?;
    let start = Instant::now();
    let pid = start_program(&spawn).map_err(|source| RunError::Start { program: job.program.clone(), source })?;
    drop((out_write, err_write));
    tell(Progress::Started(pid));

    let mut child = Child { pid, group: Pid::from_raw(pid), reaped: None };
    let pidfd = pidfd::open(pid).ok();
    let mut out = Stream::new(File::from(out_read), job.keep);
    let mut err = Stream::new(File::from(err_read), job.keep);
    let mut ended = Ended::Itself;
    let mut stage = Stage::Running(start + job.deadline);
    let mut next_tick = start + Duration::from_secs(1);
    // Without pidfd_open (Linux before 5.3, some sandboxes) the child is asked for at short intervals.
    let step = if pidfd.is_some() { Duration::from_secs(3600) } else { Duration::from_millis(10) };

    while !child.ended() {
        let now = Instant::now();
        let due = match stage {
            Stage::Running(at) | Stage::Terminating(at) => at,
            Stage::Killed => now + step,
        };
        let until = due.min(next_tick).saturating_duration_since(now).min(step);
        let mut fds = Vec::with_capacity(4);
        if let Some(fd) = &pidfd {
            fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(out.file.iter().chain(&err.file).map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        if let (Some(interrupt), Stage::Running(_)) = (interrupt, &stage) {
            fds.push(PollFd::new(interrupt.0.as_fd(), PollFlags::POLLIN));
        }
        // One millisecond more than asked: rounding down would poll in a circle.
        let millis = PollTimeout::try_from(until.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, millis) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(watch(error.into())),
        }
        drop(fds);
        out.read_available();
        err.read_available();
        let now = Instant::now();
        if now >= next_tick {
            tell(Progress::Second(now - start));
            next_tick = now + Duration::from_secs(1);
        }
        match stage {
            Stage::Running(at) => {
                let interrupted = interrupt.is_some_and(Interrupt::happened);
                if (interrupted || now >= at) && !child.ended() {
                    ended = if interrupted { Ended::Interrupted } else { Ended::Deadline };
                    child.signal(Signal::SIGTERM);
                    // Told to stop, the container's own grace period runs: what is thrown away need not tidy up.
                    let grace = if interrupted { job.grace.min(INTERRUPTED_GRACE) } else { job.grace };
                    stage = Stage::Terminating(now + grace);
                }
            }
            Stage::Terminating(at) if now >= at => {
                child.signal(Signal::SIGKILL);
                stage = Stage::Killed;
            }
            Stage::Terminating(_) | Stage::Killed => {}
        }
    }
    // The zombie pins the group's id: nobody else can be hit.
    child.signal(Signal::SIGKILL);
    let status = child.reap().map_err(watch)?;
    out.read_available();
    err.read_available();
    Ok(Outcome { status, ended, stdout: out.text(), stderr: err.text(), elapsed: start.elapsed() })
}

/// Looks a name up in a PATH value; an executable regular file, links followed.
pub fn find_in_path(name: &str, path: &str) -> Option<PathBuf> {
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(|file| is_executable(file))
}

/// An executable regular file, links followed.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

enum Stage {
    Running(Instant),
    Terminating(Instant),
    Killed,
}

/// The child until it is reaped. Dropped early (an error on the way), it is killed and reaped.
struct Child {
    pid: i32,
    group: Pid,
    reaped: Option<ExitStatus>,
}

impl Child {
    fn ended(&self) -> bool {
        self.reaped.is_some() || pidfd::ended(self.pid)
    }
    fn signal(&self, signal: Signal) {
        // ESRCH: nobody is left in the group, which is what was wanted.
        let _ = killpg(self.group, signal);
    }
    fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = wait::wait(self.pid)?;
        self.reaped = Some(status);
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped.is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.reap();
        }
    }
}

/// posix_spawn, tried again for a second while somebody else still writes the program (ETXTBSY).
fn start_program(spawn: &Spawn) -> io::Result<i32> {
    let give_up = Instant::now() + Duration::from_secs(1);
    loop {
        match spawn.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

fn prepare(job: &Job, out: RawFd, err: RawFd) -> Option<Spawn> {
    let c = |text: &OsStr| CString::new(text.as_bytes()).ok();
    let program = c(job.program.as_os_str())?;
    let mut argv = vec![program.clone()];
    for arg in &job.args {
        argv.push(c(OsStr::new(arg))?);
    }
    let mut envp = Vec::new();
    for (name, value) in &job.env {
        envp.push(c(OsStr::new(&format!("{name}={value}")))?);
    }
    let mut spawn = Spawn::new(program, argv);
    spawn.envp = Some(envp);
    spawn.files = vec![
        FileAction::Open { fd: 0, path: c"/dev/null".to_owned(), flags: 0, mode: 0 },
        FileAction::Dup2(out, 1),
        FileAction::Dup2(err, 2),
    ];
    if let Some(fd) = job.inherit {
        spawn.files.push(FileAction::Dup2(fd, fd));
    }
    if let Some(cwd) = &job.cwd {
        spawn.files.push(FileAction::Chdir(c(cwd.as_os_str())?));
    }
    Some(spawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: Duration) -> Outcome {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let mut job = Job::new("/bin/sh", &["-c", script], &env, deadline);
        job.grace = Duration::from_millis(300);
        run(&job, None, &mut |_| {}).unwrap()
    }
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn both_streams_and_the_status_come_back() {
        let outcome = sh("echo out; echo err >&2; exit 3", LONG);
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!((outcome.status, outcome.ended), (ExitStatus::Exited(3), Ended::Itself));
    }

    #[test]
    fn a_deaf_program_is_killed_after_the_grace() {
        let outcome = sh("trap '' TERM; while :; do sleep 0.05; done", Duration::from_millis(100));
        assert_eq!(outcome.ended, Ended::Deadline);
        assert_eq!(outcome.status, ExitStatus::Signaled { signal: 9, core: false });
    }

    #[test]
    fn a_program_that_heeds_term_may_tidy_up() {
        let outcome =
            sh("trap 'echo tidy; exit 5' TERM; echo up; while :; do sleep 0.05; done", Duration::from_millis(400));
        assert_eq!((outcome.status, outcome.stdout.as_str()), (ExitStatus::Exited(5), "up\ntidy\n"));
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_does_not_delay_the_end_and_is_killed() {
        let outcome = sh("sleep 1000 & echo $!", LONG);
        let pid: i32 = outcome.stdout.trim().parse().unwrap();
        assert!(outcome.success());
        if let Ok(fd) = pidfd::open(pid) {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::try_from(30_000).unwrap()), Ok(1), "it still runs");
        }
    }

    #[test]
    fn a_flood_is_bounded_and_its_ends_are_kept() {
        let outcome = sh("echo first; yes | head -c 3000000; echo last", LONG);
        assert!(outcome.stdout.len() < 70_000);
        assert!(outcome.stdout.starts_with("first\n") && outcome.stdout.ends_with("last\n"));
    }

    #[test]
    fn a_missing_program_says_which() {
        let job = Job::new("/no/such/program", &[], &BTreeMap::new(), LONG);
        assert!(run(&job, None, &mut |_| {}).unwrap_err().to_string().contains("/no/such/program"));
    }
}
