//! A program under ptrace(2), and what befalls its n-th change of a file system.
//!
//! Every thread of the program is followed, its children are not. A call counts if it can change what is on the disk
//! below a folder: between two such calls nothing there changes, so killing before each of them, and after the last, gives all
//! the states that a crash can leave. What only brings bytes to the disk (fsync) or locks can fail, but a kill before it
//! is the same as the kill before the next call.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::{fs::FileExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
};

/// What happens to the n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The program is killed right before it.
    Kill,
    /// It does nothing and fails with this errno.
    Fail(i32),
    /// A write writes half.
    Short,
}

/// How the program ended, and how many calls there were.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; `None`: killed.
    pub(crate) code: Option<i32>,
    /// Calls that counted, at most up to the one that was hit.
    pub(crate) calls: usize,
    /// What was hit: number of the call, and the path.
    pub(crate) hit: Option<(i64, PathBuf)>,
}

/// Which call, and what is done to it.
pub(crate) struct Trace<'a> {
    pub(crate) fault: Fault,
    /// Counted from 1; 0: none.
    pub(crate) n: usize,
    /// Calls on these paths count.
    pub(crate) counts: &'a (dyn Fn(&Path) -> bool + Sync),
    /// Calls count from the moment at which this is true.
    pub(crate) armed: &'a AtomicBool,
    /// Hears the program's pid.
    pub(crate) started: Option<Sender<i32>>,
}

/// Where a call names what it changes.
enum Names {
    /// A path in this argument, relative to the folder in that one.
    Path(Option<usize>, usize),
    /// An open file in this argument.
    File(usize),
}

/// The changing calls of x86-64 Linux. `true`: it changes what is seen, and not only what survives a power cut.
fn changes(number: i64, args: &[u64; 6]) -> Option<(Names, bool)> {
    use Names::{File, Path};
    const CREATES: u64 = (libc::O_CREAT | libc::O_TRUNC) as u64;
    Some(match number {
        libc::SYS_openat if args[2] & CREATES != 0 => (Path(Some(0), 1), true),
        libc::SYS_open if args[1] & CREATES != 0 => (Path(None, 0), true),
        libc::SYS_mkdir | libc::SYS_rmdir | libc::SYS_unlink | libc::SYS_rename | libc::SYS_link => {
            (Path(None, 0), true)
        }
        libc::SYS_chmod | libc::SYS_chown | libc::SYS_lchown | libc::SYS_truncate => (Path(None, 0), true),
        libc::SYS_symlink => (Path(None, 1), true),
        libc::SYS_mkdirat | libc::SYS_unlinkat | libc::SYS_renameat | libc::SYS_renameat2 => (Path(Some(0), 1), true),
        libc::SYS_linkat | libc::SYS_fchmodat | libc::SYS_fchownat | libc::SYS_mknodat => (Path(Some(0), 1), true),
        libc::SYS_symlinkat => (Path(Some(1), 2), true),
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev | libc::SYS_ftruncate => (File(0), true),
        libc::SYS_fallocate | libc::SYS_fchmod | libc::SYS_fchown | libc::SYS_sendfile => (File(0), true),
        libc::SYS_copy_file_range => (File(2), true),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_syncfs | libc::SYS_flock => (File(0), false),
        _ => return None,
    })
}

/// A text in the program's memory.
fn text_at(thread: i32, address: u64) -> io::Result<PathBuf> {
    let memory = fs::File::open(format!("/proc/{thread}/mem"))?;
    let mut text = Vec::new();
    loop {
        // Never across the end of a page: the next may not be there.
        let at = address + text.len() as u64;
        let mut piece = vec![0; 4096 - (at % 4096) as usize];
        let count = memory.read_at(&mut piece, at)?;
        match piece[..count].iter().position(|byte| *byte == 0) {
            Some(end) => text.extend_from_slice(&piece[..end]),
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {
                text.extend_from_slice(&piece[..count]);
                continue;
            }
        }
        return Ok(std::os::unix::ffi::OsStringExt::from_vec(text)).map(|text: std::ffi::OsString| text.into());
    }
}

/// What a call changes; sockets and pipes have names that no folder has.
fn path_of(thread: i32, names: &Names, args: &[u64; 6]) -> PathBuf {
    let file = |number: u64| fs::read_link(format!("/proc/{thread}/fd/{}", number as i32)).unwrap_or_default();
    match *names {
        Names::File(at) => file(args[at]),
        Names::Path(dir, at) => {
            let dir = match dir.map(|dir| args[dir]) {
                Some(number) if number as i32 != libc::AT_FDCWD => file(number),
                _ => fs::read_link(format!("/proc/{thread}/cwd")).unwrap_or_default(),
            };
            dir.join(text_at(thread, args[at]).unwrap_or_default())
        }
    }
}

/// The next of this thread's children, or of the threads that it traces, that stopped or ended.
fn wait() -> (i32, i32) {
    loop {
        let mut status = 0;
        // SAFETY: a local status; waitpid(2).
        match unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => panic!("waitpid: {}", io::Error::last_os_error()),
            thread => return (thread, status),
        }
    }
}

/// A system call that a stopped thread is about to make, or has made.
enum Stop {
    Entry(i64, [u64; 6]),
    Exit,
    /// The thread died under our hands.
    Gone,
}

fn stop_of(thread: i32) -> Stop {
    // SAFETY: zeros are a value of it.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes; ptrace(2).
    match unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) } {
        -1 => Stop::Gone,
        _ if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the kernel filled the variant that `op` names.
            let entry = unsafe { info.u.entry };
            Stop::Entry(entry.nr as i64, entry.args)
        }
        _ => Stop::Exit,
    }
}

/// Changes the registers of a stopped thread.
fn edit(thread: i32, change: impl FnOnce(&mut libc::user_regs_struct)) {
    // SAFETY: zeros are a value of it.
    let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the thread is stopped and the type is the kernel's own; ptrace(2).
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0, &raw mut regs) }, 0);
    change(&mut regs);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, 0, &raw const regs) }, 0);
}

/// A folder in memory, where programs may run in one: thousands of fsyncs.
pub(crate) fn in_memory() -> tempfile::TempDir {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let runs = statvfs("/dev/shm").is_ok_and(|fs| !fs.flags().contains(FsFlags::ST_NOEXEC));
    runs.then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten().unwrap_or_else(|| tempfile::tempdir().unwrap())
}

impl Trace<'_> {
    /// Runs it to its end; `None`: ptrace is not allowed here.
    pub(crate) fn run(&self, command: &mut Command) -> Option<Ended> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: ptrace(2) is async-signal-safe; nothing else happens between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let pid = match command.spawn() {
            Ok(child) => child.id() as i32,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(error) => panic!("{error}"),
        };
        assert!(matches!(wait(), (stopped, status) if stopped == pid && libc::WIFSTOPPED(status)), "exec stops it");
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
        // SAFETY: it is stopped; ptrace(2).
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) }, 0);
        if let Some(started) = &self.started {
            let _ = started.send(pid);
        }
        let mut ended = Ended { code: None, calls: 0, hit: None };
        let (mut stopped, mut failing) = (pid, HashMap::new());
        let mut known = std::collections::HashSet::from([pid]);
        let mut signal = 0;
        loop {
            // SAFETY: it is stopped, or was killed just now, which `wait` tells; ptrace(2).
            unsafe { libc::ptrace(libc::PTRACE_SYSCALL, stopped, 0, signal) };
            let status;
            (stopped, status) = wait();
            signal = 0;
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if stopped == pid {
                    ended.code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
                    return Some(ended);
                }
                // One thread less; nobody is to be resumed. PTRACE_SYSCALL of it does nothing.
                continue;
            }
            match libc::WSTOPSIG(status) {
                stop if stop == libc::SIGTRAP | 0x80 => self.at_call(pid, stopped, &mut ended, &mut failing),
                // A new thread has begun, or this one has made one.
                libc::SIGSTOP if known.insert(stopped) => {}
                _ if status >> 16 != 0 => {}
                other => signal = other,
            }
        }
    }

    fn at_call(&self, pid: i32, thread: i32, ended: &mut Ended, failing: &mut HashMap<i32, i32>) {
        let (number, args) = match stop_of(thread) {
            Stop::Entry(number, args) => (number, args),
            Stop::Exit => {
                if let Some(errno) = failing.remove(&thread) {
                    edit(thread, |regs| regs.rax = (-i64::from(errno)) as u64);
                }
                return;
            }
            Stop::Gone => return,
        };
        if ended.hit.is_some() || !self.armed.load(Ordering::SeqCst) {
            return;
        }
        let Some((names, seen)) = changes(number, &args) else { return };
        let writes = matches!(number, libc::SYS_write | libc::SYS_pwrite64) && args[2] > 1;
        match self.fault {
            Fault::Kill if !seen => return,
            Fault::Short if !writes => return,
            _ => {}
        }
        let path = path_of(thread, &names, &args);
        if !(self.counts)(&path) {
            return;
        }
        ended.calls += 1;
        if ended.calls != self.n {
            return;
        }
        ended.hit = Some((number, path));
        match self.fault {
            // SAFETY: our own child, which nobody has waited for; kill(2).
            Fault::Kill => unsafe {
                libc::kill(pid, libc::SIGKILL);
            },
            Fault::Fail(errno) => {
                edit(thread, |regs| regs.orig_rax = u64::MAX);
                failing.insert(thread, errno);
            }
            Fault::Short => edit(thread, |regs| regs.rdx /= 2),
        }
    }
}
