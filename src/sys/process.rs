//! Signals to processes, and what a process sets for itself.

use std::io;

/// kill(2), raw: real-time signals included; a negative pid is a process group, -1 is everybody.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved; kill(2).
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// getpgid(2).
pub fn group_of(pid: i32) -> Option<i32> {
    // SAFETY: no memory is involved; getpgid(2).
    let pgid = unsafe { libc::getpgid(pid) };
    (pgid > 0).then_some(pgid)
}

/// PR_SET_CHILD_SUBREAPER (prctl(2)): orphaned descendants are re-parented to this process.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: no memory is involved; prctl(2).
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Does a write of up to `PIPE_BUF` bytes to this descriptor return at once, be it with an error because its other end is
/// gone or it is closed? poll(2) with no waiting.
pub fn writable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd that outlives the call; poll(2).
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & (libc::POLLOUT | libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0
}

/// write(2), raw: no buffering, no retry.
pub fn write(fd: i32, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the slice outlives the call; write(2).
    let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    if n >= 0 { Ok(n.unsigned_abs()) } else { Err(io::Error::last_os_error()) }
}

/// execv(3) with the present environment; returns only the error.
pub fn exec(program: &std::ffi::CStr, argv: &[std::ffi::CString]) -> io::Error {
    let pointers: Vec<*const libc::c_char> = argv.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: a null-terminated array of strings that outlives the call; execv(3).
    unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Signals `pid` through a pidfd, after `same` confirmed that the descriptor is for the wanted process: between
/// look and signal the pid cannot pass to another one. Without pidfds (ENOSYS, EPERM by seccomp) a plain kill(2).
///
/// pidfd_open(2), pidfd_send_signal(2).
pub fn signal_if(pid: i32, signal: i32, same: impl FnOnce() -> bool) -> bool {
    // SAFETY: no memory is involved; pidfd_open(2).
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        let gone = io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        return !gone && same() && kill(pid, signal).is_ok();
    }
    // SAFETY: pidfd_open returned a fresh descriptor that nobody else owns.
    let fd = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) };
    if !same() {
        return false;
    }
    let raw = std::os::fd::AsRawFd::as_raw_fd(&fd);
    // SAFETY: a null siginfo means kill(2)'s own; pidfd_send_signal(2).
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, raw, signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    sent == 0 || (io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH) && kill(pid, signal).is_ok())
}

/// execve(2) with this environment; returns only the error.
pub fn exec_with(program: &std::ffi::CStr, argv: &[std::ffi::CString], envp: &[std::ffi::CString]) -> io::Error {
    let list = |strings: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (list(argv), list(envp));
    // SAFETY: two null-terminated arrays of strings that outlive the call; execve(2).
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// PR_SET_DUMPABLE 0 (PR_SET_DUMPABLE(2const)): other processes of the same user can neither trace this one nor read its
/// environment and memory in `/proc`. An exec makes the children dumpable again.
pub fn hide() -> io::Result<()> {
    nix::sys::prctl::set_dumpable(false).map_err(io::Error::from)
}

/// malloc_trim(3): free heap goes back to the system.
pub fn trim_heap() {
    unsafe extern "C" {
        fn malloc_trim(pad: libc::size_t) -> libc::c_int;
    }
    // SAFETY: glibc's own function, callable at any time; malloc_trim(3).
    unsafe { malloc_trim(0) };
}
