//! What a service is: the type that the plan makes, the file's `[service.NAME]` tables fill, and the
//! machine supervises.

use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Does the end of this service end the container?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Essential {
    /// Its end ends the container, with its exit status.
    Yes,
    /// The container goes on without it.
    No,
}

/// When a service is started again after it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Whatever its exit status.
    Always,
    /// Exit status other than 0, or a signal.
    OnFailure,
    /// Not at all.
    Never,
}

impl Restart {
    /// As the file says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        }
    }
}

/// Daemon, or a step that is done when it exits with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// Runs until stopped.
    Daemon,
    /// Runs once; ready when it has ended with 0.
    Oneshot,
}

/// Exponential back-off with jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Delay before the first restart.
    pub initial: Duration,
    /// Greatest delay.
    pub max: Duration,
    /// Share of the delay that is random, 0.0 to 1.0.
    pub jitter: f64,
    /// After this long in good health the next restart starts from `initial` again.
    pub reset_after: Duration,
}

/// Restarts allowed within a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartBudget {
    /// Restarts; 0: none is allowed.
    pub restarts: u32,
    /// The window.
    pub window: Duration,
}

/// How a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// HTTP GET; 200 to 399 is success.
    Http {
        /// Host name is not resolved: an IP address.
        host: String,
        /// Port.
        port: u16,
        /// Path with query.
        path: String,
    },
    /// TCP connect.
    Tcp {
        /// An IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A command; exit status 0 is success.
    Exec {
        /// argv.
        command: Vec<String>,
    },
    /// The service writes a newline to this descriptor (s6's protocol). Readiness only.
    NotifyFd {
        /// Descriptor number in the child.
        fd: i32,
    },
    /// The service sends `READY=1` to `$NOTIFY_SOCKET` (sd_notify(3)). Readiness only.
    SdNotify,
}

impl ProbeKind {
    /// The way of asking, with the key and the form that the file has for it.
    pub fn as_in_the_file(&self) -> serde_json::Value {
        let address = |host: &str, port: &u16| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        match self {
            Self::Http { host, port, path } => json!({ "http": format!("http://{}{path}", address(host, port)) }),
            Self::Tcp { host, port } => json!({ "tcp": address(host, port) }),
            Self::Exec { command } => json!({ "exec": command }),
            Self::NotifyFd { fd } => json!({ "fd": fd }),
            Self::SdNotify => json!({ "notify": true }),
        }
    }
}

/// A readiness or liveness probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// How it asks.
    pub kind: ProbeKind,
    /// Failures do not count before this long after the start.
    pub start_period: Duration,
    /// Between two questions.
    pub interval: Duration,
    /// Deadline of one question.
    pub timeout: Duration,
    /// Successes in a row that make it true.
    pub success_threshold: u32,
    /// Failures in a row that make it false.
    pub failure_threshold: u32,
}

/// One resource limit, as `setrlimit(2)` names it (`nofile`, `nproc`, `core`, ...).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Lower-case name without `RLIMIT_`.
    pub name: String,
    /// Soft limit; `None`: unlimited.
    pub soft: Option<u64>,
    /// Hard limit; `None`: unlimited.
    pub hard: Option<u64>,
}

/// A service as it is supervised.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Daemon or oneshot.
    pub kind: ServiceKind,
    /// argv; the first word is a path, or a name looked up in the child's PATH.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// The child's whole environment, or additions to the plan's (see `plan::environment`).
    pub env: BTreeMap<String, String>,
    /// Names of the secrets this service needs in its environment; every other secret is left out.
    pub secrets: Vec<String>,
    /// `uid[:gid]`; `None`: the plan's user.
    pub user: Option<String>,
    /// Restart policy.
    pub restart: Restart,
    /// Delay between restarts.
    pub backoff: Backoff,
    /// Restarts before it is given up.
    pub budget: RestartBudget,
    /// Does its end end the container?
    pub essential: Essential,
    /// Services that must be ready before this one starts.
    pub after: Vec<String>,
    /// The stop signal's number.
    pub stop_signal: i32,
    /// From stop signal to SIGKILL.
    pub stop_grace: Duration,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// `oom_score_adj`, -1000 to 1000 (proc(5)).
    pub oom_score_adj: Option<i32>,
    /// Readiness; `None`: ready as soon as it runs.
    pub readiness: Option<Probe>,
    /// Liveness; a failing one restarts the service.
    pub liveness: Option<Probe>,
    /// Deadline of a oneshot, or of a daemon's readiness; `None`: no deadline.
    pub start_timeout: Option<Duration>,
}
