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

/// Can this descriptor take a write of up to `PIPE_BUF` bytes now? poll(2) with no waiting.
pub fn writable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd that outlives the call; poll(2).
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & libc::POLLOUT != 0
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
