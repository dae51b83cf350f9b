//! The words of the control socket: one JSON request per connection, ended by a newline; one JSON answer.
//!
//! Unknown fields are ignored and missing ones take their defaults, so that a client and a PID 1 of
//! neighbouring versions understand each other (`docker exec` after an upgrade of the binary).

use serde::{Deserialize, Serialize};

/// Greatest request, newline included, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Greatest answer that a client reads, in bytes.
pub const MAX_RESPONSE: usize = 16 * 1024 * 1024;
/// Longest `wait-ready`, in milliseconds.
pub const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

/// What a health question is about; the three probes of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthKind {
    /// The loop turns and no essential service is out of budget; never tied to a dependency.
    Live,
    /// Every essential service is ready, no drain is on, no budget is exceeded.
    Ready,
    /// The preparation is done and the first start of every essential service is through.
    Startup,
}

impl HealthKind {
    /// `live`, `ready`, `startup`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Everything that PID 1 knows: answered with `Response::Status`.
    Status,
    /// One health question: answered with `Response::Health`.
    Health {
        /// Which one.
        kind: HealthKind,
    },
    /// Answered when ready, or with `ErrorCode::Timeout` at the deadline.
    WaitReady {
        /// How long to wait, in milliseconds, at most `MAX_WAIT_MS`.
        timeout_ms: u64,
    },
    /// Start a stopped or failed service; its restart budget is full again.
    Start {
        /// Its name.
        service: String,
    },
    /// Stop a service and leave it stopped; the container goes on, also where the service is essential.
    Stop {
        /// Its name.
        service: String,
    },
    /// Stop and start a service.
    Restart {
        /// Its name.
        service: String,
    },
    /// Read the configuration again, import credentials, plan again (what SIGHUP does).
    Reload,
}

impl Request {
    /// Does it change anything? Such requests need more rights than reading does.
    pub const fn changes(&self) -> bool {
        match self {
            Self::Status | Self::Health { .. } | Self::WaitReady { .. } => false,
            Self::Start { .. } | Self::Stop { .. } | Self::Restart { .. } | Self::Reload => true,
        }
    }
}

/// Why a request was not fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not a request.
    BadRequest,
    /// Longer than `MAX_REQUEST`.
    TooLarge,
    /// The peer may not ask this.
    Forbidden,
    /// No service of that name.
    NoSuchService,
    /// The state does not allow it (the container is stopping, the configuration is wrong).
    Refused,
    /// Too many connections or waiters.
    Busy,
    /// The deadline passed.
    Timeout,
    /// A fault of PID 1.
    Internal,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Health`.
    Health(Health),
    /// To everything else that went well.
    Done {
        /// What was done, one line.
        message: String,
    },
    /// What went wrong.
    Error {
        /// The kind.
        code: ErrorCode,
        /// What, why, what to do: one line.
        message: String,
    },
}

impl Response {
    /// An error answer.
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Error { code, message: message.into() }
    }
    /// A `Done` answer.
    pub fn done(message: impl Into<String>) -> Self {
        Self::Done { message: message.into() }
    }
}

/// The answer to a health question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Yes or no.
    pub ok: bool,
    /// Why not (or, where `ok`, what to look at).
    pub reasons: Vec<String>,
    /// To `HealthKind::Ready`: for how long it has been ready, in milliseconds; otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

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
    /// Does its end end the container?
    pub essential: bool,
    /// Milliseconds to its next start, in back-off.
    pub next_start_in_ms: Option<u64>,
}

/// Parses one request line, newline included or not. Pure; never panics, whatever the bytes.
pub fn parse_request(line: &[u8]) -> Result<Request, String> {
    if line.len() > MAX_REQUEST {
        return Err(format!("request longer than {MAX_REQUEST} bytes"));
    }
    serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_read_as_documented() {
        for (text, want) in [
            (r#"{"request":"status"}"#, Request::Status),
            (r#"{"request":"health","kind":"live"}"#, Request::Health { kind: HealthKind::Live }),
            (r#"{"request":"restart","service":"api"}"#, Request::Restart { service: "api".into() }),
            (r#"{"request":"wait-ready","timeout_ms":5000,"later":1}"#, Request::WaitReady { timeout_ms: 5000 }),
        ] {
            assert_eq!(parse_request(text.as_bytes()), Ok(want));
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for state in ServiceState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn a_status_without_fields_is_readable() {
        let response: Response = serde_json::from_str(r#"{"response":"status","new_field":[1]}"#).unwrap();
        assert_eq!(response, Response::Status(Box::default()));
    }

    #[test]
    fn percent_of_nothing_is_unknown_and_huge_values_do_not_overflow() {
        assert_eq!(Gauge { used: Some(1), limit: Some(0) }.percent(), None);
        assert_eq!(Gauge { used: Some(u64::MAX), limit: Some(u64::MAX) }.percent(), Some(100));
        assert_eq!(Gauge { used: Some(u64::MAX), limit: Some(1) }.percent(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse_request(&bytes);
        }

        #[test]
        fn json_like_text_is_a_request_or_an_error(text in r#"[\{\["]?("request"|"kind"|"service"|:|,|\{|\}|\[|\]|[0-9]|"(status|live|reload|\\u[0-9a-f]{4})")*"#) {
            let _ = parse_request(text.as_bytes());
        }

        #[test]
        fn what_is_written_is_read_back(service in "\\PC*", timeout_ms in any::<u64>()) {
            for request in [Request::Start { service: service.clone() }, Request::WaitReady { timeout_ms }] {
                let line = serde_json::to_vec(&request).unwrap();
                prop_assert!(!line.contains(&b'\n'));
                prop_assert_eq!(parse_request(&line), Ok(request));
            }
        }
    }
}
