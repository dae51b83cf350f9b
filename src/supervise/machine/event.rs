//! What happens to the machine, and what it wants done: values only.

use crate::{
    exit::Exit,
    settings::service::ServiceSpec,
    supervise::{cause::Cause, probing::Which, schedule::Now},
};
use std::time::Duration;

/// A service's place in the machine; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub usize);

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Restart it.
    Restart,
}

/// An answer to a probe: `Err(None)` if nobody could ask.
pub type Answer = Result<(), Option<String>>;

/// What happens to the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Start everything.
    Boot,
    /// `Action::Spawn` made a process.
    Spawned(ServiceId),
    /// A process ended, or could not be made.
    Ended {
        /// Whose.
        id: ServiceId,
        /// Which of its processes.
        generation: u64,
        /// Why.
        cause: Cause,
    },
    /// The service said that it is ready.
    Notified {
        /// Which service.
        id: ServiceId,
        /// Which of its processes.
        generation: u64,
    },
    /// A probe was answered.
    Probed {
        /// Which service.
        id: ServiceId,
        /// Which of its processes.
        generation: u64,
        /// Which probe.
        which: Which,
        /// The answer.
        answer: Answer,
    },
    /// An operator's command.
    Operator(ServiceId, Verb),
    /// New configuration: the whole list of services.
    Reload(Vec<ServiceSpec>),
    /// Pids or memory near their limit (or not any more): not ready while it lasts.
    Pressure(Option<String>),
    /// Leave: with this code, for this reason.
    Shutdown {
        /// Exit code.
        exit: Exit,
        /// Reason.
        reason: String,
    },
    /// Leave at once: a second signal.
    Hurry,
    /// No child is left.
    ChildrenGone,
    /// Time has passed.
    Tick,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start the service's process; answer with `Spawned` or `Ended`.
    Spawn(ServiceId),
    /// Send the stop signal to its group.
    StopSignal(ServiceId),
    /// Send SIGKILL to its group and what escaped it.
    Kill(ServiceId),
    /// Ask this probe; answer with `Probed`.
    Ask {
        /// Which service.
        id: ServiceId,
        /// Which of its processes.
        generation: u64,
        /// Which probe.
        which: Which,
    },
    /// A service changed its state: for the log and the metrics.
    Changed {
        /// Which service.
        id: ServiceId,
        /// The state it was in.
        from: &'static str,
    },
    /// Readiness changed.
    Readiness(bool),
    /// End what is left: SIGTERM, or SIGKILL if `hard`. Answer with `ChildrenGone` when nothing is left.
    Sweep {
        /// SIGKILL.
        hard: bool,
    },
    /// Leave.
    Exit {
        /// With this code.
        code: Exit,
        /// For this reason.
        reason: String,
    },
}

/// Where the container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Running,
    /// Not ready any more, nothing stopped yet.
    Draining {
        /// When stopping begins.
        until: Now,
    },
    /// Services are being stopped.
    Stopping,
    /// Services are gone, leftovers are being ended.
    Sweeping {
        /// When SIGKILL follows; `None`: it was sent.
        hard_at: Option<Now>,
    },
    /// `Action::Exit` was given.
    Over,
}

/// How long the stop may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPlan {
    /// From the signal to the exit.
    pub grace: Duration,
    /// Between unready and the first stop signal, inside the grace.
    pub drain: Duration,
}
