//! Waiting for one known child by descriptor, so that poll(2) can watch it beside pipes and a deadline.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// pidfd_open(2), Linux 5.3. The descriptor is readable once the process has ended; close-on-exec.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed; pidfd_open(2).
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Has this child ended? waitid(2), P_PID, WNOHANG|WNOWAIT: the zombie stays and pins its id.
///
/// `true` also where there is no such child any more.
pub fn ended(pid: i32) -> bool {
    // SAFETY: an all-zero siginfo_t is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` outlives the call; waitid(2).
        let rc = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, flags) };
        if rc == 0 {
            // SAFETY: waitid filled the structure or left it zero.
            return unsafe { info.si_pid() } != 0;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return true;
        }
    }
}
