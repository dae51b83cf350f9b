//! A throwaway child for questions that change the asker: restrict itself, make a namespace, and be gone.
//!
//! fork(2), not a thread and not vfork: a seccomp profile may answer with SECCOMP_RET_KILL_PROCESS, which must cost
//! PID 1 nothing but this child. The child runs only raw system calls (signal-safety(7)), reports through a pipe, and
//! has a deadline.

use super::wait::{ExitStatus, wait};
use crate::sys::spawn::full_set;
use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

/// A child on its way: it works while the parent does something else. Dropped, it is reaped all the same.
#[derive(Debug)]
pub(super) struct Child {
    /// `None`: already reaped.
    pid: Option<libc::pid_t>,
    reports: OwnedFd,
}

/// What the child has for its report.
pub(super) struct Report(RawFd);

impl Report {
    /// Writes one step and its errno (0: done) to the parent: write(2), five bytes at once (so never torn: pipe(7)).
    pub(super) fn step(&self, step: u8, errno: i32) {
        let [a, b, c, d] = errno.to_ne_bytes();
        let record = [step, a, b, c, d];
        // SAFETY: the buffer outlives the call; write(2) is async-signal-safe.
        unsafe { libc::write(self.0, record.as_ptr().cast(), record.len()) };
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Steps with their errno, in order.
    pub(super) steps: Vec<(u8, i32)>,
    /// How the child ended; `None` when somebody else reaped it (SIGCHLD ignored).
    pub(super) status: Option<ExitStatus>,
}

impl Answer {
    /// The signal that ended the child; 0: none, or not known.
    pub(super) const fn signal(&self) -> i32 {
        match self.status {
            Some(ExitStatus::Signaled { signal, .. }) => signal,
            Some(ExitStatus::Exited(_)) | None => 0,
        }
    }
}

/// Most records that are read.
const MOST: usize = 16;
/// After this the child is killed, in milliseconds: it has microseconds of work.
const DEADLINE_MS: i32 = 500;

/// Forks, runs `body` in the child, and gives what it reported.
///
/// # Safety
/// As for [`start`].
pub(super) unsafe fn run(body: unsafe fn(&Report)) -> io::Result<Answer> {
    // SAFETY: as promised by the caller.
    Ok(unsafe { start(body)? }.finish())
}

/// Forks and runs `body` in the child.
///
/// # Safety
/// `body` may only make system calls: no allocation, no locks, no panics.
pub(super) unsafe fn start(body: unsafe fn(&Report)) -> io::Result<Child> {
    let (read, write) = pipe()?;
    // Blocked around the fork, and for good in the child: a handler that runs there would write into the parent's
    // wake-up pipe.
    let all = full_set();
    // SAFETY: an all-zero sigset_t is valid and is overwritten; pthread_sigmask(3).
    let mut old: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: both sets outlive the call; pthread_sigmask(3).
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) };
    // SAFETY: the child only runs `body` (which promises to be async-signal-safe) and _exit; fork(2).
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as promised by the caller; _exit(2) runs no handlers.
        unsafe {
            body(&Report(write.as_raw_fd()));
            libc::_exit(0)
        }
    }
    let error = io::Error::last_os_error();
    // SAFETY: `old` was filled above; pthread_sigmask(3).
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, ptr::null_mut()) };
    if pid < 0 {
        return Err(error);
    }
    Ok(Child { pid: Some(pid), reports: read })
}

impl Child {
    /// Waits for its report, until the deadline.
    pub(super) fn finish(mut self) -> Answer {
        let (bytes, ended) = collect(&self.reports);
        let steps = bytes.chunks_exact(5).filter_map(|record| {
            let (step, errno) = record.split_first()?;
            Some((*step, i32::from_ne_bytes(errno.try_into().ok()?)))
        });
        Answer { steps: steps.collect(), status: self.reap(ended) }
    }

    /// `ended`: it closed its end. It may then already be reaped by somebody else, and its pid be another's.
    fn reap(&mut self, ended: bool) -> Option<ExitStatus> {
        let pid = self.pid.take()?;
        if !ended {
            // SAFETY: the child has not ended, so its pid is its own; kill(2).
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        wait(pid).ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.pid.is_some() {
            let (_, ended) = collect(&self.reports);
            self.reap(ended);
        }
    }
}

/// Reads until the child closed its end (true), or the deadline (false).
fn collect(read: &OwnedFd) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(5 * MOST);
    while bytes.len() < 5 * MOST {
        let mut poll = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd that outlives the call; poll(2).
        match unsafe { libc::poll(&raw mut poll, 1, DEADLINE_MS) } {
            1 => {}
            0 => return (bytes, false),
            _ if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => continue,
            _ => return (bytes, false),
        }
        let mut record = [0_u8; 5];
        // SAFETY: the buffer outlives the call; read(2).
        match unsafe { libc::read(read.as_raw_fd(), record.as_mut_ptr().cast(), record.len()) } {
            5 => bytes.extend_from_slice(&record),
            0 => return (bytes, true),
            _ => return (bytes, false),
        }
    }
    (bytes, false)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: two descriptors are written on success; pipe2(2).
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [read, write] = fds;
    // SAFETY: both were just opened and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_back_in_order_and_the_child_is_reaped() {
        // SAFETY: the body only reports.
        let answer = unsafe {
            run(|report| {
                report.step(1, 0);
                report.step(2, 38);
            })
        };
        let answer = answer.unwrap();
        assert_eq!(answer.steps, [(1, 0), (2, 38)]);
        assert_eq!(answer.status, Some(ExitStatus::Exited(0)));
    }

    #[test]
    fn a_child_that_hangs_is_killed_at_the_deadline() {
        // SAFETY: the body reports and waits by raw system calls.
        let answer = unsafe {
            run(|report| {
                report.step(1, 0);
                libc::pause();
            })
        };
        let answer = answer.unwrap();
        assert_eq!((answer.steps.as_slice(), answer.signal()), ([(1, 0)].as_slice(), libc::SIGKILL));
    }

    #[test]
    fn a_child_that_nobody_asks_is_reaped() {
        // SAFETY: the body does nothing.
        let child = unsafe { start(|_| {}) }.unwrap();
        let pid = child.pid.unwrap();
        drop(child);
        // SAFETY: no memory is passed; waitpid(2).
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) }, -1);
    }

    #[test]
    fn a_child_that_is_killed_gives_what_it_had_reported() {
        // SAFETY: the body reports and kills itself by raw system calls.
        let answer = unsafe {
            run(|report| {
                report.step(1, 0);
                libc::kill(libc::getpid(), libc::SIGKILL);
            })
        };
        assert_eq!(answer.unwrap().steps, [(1, 0)]);
    }
}
