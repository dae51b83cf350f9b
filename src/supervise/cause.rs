//! Why a child ended, in words that a person can read.

use crate::sys::wait::ExitStatus;
use std::fmt;

/// Why a service's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself with this status.
    Status(ExitStatus),
    /// The kernel's OOM killer ended it (the cgroup's own counter went up).
    OomKilled,
    /// It could not be started.
    SpawnFailed {
        /// Why, with the program's name.
        reason: String,
        /// The code to leave with if that ends the container: 127, 126 or 71.
        code: u8,
    },
}

impl Cause {
    /// The status as a shell would show it; 127, 126 or 71 for what could not be started.
    pub fn code(&self) -> u8 {
        match self {
            Self::Status(status) => status.code(),
            Self::OomKilled => 137,
            Self::SpawnFailed { code, .. } => *code,
        }
    }
    /// Ended with 0.
    pub fn success(&self) -> bool {
        matches!(self, Self::Status(status) if status.success())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(ExitStatus::Signaled { signal, core }) => {
                write!(f, "signal {signal}")?;
                if let Some(name) = signal_hook::low_level::signal_name(*signal) {
                    write!(f, " ({name})")?;
                }
                if *core { f.write_str(", core dumped") } else { Ok(()) }
            }
            Self::Status(status) => write!(f, "{status}"),
            Self::OomKilled => f.write_str("oom-killed"),
            Self::SpawnFailed { reason, .. } => write!(f, "cannot start: {reason}"),
        }
    }
}
