//! What PID 1 knows about itself and what it supervises: the answer to `status`, and what metrics and tables are made of.
//!
//! Every field has a default, so that an older or newer init can be read.

use super::protocol::{Health, HealthKind};
use serde::{Deserialize, Serialize};

/// State of the container as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Preparing, or services have not been ready yet.
    #[default]
    Starting,
    /// Every essential service is ready.
    Ready,
    /// It was ready; something essential is not, or a budget is exceeded.
    Degraded,
    /// Readiness is false, the stop signals are still to come.
    Draining,
    /// Services are being stopped.
    Stopping,
}

impl State {
    /// Every state, in order.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Ready, Self::Degraded, Self::Draining, Self::Stopping];

    /// Its name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

/// State of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// Waits for the readiness of another service.
    #[default]
    Waiting,
    /// Runs, has not been ready yet.
    Starting,
    /// Runs and is ready.
    Ready,
    /// Runs, was ready, its readiness probe fails.
    Unready,
    /// Ended; its next start is scheduled.
    Backoff,
    /// Got its stop signal, still runs.
    Stopping,
    /// Got SIGKILL, still runs.
    Killing,
    /// Stopped as asked.
    Stopped,
    /// A oneshot that ended with 0.
    Done,
    /// Given up: budget spent, or its policy forbids a restart.
    Failed,
}

impl ServiceState {
    /// Every state, in order.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Unready,
        Self::Backoff,
        Self::Stopping,
        Self::Killing,
        Self::Stopped,
        Self::Done,
        Self::Failed,
    ];

    /// Its name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Killing => "killing",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Everything that PID 1 knows about itself and what it supervises.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// State of the whole.
    pub state: State,
    /// Why it is in that state, one line; empty where there is nothing to say.
    pub reason: String,
    /// Pid of the init itself.
    pub pid: i32,
    /// Version of the running binary.
    pub version: String,
    /// Seconds since the epoch at which it started.
    pub started_at: u64,
    /// Milliseconds since then, by the monotonic clock.
    pub uptime_ms: u64,
    /// Is it alive, in the sense of `HealthKind::Live`?
    pub live: bool,
    /// Why not.
    pub live_reasons: Vec<String>,
    /// Ready, in the sense of `HealthKind::Ready`?
    pub ready: bool,
    /// Why not.
    pub ready_reasons: Vec<String>,
    /// Started, in the sense of `HealthKind::Startup`?
    pub startup_done: bool,
    /// Warnings that do not make it unready: a best-effort step that failed, 70 % of a budget used.
    pub warnings: Vec<String>,
    /// How many runs at once, and why.
    pub concurrency: Concurrency,
    /// Used against limits.
    pub usage: Usage,
    /// What was re-parented to the init.
    pub orphans: Orphans,
    /// OOM kills in this cgroup since the start.
    pub oom_kills: u64,
    /// The last one of them.
    pub last_oom: Option<OomKill>,
    /// Restarts of all services since the start.
    pub restarts_total: u64,
    /// What the start took, in order.
    pub phases: Vec<Phase>,
    /// The services, in start order.
    pub services: Vec<ServiceStatus>,
}

impl Status {
    /// The answer to a health question, from this status.
    pub fn health(&self, kind: HealthKind) -> Health {
        match kind {
            HealthKind::Live => Health { ok: self.live, reasons: self.live_reasons.clone(), for_ms: None },
            HealthKind::Ready => Health { ok: self.ready, reasons: self.ready_reasons.clone(), for_ms: None },
            HealthKind::Startup => Health {
                ok: self.startup_done,
                reasons: if self.startup_done { Vec::new() } else { self.ready_reasons.clone() },
                for_ms: None,
            },
        }
    }
}

/// How many runs at once, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Concurrency {
    /// Runs at once.
    pub max_concurrent: u64,
    /// Queued runs before the API answers 429.
    pub max_queue: u64,
    /// The resource that binds: `cpu`, `memory`, `pids`, `descriptors`, `hard cap`, `fallback`.
    pub binds: String,
    /// What to change to get more.
    pub advice: String,
}

/// Pids and memory, used against their limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Pids (threads count).
    pub pids: Gauge,
    /// Memory in bytes.
    pub memory: Gauge,
    /// Share of the last 10 s in which some task waited for memory, percent; `None`: unknown.
    pub memory_pressure: Option<u64>,
}

/// A kill by the kernel for want of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OomKill {
    /// Milliseconds since then.
    pub ago_ms: u64,
    /// `service NAME`; `probably ...`: the largest processes that had gone; `unknown`.
    pub victim: String,
}

/// Used against a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gauge {
    /// Used; `None`: unknown.
    pub used: Option<u64>,
    /// The limit; `None`: unlimited or unknown.
    pub limit: Option<u64>,
}

impl Gauge {
    /// Used, in percent of the limit, rounded down.
    pub fn percent(&self) -> Option<u64> {
        let (used, limit) = (u128::from(self.used?), u128::from(self.limit?));
        u64::try_from((used * 100).checked_div(limit)?).ok()
    }
}

/// What was re-parented to the init.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orphans {
    /// Reaped since the start.
    pub reaped_total: u64,
    /// Ended by rule since the start.
    pub ended_total: u64,
    /// Zombies in the process table that are not yet reaped (by whomever); `None`: not counted.
    pub zombies: Option<u64>,
    /// Those that still run, the oldest first.
    pub live: Vec<Orphan>,
}

/// An orphan that still runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orphan {
    /// Its pid.
    pub pid: i32,
    /// Its age in milliseconds.
    pub age_ms: u64,
    /// Resident memory in bytes.
    pub rss: u64,
    /// The start of its command line.
    pub command: String,
    /// The service it came from, where known.
    pub from: Option<String>,
}

/// One phase of the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// `settings`, `probe`, `plan`, `apply`, `services`, `ready`, ...
    pub name: String,
    /// What it took.
    pub microseconds: u64,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ServiceState,
    /// Its pid, while it runs.
    pub pid: Option<i32>,
    /// Is it ready?
    pub ready: bool,
    /// Milliseconds since its last start, while it runs.
    pub uptime_ms: Option<u64>,
    /// Restarts since the init started.
    pub restarts: u64,
    /// Why it changed its state last: `exit 3`, `signal 11`, `oom-killed`, `probe: connection refused`, ...
    pub last_reason: String,
    /// What its running process said last with `STATUS=` (sd_notify(3)); absent where it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// Does its end end the container?
    pub essential: bool,
    /// Milliseconds to its next start, in back-off.
    pub next_start_in_ms: Option<u64>,
}
