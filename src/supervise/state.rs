//! The states of a service, and why one is being ended. Pure.

use super::schedule::Now;

/// Why a running process is being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// An operator's `stop`.
    Operator,
    /// An operator's `restart`, or changed configuration: it comes back at once.
    Restart,
    /// The liveness probe failed: it comes back by the restart policy.
    Liveness(String),
    /// It was not ready in time: it comes back by the restart policy.
    StartTimeout,
    /// The container stops.
    Shutdown,
}

/// The state of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Wanted; a service named in `after` is not ready yet.
    Waiting,
    /// Runs, not ready yet.
    Starting {
        /// When it has to be ready.
        deadline: Option<Now>,
    },
    /// Runs and may get work.
    Ready,
    /// Runs, was ready, and its readiness probe fails.
    Unready,
    /// The stop signal was sent.
    Stopping {
        /// Why.
        why: Why,
        /// When SIGKILL follows.
        kill_at: Now,
    },
    /// SIGKILL was sent.
    Killing {
        /// Why.
        why: Why,
    },
    /// Ended; starts again then.
    Backoff {
        /// When.
        until: Now,
    },
    /// A oneshot that ended with 0.
    Done,
    /// Ended and not wanted.
    Stopped,
    /// Given up.
    Failed,
}

impl State {
    /// The state's name as `status` and the metrics show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting { .. } => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Stopping { .. } => "stopping",
            Self::Killing { .. } => "killing",
            Self::Backoff { .. } => "backoff",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
    /// A process exists.
    pub fn runs(&self) -> bool {
        match self {
            Self::Starting { .. } | Self::Ready | Self::Unready | Self::Stopping { .. } | Self::Killing { .. } => true,
            Self::Waiting | Self::Backoff { .. } | Self::Done | Self::Stopped | Self::Failed => false,
        }
    }
    /// What waits for this service may start: it is ready, or it will not become so.
    pub fn settled(&self) -> bool {
        match self {
            Self::Ready | Self::Unready | Self::Done | Self::Stopped | Self::Failed => true,
            Self::Waiting
            | Self::Starting { .. }
            | Self::Stopping { .. }
            | Self::Killing { .. }
            | Self::Backoff { .. } => false,
        }
    }
    /// Counts as ready for the container's readiness.
    pub fn ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Done)
    }
}
