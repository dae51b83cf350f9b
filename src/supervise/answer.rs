//! Answers to the control socket, from what the loop knows. Nothing in here reads a file.

use super::{
    driver::{Driver, own_pid},
    machine::{Phase, ServiceId, Verb},
    service::{Service, State},
};
use crate::control::{
    protocol::{self, Concurrency, ErrorCode, HealthKind, Request, Response, ServiceState, ServiceStatus, Status},
    server::Call,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// What the start knows and the status tells.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Runs at once, and why.
    pub concurrency: Concurrency,
    /// What the start took.
    pub phases: Vec<protocol::Phase>,
    /// Best-effort steps that failed.
    pub warnings: Vec<String>,
    /// Seconds since the epoch.
    pub started_at: u64,
    /// From the start of the process to the first readiness.
    pub ready_after: Option<Duration>,
    /// When it became ready, while it is.
    pub ready_since: Option<Instant>,
    /// `STATUS=` lines of the services, with the generation of the process that said it.
    pub said: HashMap<ServiceId, (u64, String)>,
}

impl Driver {
    /// Answers one request.
    pub(super) fn answer(&mut self, call: Call) {
        let response = match &call.request {
            Request::Status => Response::Status(Box::new(self.status())),
            Request::Health { kind } => Response::Health(self.health(*kind)),
            Request::WaitReady { .. } if self.machine.phase() != Phase::Running => leaving(),
            Request::WaitReady { .. } => {
                if !self.machine.ready() {
                    // The server keeps its deadline; those that gave up are dropped here.
                    self.waiting.retain(|call| !call.reply.is_closed());
                    self.waiting.push(call);
                    return;
                }
                Response::done("ready")
            }
            Request::Start { service } => self.command(service, Verb::Start, "starting"),
            Request::Stop { service } => self.command(service, Verb::Stop, "stopping"),
            Request::Restart { service } => self.command(service, Verb::Restart, "restarting"),
            Request::Reload if self.machine.phase() != Phase::Running => leaving(),
            // Answered with its outcome.
            Request::Reload => return self.reload_for(call),
        };
        // Whoever asked may have gone.
        let _ = call.reply.send(response);
    }

    fn command(&mut self, name: &str, verb: Verb, doing: &str) -> Response {
        if self.machine.phase() != Phase::Running {
            return leaving();
        }
        if self.operate(name, verb) {
            return Response::done(format!("{doing} {name}"));
        }
        let names: Vec<&str> = self.machine.services().map(|(_, s)| s.spec.name.as_str()).take(20).collect();
        Response::error(ErrorCode::NoSuchService, format!("no service {name}; there are: {}", names.join(", ")))
    }

    fn health(&self, kind: HealthKind) -> protocol::Health {
        match kind {
            HealthKind::Live => {
                let reasons = self.live_reasons();
                protocol::Health { ok: reasons.is_empty(), reasons, for_ms: None }
            }
            HealthKind::Ready => protocol::Health {
                ok: self.machine.ready(),
                reasons: self.machine.unready_reasons(),
                for_ms: self.told.ready_since.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            },
            HealthKind::Startup => protocol::Health {
                ok: self.machine.startup_done(),
                reasons: if self.machine.startup_done() { Vec::new() } else { self.machine.unready_reasons() },
                for_ms: None,
            },
        }
    }

    fn live_reasons(&self) -> Vec<String> {
        self.machine
            .services()
            .filter(|(_, s)| s.essential() && s.state == State::Failed)
            .map(|(_, s)| format!("{}: {}", s.spec.name, s.reason))
            .collect()
    }

    fn status(&self) -> Status {
        let ready = self.machine.ready();
        let reasons = self.machine.unready_reasons();
        let live_reasons = self.live_reasons();
        let state = match self.machine.phase() {
            Phase::Draining { .. } => protocol::State::Draining,
            Phase::Stopping | Phase::Sweeping { .. } | Phase::Over => protocol::State::Stopping,
            Phase::Running if ready => protocol::State::Ready,
            Phase::Running if self.machine.startup_done() => protocol::State::Degraded,
            Phase::Running => protocol::State::Starting,
        };
        let mut phases = self.told.phases.clone();
        phases.extend(
            self.told
                .ready_after
                .map(|after| protocol::Phase { name: "ready".to_owned(), microseconds: micros(after) }),
        );
        let mut warnings = self.told.warnings.clone();
        if self.rereading.failed() {
            warnings.push(
                "the last reload failed and everything stays as it was: see the log, or skill-init config --check"
                    .to_owned(),
            );
        }
        warnings.extend(self.observation.warnings.clone());
        warnings.extend(
            self.machine
                .services()
                .filter(|(_, s)| !s.essential() && s.state == State::Failed)
                .map(|(_, s)| format!("{} has failed: {}", s.spec.name, s.reason)),
        );
        Status {
            state,
            reason: reasons.join("; "),
            pid: own_pid(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.told.started_at,
            uptime_ms: millis(self.origin.elapsed()),
            live: live_reasons.is_empty(),
            live_reasons,
            ready,
            ready_reasons: reasons,
            startup_done: self.machine.startup_done(),
            warnings,
            concurrency: self.told.concurrency.clone(),
            usage: protocol::Usage {
                pids: self.observation.pids.clone(),
                memory: self.observation.memory.clone(),
                memory_pressure: self.observation.memory_pressure,
            },
            orphans: protocol::Orphans {
                reaped_total: self.orphans_reaped,
                ended_total: self.orphans_ended,
                zombies: self.observation.limits.map(|_| self.observation.zombies),
                live: self.observation.live.clone(),
            },
            oom_kills: self.oom.kills(),
            last_oom: self.last_oom.as_ref().map(|(at, victim)| protocol::OomKill {
                ago_ms: millis(self.now().saturating_sub(*at)),
                victim: victim.clone(),
            }),
            restarts_total: self.machine.services().map(|(_, s)| s.restarts).sum(),
            phases,
            services: self.machine.services().map(|(id, service)| self.service(id, service)).collect(),
        }
    }

    fn service(&self, id: ServiceId, service: &Service) -> ServiceStatus {
        let now = self.now();
        let next = match service.state {
            State::Backoff { until } => Some(millis(until.saturating_sub(now))),
            _ => None,
        };
        ServiceStatus {
            name: service.spec.name.clone(),
            state: shown(&service.state),
            pid: self.children.leader(id),
            ready: service.state.ready(),
            uptime_ms: service.state.runs().then(|| millis(now.saturating_sub(service.launched))),
            restarts: service.restarts,
            last_reason: service.reason.clone(),
            status_text: self
                .told
                .said
                .get(&id)
                .filter(|(generation, _)| *generation == service.generation && service.state.runs())
                .map(|(_, text)| text.clone()),
            essential: service.essential(),
            next_start_in_ms: next,
        }
    }
}

/// Answers everybody who waits for readiness: it has come, or it will not come any more.
pub(super) fn release(driver: &mut Driver) {
    let running = driver.machine.phase() == Phase::Running;
    for call in driver.waiting.drain(..) {
        let _ = call.reply.send(if running { Response::done("ready") } else { leaving() });
    }
}

fn leaving() -> Response {
    Response::error(ErrorCode::Refused, "the container is stopping")
}

fn shown(state: &State) -> ServiceState {
    match state {
        State::Waiting => ServiceState::Waiting,
        State::Starting { .. } => ServiceState::Starting,
        State::Ready => ServiceState::Ready,
        State::Unready => ServiceState::Unready,
        State::Stopping { .. } => ServiceState::Stopping,
        State::Killing { .. } => ServiceState::Killing,
        State::Backoff { .. } => ServiceState::Backoff,
        State::Done => ServiceState::Done,
        State::Stopped => ServiceState::Stopped,
        State::Failed => ServiceState::Failed,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Microseconds, as the phases count.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
