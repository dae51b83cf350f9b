//! Job control of the controlling terminal: tcgetpgrp(3), tcsetpgrp(3), tty_ioctl(4).

/// The process group of this process; getpgrp(2).
pub fn own_group() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpgrp() }
}

/// The foreground group of the terminal behind `fd`; `None` where it is not our controlling terminal.
///
/// 0 is a group that our pid namespace cannot see.
pub fn foreground(fd: i32) -> Option<i32> {
    // SAFETY: takes no pointer.
    let group = unsafe { libc::tcgetpgrp(fd) };
    if group < 0 { None } else { Some(group) }
}

/// Makes `group` the foreground group. SIGTTOU must be blocked where the caller is in the background.
pub fn set_foreground(fd: i32, group: i32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::tcsetpgrp(fd, group) == 0 }
}

/// Gives up the controlling terminal: TIOCNOTTY. A session leader's foreground group gets SIGHUP and SIGCONT.
pub fn detach(fd: i32) -> bool {
    // SAFETY: TIOCNOTTY takes no argument.
    unsafe { libc::ioctl(fd, libc::TIOCNOTTY) == 0 }
}

/// True where `fd` is a terminal; isatty(3).
pub fn is_terminal(fd: i32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::isatty(fd) == 1 }
}

/// The session of a process (0: the caller); `None` where there is no such process. getsid(2).
pub fn session_of(pid: i32) -> Option<i32> {
    // SAFETY: takes no pointer.
    let sid = unsafe { libc::getsid(pid) };
    if sid < 0 { None } else { Some(sid) }
}

/// The parent's pid; 0 where it lives outside our pid namespace. getppid(2).
pub fn parent() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getppid() }
}
