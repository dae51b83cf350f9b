//! One service's life: a pure table of (state, input).
//!
//! ```text
//!             deps ready         ready              stop signal            SIGKILL
//! Waiting ──────────────▶ Starting ───▶ Ready ⇄ Unready ───▶ Stopping ───────────▶ Killing
//!    ▲                      │  ▲          │        │            │                     │
//!    │                      ▼  │          ▼        ▼            ▼                     ▼
//!    └────────────────── Backoff ◀──── ended by itself ◀──── ended (liveness, start timeout)
//!                                         │                     │
//!                     Done · Failed ◀─────┘                     └──▶ Stopped (operator, shutdown)
//! ```
//!
//! Invariants: a process exists exactly in `Starting`, `Ready`, `Unready`, `Stopping` and `Killing`; every
//! state with a deadline has exactly one; every change of state carries a reason. The match has no `_` arm,
//! so a pair that nobody thought of does not compile.

use super::{
    cause::Cause,
    probing::{Probing, Which},
    schedule::{Now, Restarts},
};
use crate::{
    exit::Exit,
    settings::service::{Essential, Restart, ServiceKind, ServiceSpec},
};
use std::time::Duration;

pub use super::state::{State, Why};

/// Why a service starts that has not run yet, or was stopped.
const STARTED: &str = "started";

/// What happens to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It is wanted: at boot, by an operator, by new configuration.
    Start,
    /// An operator stops it.
    Stop,
    /// An operator restarts it, or its configuration changed.
    Restart,
    /// The container stops; SIGKILL follows at this time at the latest.
    Shutdown {
        /// The last moment for SIGKILL.
        kill_at: Now,
    },
    /// No waiting any more.
    Force,
    /// Everything in `after` has settled.
    Unblocked,
    /// Its process ended, or could not be started.
    Ended(Cause),
    /// It said that it is ready, or its readiness probe reached its threshold.
    BecameReady,
    /// The readiness probe failed.
    BecameUnready(String),
    /// The liveness probe failed.
    NotAlive(String),
    /// The state's deadline passed.
    Deadline,
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start the process.
    Spawn,
    /// Send the service's stop signal to its process group.
    StopSignal,
    /// Send SIGKILL to its process group and to whatever escaped it.
    Kill,
    /// It has ended for good without being asked to: the exit code to leave with if it is essential.
    Gone(Exit),
}

/// One service: its definition, its state and what it remembers.
#[derive(Debug, Clone)]
pub struct Service {
    /// The definition.
    pub spec: ServiceSpec,
    /// The state.
    pub state: State,
    /// Why it is in this state.
    pub reason: String,
    /// When it came into this state.
    pub since: Now,
    /// When its last process was started.
    pub launched: Now,
    /// Counts the processes; an event of an older one is stale.
    pub generation: u64,
    /// Starts after the first one that the restart policy granted.
    pub restarts: u64,
    /// Readiness probe of the running process.
    pub readiness: Option<Probing>,
    /// Liveness probe of the running process.
    pub liveness: Option<Probing>,
    history: Restarts,
    /// The container stops: whatever ends now stays ended.
    leaving: bool,
}

impl Service {
    /// A service that nobody has started yet.
    pub fn new(spec: ServiceSpec, seed: u64) -> Self {
        Self {
            spec,
            // Not `Stopped`: what waits for it would take that for its end.
            state: State::Waiting,
            reason: "not started yet".to_owned(),
            since: Now::ZERO,
            launched: Now::ZERO,
            generation: 0,
            restarts: 0,
            readiness: None,
            liveness: None,
            history: Restarts::new(seed),
            leaving: false,
        }
    }

    /// The state's deadline.
    pub fn deadline(&self) -> Option<Now> {
        match self.state {
            State::Starting { deadline } => deadline,
            State::Stopping { kill_at, .. } => Some(kill_at),
            State::Backoff { until } => Some(until),
            State::Waiting
            | State::Ready
            | State::Unready
            | State::Killing { .. }
            | State::Done
            | State::Stopped
            | State::Failed => None,
        }
    }

    /// The container stops. Until its turn comes the service is left alone: no restart, no liveness, no start timeout.
    pub fn last_orders(&mut self) {
        self.leaving = true;
        self.liveness = None;
        if let State::Starting { deadline } = &mut self.state {
            *deadline = None;
        }
    }

    /// The probe of this kind, if the process runs and has one.
    pub fn probing(&mut self, which: Which) -> Option<&mut Probing> {
        match which {
            Which::Readiness => self.readiness.as_mut(),
            Which::Liveness => self.liveness.as_mut(),
        }
    }

    /// The table. `blocked`: something in `after` has not settled.
    pub fn step(&mut self, input: Input, blocked: bool, now: Now) -> Vec<Effect> {
        use Input as I;
        use State as S;
        match (self.state.clone(), input) {
            // Not running: what starts it.
            (S::Done | S::Stopped | S::Failed | S::Backoff { .. }, I::Start | I::Restart) => {
                self.history.clear();
                self.launch(blocked, STARTED, now)
            }
            (S::Waiting, I::Start | I::Restart | I::Unblocked) => self.launch(blocked, STARTED, now),
            (S::Backoff { .. }, I::Deadline) => {
                self.restarts += 1;
                let reason = self.reason.clone();
                self.launch(blocked, &reason, now)
            }
            // Not running: what keeps it so.
            (S::Waiting | S::Backoff { .. }, I::Stop) => self.enter(S::Stopped, "stopped by operator", now),
            (S::Waiting | S::Backoff { .. }, I::Shutdown { .. } | I::Force) => self.enter(S::Stopped, "shutdown", now),

            // Running.
            (S::Starting { .. } | S::Unready, I::BecameReady) => {
                let reason = if self.spec.readiness.is_some() { "ready" } else { "running" };
                self.enter(S::Ready, reason, now)
            }
            (S::Ready, I::BecameUnready(reason)) => self.enter(S::Unready, &format!("probe: {reason}"), now),
            (S::Unready, I::BecameUnready(reason)) => {
                self.reason = format!("probe: {reason}");
                Vec::new()
            }
            (S::Starting { .. }, I::BecameUnready(reason)) => {
                self.reason = format!("not ready yet: {reason}");
                Vec::new()
            }
            (S::Starting { .. } | S::Ready | S::Unready, I::NotAlive(reason)) => {
                let why = format!("liveness probe: {reason}");
                self.terminate(Why::Liveness(reason), None, &why, now)
            }
            (S::Starting { .. }, I::Deadline) => self.terminate(Why::StartTimeout, None, "not ready in time", now),
            (S::Starting { .. } | S::Ready | S::Unready, I::Stop) => {
                self.terminate(Why::Operator, None, "stopped by operator", now)
            }
            (S::Starting { .. } | S::Ready | S::Unready, I::Restart) => {
                self.terminate(Why::Restart, None, "restarted by operator", now)
            }
            (S::Starting { .. } | S::Ready | S::Unready, I::Shutdown { kill_at }) => {
                self.terminate(Why::Shutdown, Some(kill_at), "shutdown", now)
            }
            (S::Starting { .. } | S::Ready | S::Unready, I::Force) => {
                self.kill(Why::Shutdown, "killed: no more waiting", now)
            }
            (S::Starting { .. }, I::Ended(cause)) if cause.success() && self.spec.kind == ServiceKind::Oneshot => {
                self.enter(S::Done, "done", now)
            }
            (S::Starting { .. } | S::Ready | S::Unready, I::Ended(cause)) => self.ended_by_itself(cause, blocked, now),

            // Being ended.
            (S::Stopping { why, .. }, I::Deadline) => self.kill(why, "killed: grace period over", now),
            (S::Stopping { .. }, I::Force) => self.kill(Why::Shutdown, "killed: no more waiting", now),
            (S::Stopping { kill_at: earlier, .. }, I::Shutdown { kill_at }) => {
                self.enter(S::Stopping { why: Why::Shutdown, kill_at: kill_at.min(earlier) }, "shutdown", now)
            }
            (S::Stopping { why, kill_at }, I::Start | I::Restart) if why != Why::Shutdown => {
                self.enter(S::Stopping { why: Why::Restart, kill_at }, "restarted by operator", now)
            }
            (S::Stopping { why, kill_at }, I::Stop) if why != Why::Shutdown => {
                self.enter(S::Stopping { why: Why::Operator, kill_at }, "stopped by operator", now)
            }
            (S::Killing { why }, I::Start | I::Restart) if why != Why::Shutdown => {
                self.enter(S::Killing { why: Why::Restart }, "restarted by operator", now)
            }
            (S::Killing { why }, I::Stop) if why != Why::Shutdown => {
                self.enter(S::Killing { why: Why::Operator }, "stopped by operator", now)
            }
            (S::Killing { .. }, I::Shutdown { .. } | I::Force) => {
                self.enter(S::Killing { why: Why::Shutdown }, "shutdown", now)
            }
            (S::Stopping { why, .. } | S::Killing { why }, I::Ended(cause)) => {
                self.ended_as_asked(why, cause, blocked, now)
            }

            // Nothing to do: it is already so, or the event belongs to a process that is gone.
            (S::Starting { .. } | S::Ready | S::Unready, I::Start)
            | (S::Stopping { .. } | S::Killing { .. }, I::Start | I::Stop | I::Restart)
            | (S::Done | S::Stopped | S::Failed, I::Stop | I::Shutdown { .. } | I::Force)
            | (
                S::Starting { .. }
                | S::Ready
                | S::Unready
                | S::Stopping { .. }
                | S::Killing { .. }
                | S::Backoff { .. }
                | S::Done
                | S::Stopped
                | S::Failed,
                I::Unblocked,
            )
            | (
                S::Waiting | S::Backoff { .. } | S::Done | S::Stopped | S::Failed,
                I::Ended(_) | I::BecameReady | I::BecameUnready(_) | I::NotAlive(_),
            )
            | (S::Ready, I::BecameReady)
            | (S::Stopping { .. } | S::Killing { .. }, I::BecameReady | I::BecameUnready(_) | I::NotAlive(_))
            | (
                S::Waiting | S::Ready | S::Unready | S::Killing { .. } | S::Done | S::Stopped | S::Failed,
                I::Deadline,
            ) => Vec::new(),
        }
    }

    fn enter(&mut self, state: State, reason: &str, now: Now) -> Vec<Effect> {
        if !state.runs() {
            self.readiness = None;
            self.liveness = None;
        }
        self.state = state;
        reason.clone_into(&mut self.reason);
        self.since = now;
        Vec::new()
    }

    fn launch(&mut self, blocked: bool, reason: &str, now: Now) -> Vec<Effect> {
        if blocked {
            // How its last process ended stays to be read.
            let rest = if reason == STARTED { String::new() } else { format!("; {reason}") };
            return self.enter(State::Waiting, &format!("waiting for what it starts after{rest}"), now);
        }
        self.generation += 1;
        self.launched = now;
        self.enter(State::Starting { deadline: self.spec.start_timeout.map(|t| now + t) }, reason, now);
        self.readiness = self.spec.readiness.as_ref().map(|p| Probing::begin(p, Which::Readiness, now));
        self.liveness = self.spec.liveness.as_ref().map(|p| Probing::begin(p, Which::Liveness, now));
        vec![Effect::Spawn]
    }

    fn terminate(&mut self, why: Why, kill_at: Option<Now>, reason: &str, now: Now) -> Vec<Effect> {
        let own = now + self.spec.stop_grace;
        let kill_at = kill_at.map_or(own, |latest| latest.min(own));
        self.enter(State::Stopping { why, kill_at }, reason, now);
        self.readiness = None;
        self.liveness = None;
        vec![Effect::StopSignal]
    }

    fn kill(&mut self, why: Why, reason: &str, now: Now) -> Vec<Effect> {
        self.enter(State::Killing { why }, reason, now);
        self.readiness = None;
        self.liveness = None;
        vec![Effect::Kill]
    }

    fn ended_as_asked(&mut self, why: Why, cause: Cause, blocked: bool, now: Now) -> Vec<Effect> {
        let reason = format!("{} ({cause})", self.reason);
        match why {
            Why::Operator | Why::Shutdown => self.enter(State::Stopped, &reason, now),
            Why::Restart if self.leaving => self.enter(State::Stopped, &reason, now),
            Why::Restart => {
                self.history.forgive();
                self.launch(blocked, &reason, now)
            }
            Why::Liveness(_) | Why::StartTimeout => self.by_policy(cause, false, reason, blocked, now),
        }
    }

    fn ended_by_itself(&mut self, cause: Cause, blocked: bool, now: Now) -> Vec<Effect> {
        if matches!(self.state, State::Ready) && now.saturating_sub(self.since) >= self.spec.backoff.reset_after {
            self.history.forgive();
        }
        let (success, reason) = (cause.success(), cause.to_string());
        self.by_policy(cause, success, reason, blocked, now)
    }

    fn by_policy(&mut self, cause: Cause, success: bool, reason: String, blocked: bool, now: Now) -> Vec<Effect> {
        if self.leaving {
            return self.enter(State::Stopped, &reason, now);
        }
        let wanted = match self.spec.restart {
            Restart::Always => self.spec.kind == ServiceKind::Daemon || !success,
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if wanted {
            return self.again(cause, reason, blocked, now);
        }
        self.enter(if success { State::Stopped } else { State::Failed }, &reason, now);
        vec![Effect::Gone(if success { Exit::OK } else { failing(&cause) })]
    }

    fn again(&mut self, cause: Cause, reason: String, blocked: bool, now: Now) -> Vec<Effect> {
        match self.history.next(&self.spec.backoff, &self.spec.budget, now) {
            Some(Duration::ZERO) => {
                self.restarts += 1;
                self.launch(blocked, &format!("restarted after: {reason}"), now)
            }
            Some(delay) => {
                self.enter(State::Backoff { until: now + delay }, &format!("restarting after: {reason}"), now)
            }
            None => {
                self.enter(State::Failed, &format!("budget spent; last: {reason}"), now);
                vec![Effect::Gone(failing(&cause))]
            }
        }
    }

    /// Its end ends the container.
    pub fn essential(&self) -> bool {
        self.spec.essential == Essential::Yes
    }
}

/// The exit code of a service that was given up: its own, unless that says that all is well.
fn failing(cause: &Cause) -> Exit {
    match cause.code() {
        0 => Exit::BUDGET,
        code => Exit(code),
    }
}
