//! Starts an init the way a container runtime would, and watches it from outside.
//!
//! One raw clone(2) makes the init PID 1 of a fresh pid and mount namespace (of a user namespace too where we are
//! not root); where the machine refuses, it runs as an ordinary process with orphan adoption asked for. What must
//! be set between clone and exec (mask, dispositions, descriptors, terminal) is data here. Standard output is
//! the wire: the command reports on it, line by line.

use std::{
    ffi::CString,
    fs,
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
    ptr,
    time::{Duration, Instant},
};

/// The signals as the kernel counts them.
pub const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// PID 1 of its own namespaces.
    Pid1,
    /// PID 1, by way of a user namespace.
    Pid1InUserNamespace,
    /// An ordinary process that adopts orphans.
    Subreaper,
}

/// One program under test.
#[derive(Clone, Debug)]
pub struct Init {
    pub name: &'static str,
    pub program: PathBuf,
    /// argv\[0\]; the personality of skill-init hangs on it.
    pub argv0: String,
    /// Words between argv\[0\] and the command.
    pub words: &'static [&'static str],
    /// How long an event may take before the case has failed; never how long something is watched. A missing event
    /// costs all of it, so peers have less; the product's own verdict must survive a loaded machine.
    pub patience: Duration,
    /// Further words where it is not PID 1.
    pub subreaper_words: &'static [&'static str],
}

/// What happens between clone and exec.
#[derive(Default, Clone)]
pub struct Setup {
    pub blocked: Vec<i32>,
    pub ignored: Vec<i32>,
    /// Raised while blocked, so that it is pending when the init starts.
    pub pending: Option<i32>,
    pub closed: Vec<RawFd>,
    pub env: Option<Vec<(String, String)>>,
    /// Standard input and error on a new pseudo-terminal, whose session leader the init is.
    pub terminal: bool,
    /// One more open descriptor.
    pub extra_fd: Option<RawFd>,
    pub cwd: Option<&'static str>,
}

/// A running init.
pub struct Run {
    pub pid: i32,
    out: Option<fs::File>,
    seen: Vec<u8>,
    pub terminal: Option<fs::File>,
    status: Option<i32>,
    pub patience: Duration,
}

pub type Outcome<T = ()> = Result<T, String>;

/// How an init ended, as its parent sees it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum End {
    Exit(i32),
    Signal(i32),
}

impl Mode {
    /// The best that this machine allows.
    pub fn of_machine() -> Self {
        for mode in [Self::Pid1, Self::Pid1InUserNamespace] {
            let init = Init {
                name: "probe",
                program: "/bin/sh".into(),
                argv0: "sh".into(),
                patience: Duration::from_secs(5),
                words: &["-c", "test $$ = 1 && exit 9"],
                subreaper_words: &[],
            };
            if Run::start(&init, mode, &[], &Setup::default()).and_then(|mut run| run.end()) == Ok(End::Exit(9)) {
                return mode;
            }
        }
        Self::Subreaper
    }
    pub const fn is_pid1(self) -> bool {
        !matches!(self, Self::Subreaper)
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a test's words")
}

impl Run {
    pub fn start(init: &Init, mode: Mode, command: &[&str], setup: &Setup) -> Outcome<Self> {
        let mut words = vec![c(&init.argv0)];
        words.extend(init.words.iter().map(|word| c(word)));
        if mode == Mode::Subreaper {
            // Options go before the two dashes.
            let at = words.iter().position(|word| word.as_c_str() == c"--").unwrap_or(words.len());
            words.splice(at..at, init.subreaper_words.iter().map(|word| c(word)));
        }
        words.extend(command.iter().map(|word| c(word)));
        let argv: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        let env: Vec<CString> = match &setup.env {
            Some(pairs) => pairs.iter().map(|(name, value)| c(&format!("{name}={value}"))).collect(),
            None => std::env::vars().map(|(name, value)| c(&format!("{name}={value}"))).collect(),
        };
        let envp: Vec<_> = env.iter().map(|pair| pair.as_ptr()).chain([ptr::null()]).collect();
        let program = c(init.program.to_str().ok_or("the program's path is not UTF-8")?);

        let (read, write) = pipe()?;
        let (master, slave) = if setup.terminal { pty().map(|(m, s)| (Some(m), Some(s)))? } else { (None, None) };
        let null = fs::File::open("/dev/null").map_err(|error| error.to_string())?;
        let sink = fs::File::options().write(true).open("/dev/null").map_err(|error| error.to_string())?;
        let cwd = setup.cwd.map(c);
        let flags = libc::SIGCHLD
            | match mode {
                Mode::Pid1 => libc::CLONE_NEWPID | libc::CLONE_NEWNS,
                Mode::Pid1InUserNamespace => libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUSER,
                Mode::Subreaper => 0,
            };
        // SAFETY: without CLONE_VM this is fork(2); the harness has one thread, and the child only makes system calls.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
        if pid < 0 {
            return Err(format!("clone: {}", io::Error::last_os_error()));
        }
        if pid == 0 {
            // SAFETY: everything below was allocated before the clone and outlives the exec.
            unsafe {
                if mode.is_pid1() {
                    let private = libc::MS_REC | libc::MS_PRIVATE;
                    libc::mount(c"none".as_ptr(), c"/".as_ptr(), ptr::null(), private, ptr::null());
                    libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, ptr::null());
                }
                // Whatever the harness was given stays with the harness.
                libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
                // A dead harness takes everything with it.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                if let Some(slave) = &slave {
                    libc::setsid();
                    libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0);
                    libc::dup2(slave.as_raw_fd(), 0);
                    libc::dup2(slave.as_raw_fd(), 2);
                } else {
                    libc::setpgid(0, 0);
                    libc::dup2(null.as_raw_fd(), 0);
                    libc::dup2(sink.as_raw_fd(), 2);
                }
                libc::dup2(write.as_raw_fd(), 1);
                if let Some(fd) = setup.extra_fd {
                    libc::dup2(null.as_raw_fd(), fd);
                }
                for fd in &setup.closed {
                    libc::close(*fd);
                }
                if let Some(cwd) = &cwd {
                    libc::chdir(cwd.as_ptr());
                }
                for signal in SIGNALS {
                    set_disposition(signal, libc::SIG_DFL);
                }
                for signal in &setup.ignored {
                    set_disposition(*signal, libc::SIG_IGN);
                }
                let mut mask = 0u64;
                for signal in &setup.blocked {
                    mask |= 1 << (signal - 1);
                }
                libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, ptr::null::<u64>(), 8);
                if let Some(signal) = setup.pending {
                    libc::kill(libc::getpid(), signal);
                }
                libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
                libc::_exit(99);
            }
        }
        drop(write);
        Ok(Self {
            pid,
            out: Some(fs::File::from(read)),
            seen: Vec::new(),
            terminal: master.map(fs::File::from),
            status: None,
            patience: init.patience,
        })
    }

    /// The next line of the command's report.
    pub fn line(&mut self) -> Outcome<String> {
        let until = Instant::now() + self.patience;
        loop {
            if let Some(at) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.more(until)? {
                return Err(format!("end of output after {:?}", String::from_utf8_lossy(&self.seen)));
            }
        }
    }

    /// The next line must be this one.
    pub fn expect(&mut self, wanted: &str) -> Outcome {
        let line = self.line()?;
        if line == wanted { Ok(()) } else { Err(format!("reported {line:?}, wanted {wanted:?}")) }
    }

    /// Everything up to the end of output.
    pub fn rest(&mut self) -> Outcome<String> {
        let until = Instant::now() + self.patience;
        while self.more(until)? {}
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.seen)).into_owned())
    }

    fn more(&mut self, until: Instant) -> Outcome<bool> {
        let out = self.out.as_mut().ok_or("output was closed")?;
        readable(out.as_raw_fd(), until)?;
        let mut buffer = [0; 65536];
        let count = out.read(&mut buffer).map_err(|error| error.to_string())?;
        self.seen.extend(buffer.iter().take(count));
        Ok(count > 0)
    }

    pub fn send(&self, signal: i32) -> Outcome {
        // SAFETY: takes no pointer; the init is our unreaped child, so the pid is its own.
        if unsafe { libc::kill(self.pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error().to_string()) }
    }

    /// Types on the terminal.
    pub fn type_in(&mut self, keys: &[u8]) -> Outcome {
        self.terminal.as_mut().ok_or("no terminal")?.write_all(keys).map_err(|error| error.to_string())
    }

    /// Waits for the end of the init.
    pub fn end(&mut self) -> Outcome<End> {
        match self.change(0)? {
            Change::Ended(end) => Ok(end),
            Change::Stopped => Err("stopped".to_owned()),
        }
    }

    pub fn ends_with(&mut self, code: i32) -> Outcome {
        match self.end()? {
            End::Exit(got) if got == code => Ok(()),
            other => Err(format!("ended with {other:?}, wanted exit {code}")),
        }
    }

    /// Waits until the init itself is stopped.
    pub fn stops(&mut self) -> Outcome {
        match self.change(libc::WUNTRACED)? {
            Change::Stopped => Ok(()),
            Change::Ended(end) => Err(format!("ended with {end:?}, wanted a stop")),
        }
    }

    fn change(&mut self, flags: i32) -> Outcome<Change> {
        let until = Instant::now() + self.patience;
        loop {
            let mut raw = 0;
            // SAFETY: `raw` outlives the call.
            match unsafe { libc::waitpid(self.pid, &raw mut raw, flags | libc::WNOHANG) } {
                0 => {
                    if Instant::now() > until {
                        return Err("still runs".to_owned());
                    }
                    std::thread::yield_now();
                    // SAFETY: a pause between two looks, not an assertion.
                    unsafe { libc::usleep(200) };
                }
                pid if pid == self.pid => {
                    if libc::WIFSTOPPED(raw) {
                        return Ok(Change::Stopped);
                    }
                    self.status = Some(raw);
                    return Ok(Change::Ended(if libc::WIFEXITED(raw) {
                        End::Exit(libc::WEXITSTATUS(raw))
                    } else {
                        End::Signal(libc::WTERMSIG(raw))
                    }));
                }
                _ => return Err(format!("wait: {}", io::Error::last_os_error())),
            }
        }
    }

    /// The init's children as (pid outside, state letter).
    pub fn children(&self) -> Vec<(i32, char)> {
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        list.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .map(|pid: i32| (pid, state_of(pid).unwrap_or('?')))
            .collect()
    }

    /// Waits until `fine` holds of the init's children.
    pub fn until_children(&self, what: &str, fine: impl Fn(&[(i32, char)]) -> bool) -> Outcome {
        let until = Instant::now() + self.patience;
        loop {
            let children = self.children();
            if fine(&children) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("{what}: {children:?}"));
            }
            std::thread::yield_now();
        }
    }
}

enum Change {
    Ended(End),
    Stopped,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.status.is_some() {
            return;
        }
        let children = self.children();
        // SAFETY: our own unreaped child and its children; what they leave dies of its parent-death signal or its namespace.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            for (child, _) in children {
                libc::kill(-child, libc::SIGKILL);
                libc::kill(child, libc::SIGKILL);
            }
            libc::waitpid(self.pid, ptr::null_mut(), 0);
        }
    }
}

/// rt_sigaction(2) itself: glibc's wrapper refuses its own two signals, 32 and 33.
pub fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // The kernel's sigaction: handler, flags, restorer, mask.
    let action = [disposition, 0, 0, 0];
    // SAFETY: four words, the last of which is the eight-byte mask.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null_mut::<usize>(), 8) };
}

/// The state letter of a process.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.get(stat.rfind(')')? + 2..)?.chars().next()
}

fn readable(fd: RawFd, until: Instant) -> Outcome {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let left = until.saturating_duration_since(Instant::now()).as_millis() as i32;
    // SAFETY: one pollfd that outlives the call.
    match unsafe { libc::poll(&raw mut poll, 1, left) } {
        1 => Ok(()),
        0 => Err("nothing was reported in time".to_owned()),
        _ => Err(io::Error::last_os_error().to_string()),
    }
}

fn pipe() -> Outcome<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: two descriptors are written and owned from here on.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error().to_string());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

fn pty() -> Outcome<(OwnedFd, OwnedFd)> {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: two descriptors are written and owned from here on; the other pointers may be null.
    unsafe {
        if libc::openpty(&raw mut master, &raw mut slave, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error().to_string());
        }
        for fd in [master, slave] {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        Ok((OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)))
    }
}
