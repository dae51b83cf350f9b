//! Signals as values: block everything, wait, forward.
//!
//! The raw system calls are used where glibc hides its own two signals (32 and 33): a container's user may
//! send those too. Synchronous faults may be blocked safely: the kernel unblocks and delivers them.

use std::{io, mem, ptr};

/// The highest signal number of Linux (SIGRTMAX).
pub const MAX: i32 = 64;
const SET_BYTES: usize = 8;

/// A signal mask, the kernel's 64 bits.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Every signal.
    pub fn all() -> Self {
        let mut set = zeroed();
        // SAFETY: the kernel's part of the set is its first eight bytes; 0xff is valid in all of them.
        unsafe { ptr::write_bytes((&raw mut set).cast::<u8>(), 0xff, SET_BYTES) };
        Self(set)
    }
    /// These signals only.
    pub fn of(signals: impl Iterator<Item = i32>) -> Self {
        let bits: u64 = signals.filter(|signal| (1..=MAX).contains(signal)).fold(0, |bits, n| bits | 1 << (n - 1));
        let mut set = zeroed();
        // SAFETY: the kernel's part of the set is its first eight bytes, one word on the 64-bit systems we build for.
        unsafe { (&raw mut set).cast::<u64>().write(bits) };
        Self(set)
    }
    pub(super) const fn as_set(&self) -> &libc::sigset_t {
        &self.0
    }
}

fn zeroed() -> libc::sigset_t {
    // SAFETY: an all-zero sigset_t is the empty set.
    unsafe { mem::zeroed() }
}

/// Blocks every signal; the mask that was in force before. rt_sigprocmask(2).
pub fn block_all() -> Mask {
    let (all, mut old) = (Mask::all(), zeroed());
    // SAFETY: both sets outlive the call and hold at least SET_BYTES bytes.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all.0, &raw mut old, SET_BYTES);
    }
    Mask(old)
}

/// Unblocks every signal: those that wait are delivered before this returns. rt_sigprocmask(2).
pub fn unblock_all() {
    let none = zeroed();
    // SAFETY: the set outlives the call and holds at least SET_BYTES bytes; the old mask is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<libc::sigset_t>(),
            SET_BYTES,
        );
    }
}

/// Waits for one of the blocked signals; `None` after `timeout_ms`. Without a time-out it sleeps until a signal comes.
/// rt_sigtimedwait(2).
pub fn wait(timeout_ms: Option<u64>) -> Option<i32> {
    let all = Mask::all();
    let timeout = timeout_ms.map(|ms| libc::timespec {
        tv_sec: libc::time_t::try_from(ms / 1000).unwrap_or(libc::time_t::MAX),
        tv_nsec: ((ms % 1000) * 1_000_000) as libc::c_long,
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    loop {
        // SAFETY: the set outlives the call; a null siginfo is allowed; the timeout is null or lives above.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const all.0,
                ptr::null_mut::<libc::siginfo_t>(),
                timeout,
                SET_BYTES,
            )
        };
        if rc > 0 {
            return i32::try_from(rc).ok();
        }
        if io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN) {
            return None;
        }
        // EINTR: stopped and continued, or traced.
    }
}

/// kill(2): `pid` > 0 one process, < -1 a group, -1 everything that may be signalled, 0 the own group.
pub fn send(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// True where the disposition of this signal is "ignore"; rt_sigaction(2).
pub fn is_ignored(signal: i32) -> bool {
    // The kernel's sigaction: handler, flags, restorer, mask.
    let mut action = [0usize; 4];
    // SAFETY: the kernel fills 32 bytes at most; the new action is null.
    let rc =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, ptr::null::<usize>(), action.as_mut_ptr(), SET_BYTES) };
    rc == 0 && action.first() == Some(&libc::SIG_IGN)
}

/// Ignores a signal. Unlike a handler, that outlives execve(2), where the child does not ask for the default.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition; signal(2).
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sets a signal back to its default disposition.
pub fn set_default(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition; signal(2).
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_waits_until_it_is_asked_for_and_none_is_left_then() {
        // A thread of its own: the mask of the test runner's threads stays as it is.
        std::thread::spawn(|| {
            block_all();
            // SAFETY: signals this very thread; pthread_kill(3).
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGRTMIN() + 3) };
            assert_eq!(wait(None), Some(libc::SIGRTMIN() + 3));
            assert_eq!(wait(Some(0)), None);
        })
        .join()
        .unwrap();
    }
}
