//! Reaping, by raw waits.
//!
//! nix's `waitpid` turns a death by a real-time signal into EINVAL after the kernel forgot the child, and
//! std's `Command` panics when another reaper was faster: neither is used for children of PID 1.

use std::{fmt, io};

/// How a child ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called exit with this status.
    Exited(u8),
    /// A signal ended it; any number, real-time signals included.
    Signaled {
        /// Signal number.
        signal: i32,
        /// It left a core dump.
        core: bool,
    },
}

impl ExitStatus {
    /// Decodes the status word of waitpid(2); `None` for stopped or continued.
    pub const fn from_raw(raw: i32) -> Option<Self> {
        let signal = raw & 0x7f;
        if signal == 0 {
            Some(Self::Exited(((raw >> 8) & 0xff) as u8))
        } else if signal == 0x7f {
            None
        } else {
            Some(Self::Signaled { signal, core: raw & 0x80 != 0 })
        }
    }
    /// The status as a shell shows it: the code itself, or 128 + signal.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled { signal, .. } => (128 + signal) as u8,
        }
    }
    /// Ended with 0.
    pub const fn success(self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Signaled { signal, core } => {
                write!(f, "signal {signal}")?;
                if *core { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}

/// What waitid(2) with WNOWAIT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peek {
    /// This child has ended and waits to be reaped; its pid cannot be reused until then.
    Ended(i32),
    /// Children exist, none has ended.
    None,
    /// There are no children at all.
    NoChildren,
}

/// Looks for an ended child without consuming it: waitid(2), P_ALL, WEXITED|WNOHANG|WNOWAIT.
///
/// Sees only the first one: reap what was peeked before peeking again.
pub fn peek() -> Peek {
    // SAFETY: an all-zero siginfo_t is a valid value, and waitid writes at most one siginfo_t into it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: `info` outlives the call; waitid(2).
        let rc = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) };
        if rc == 0 {
            // SAFETY: waitid filled the structure (or left it zero), so the pid field is initialised.
            let pid = unsafe { info.si_pid() };
            return if pid == 0 { Peek::None } else { Peek::Ended(pid) };
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            _ => return Peek::NoChildren,
        }
    }
}

/// Reaps one known child: waitpid(2), WNOHANG. `None`: it still runs or is not ours.
pub fn reap(pid: i32) -> Option<ExitStatus> {
    let mut raw = 0;
    loop {
        // SAFETY: `raw` outlives the call; waitpid(2).
        let rc = unsafe { libc::waitpid(pid, &raw mut raw, libc::WNOHANG) };
        if rc > 0 {
            return ExitStatus::from_raw(raw);
        }
        if rc == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Reaps any ended child: waitpid(2) with -1, WNOHANG. `None`: none has ended, or there is none.
pub fn reap_any() -> Option<(i32, ExitStatus)> {
    let mut raw = 0;
    loop {
        // SAFETY: `raw` outlives the call; waitpid(2).
        let rc = unsafe { libc::waitpid(-1, &raw mut raw, libc::WNOHANG) };
        if rc > 0 {
            match ExitStatus::from_raw(raw) {
                Some(status) => return Some((rc, status)),
                None => continue,
            }
        }
        if rc == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// What one non-blocking look at all children found; the bare mode's drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// This child ended and was reaped.
    Ended(i32, ExitStatus),
    /// This child was stopped by this signal.
    Stopped(i32, i32),
    /// Children exist; nothing new about any of them.
    Quiet,
    /// There are no children at all.
    NoChildren,
}

/// Consumes one state change of any child: waitpid(2) with -1, WNOHANG|WUNTRACED.
pub fn next_event() -> Event {
    let mut raw = 0;
    loop {
        // SAFETY: `raw` outlives the call; waitpid(2).
        let rc = unsafe { libc::waitpid(-1, &raw mut raw, libc::WNOHANG | libc::WUNTRACED) };
        if rc > 0 {
            return match ExitStatus::from_raw(raw) {
                Some(status) => Event::Ended(rc, status),
                None => Event::Stopped(rc, (raw >> 8) & 0xff),
            };
        }
        if rc == 0 {
            return Event::Quiet;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Event::NoChildren;
        }
    }
}

/// Waits until this child has ended: blocking waitpid(2). For short-lived helper processes, never for PID 1's loop.
pub fn wait(pid: i32) -> io::Result<ExitStatus> {
    let mut raw = 0;
    loop {
        // SAFETY: `raw` outlives the call; waitpid(2).
        let rc = unsafe { libc::waitpid(pid, &raw mut raw, 0) };
        if rc > 0 {
            if let Some(status) = ExitStatus::from_raw(raw) {
                return Ok(status);
            }
        } else {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINTR) {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_decode() {
        assert_eq!(ExitStatus::from_raw(40), Some(ExitStatus::Signaled { signal: 40, core: false }));
        assert_eq!(ExitStatus::from_raw(40).map(ExitStatus::code), Some(168));
    }

    #[test]
    fn exit_codes_and_cores_decode() {
        assert_eq!(ExitStatus::from_raw(7 << 8), Some(ExitStatus::Exited(7)));
        assert_eq!(ExitStatus::from_raw(11 | 0x80), Some(ExitStatus::Signaled { signal: 11, core: true }));
        assert_eq!(ExitStatus::from_raw(0x137f), None);
    }
}
