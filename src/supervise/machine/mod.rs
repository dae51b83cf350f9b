//! The machine: every service, the order between them, readiness and the stop. Pure.
//!
//! `step(event, now)` turns one event into actions; the driver carries them out and feeds back what
//! happened. There is no clock, pid, file or tokio in here, so a model test can live whole lives in it.
//!
//! ```text
//! Running ──shutdown──▶ Draining ──drain over──▶ Stopping ──all ended──▶ Sweeping ──no children──▶ Over
//!                                                   └────────────── deadline ───────────────────────▶
//! ```
//!
//! Invariants: a service starts only when everything in its `after` has settled; it is stopped only when
//! nothing that started after it runs; after `Action::Exit` there are no actions; the whole stop ends at
//! the grace period's end, whatever the children do.

mod event;
mod reload;
mod stop;

pub use event::{Action, Answer, Event, Phase, ServiceId, StopPlan, Verb};

use super::{
    probing::{Verdict, Which},
    schedule::Now,
    service::{Effect, Input, Service, State},
};
use crate::{
    exit::Exit,
    settings::service::{ServiceKind, ServiceSpec},
};
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Deadline,
    Readiness,
    Liveness,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    services: Vec<Service>,
    index: HashMap<String, ServiceId>,
    dependents: Vec<Vec<ServiceId>>,
    timers: BTreeSet<(Now, usize, Timer)>,
    armed: Vec<[Option<Now>; 3]>,
    removed: BTreeSet<usize>,
    stop: StopPlan,
    phase: Phase,
    deadline: Option<Now>,
    leaving: Option<(Exit, String)>,
    pressure: Option<String>,
    unready: BTreeSet<usize>,
    was_ready: bool,
    startup_done: bool,
    seed: u64,
}

impl Machine {
    /// With these services; `seed` feeds the jitter of the restart delays.
    pub fn new(specs: Vec<ServiceSpec>, stop: StopPlan, seed: u64) -> Self {
        let mut machine = Self {
            services: Vec::new(),
            index: HashMap::new(),
            dependents: Vec::new(),
            timers: BTreeSet::new(),
            armed: Vec::new(),
            removed: BTreeSet::new(),
            stop,
            phase: Phase::Running,
            deadline: None,
            leaving: None,
            pressure: None,
            unready: BTreeSet::new(),
            was_ready: false,
            startup_done: false,
            seed,
        };
        for spec in specs {
            machine.add(spec);
        }
        machine.link();
        machine
    }

    /// Every service, in the order of the plan; removed ones are left out.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        self.services.iter().enumerate().filter(|(i, _)| !self.removed.contains(i)).map(|(i, s)| (ServiceId(i), s))
    }
    /// One service.
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0)
    }
    /// By name; what a reload has removed is not found.
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        self.index.get(name).copied().filter(|id| !self.removed.contains(&id.0))
    }
    /// How long a stop may take that begins from now on.
    pub fn set_stop(&mut self, stop: StopPlan) {
        self.stop = stop;
    }
    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }
    /// Ready: every essential service is, nothing presses, nothing stops.
    pub fn ready(&self) -> bool {
        self.phase == Phase::Running && self.pressure.is_none() && self.unready.is_empty()
    }
    /// Every essential service has been ready once.
    pub fn startup_done(&self) -> bool {
        self.startup_done
    }
    /// What keeps it from being ready, one line each.
    pub fn unready_reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some((_, reason)) = &self.leaving {
            reasons.push(format!("stopping: {reason}"));
        }
        reasons.extend(self.pressure.clone());
        for id in &self.unready {
            if let Some(service) = self.services.get(*id) {
                reasons.push(format!("{} is {}: {}", service.spec.name, service.state.name(), service.reason));
            }
        }
        reasons
    }
    /// When `Event::Tick` is due.
    pub fn next_deadline(&self) -> Option<Now> {
        let phase = match self.phase {
            Phase::Running | Phase::Over => None,
            Phase::Draining { until } => Some(until),
            Phase::Stopping => self.deadline,
            Phase::Sweeping { hard_at } => hard_at.or(self.deadline),
        };
        let timer = self.timers.first().map(|(at, _, _)| *at);
        phase.into_iter().chain(timer).min()
    }

    /// The one step.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut out = Vec::new();
        if self.phase == Phase::Over {
            return out;
        }
        match event {
            Event::Boot => {
                for i in 0..self.services.len() {
                    self.feed(ServiceId(i), Input::Start, now, &mut out);
                }
            }
            Event::Spawned(id) => {
                let at_once =
                    self.service(id).is_some_and(|s| s.spec.readiness.is_none() && s.spec.kind == ServiceKind::Daemon);
                if at_once {
                    self.feed(id, Input::BecameReady, now, &mut out);
                }
            }
            Event::Ended { id, generation, cause } => {
                if self.current(id, generation) {
                    self.feed(id, Input::Ended(cause), now, &mut out);
                }
            }
            Event::Notified { id, generation } => {
                if self.current(id, generation) {
                    self.feed(id, Input::BecameReady, now, &mut out);
                }
            }
            Event::Probed { id, generation, which, answer } => {
                self.probed(id, generation, which, answer, now, &mut out)
            }
            Event::Operator(id, verb) => {
                let input = match verb {
                    Verb::Start => Input::Start,
                    Verb::Stop => Input::Stop,
                    Verb::Restart => Input::Restart,
                };
                if self.phase == Phase::Running {
                    self.feed(id, input, now, &mut out);
                }
            }
            Event::Reload(specs) => self.reload(specs, now, &mut out),
            Event::Pressure(reason) => self.pressure = reason,
            Event::Shutdown { exit, reason } => self.shut_down(exit, reason, now, &mut out),
            Event::Hurry => self.hurry(now, &mut out),
            Event::ChildrenGone => {
                if matches!(self.phase, Phase::Sweeping { .. }) {
                    self.leave(&mut out);
                }
            }
            Event::Tick => self.tick(now, &mut out),
        }
        self.settle(now, &mut out);
        out
    }

    fn add(&mut self, spec: ServiceSpec) -> ServiceId {
        let id = ServiceId(self.services.len());
        self.index.insert(spec.name.clone(), id);
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let service = Service::new(spec, self.seed);
        if service.essential() {
            self.unready.insert(id.0);
        }
        self.services.push(service);
        self.dependents.push(Vec::new());
        self.armed.push([None; 3]);
        id
    }

    /// Rebuilds who waits for whom.
    fn link(&mut self) {
        let mut dependents = vec![Vec::new(); self.services.len()];
        for (i, service) in self.services.iter().enumerate() {
            for name in &service.spec.after {
                if let Some(list) = self.index.get(name).and_then(|id| dependents.get_mut(id.0)) {
                    list.push(ServiceId(i));
                }
            }
        }
        self.dependents = dependents;
    }

    fn current(&self, id: ServiceId, generation: u64) -> bool {
        self.service(id).is_some_and(|s| s.generation == generation && s.state.runs())
    }

    fn blocked(&self, id: ServiceId) -> bool {
        let after = self.service(id).map(|s| s.spec.after.as_slice()).unwrap_or_default();
        after.iter().filter_map(|name| self.find(name)).filter_map(|id| self.service(id)).any(|s| !s.state.settled())
    }

    /// One input to one service, and everything that follows from it.
    fn feed(&mut self, id: ServiceId, input: Input, now: Now, out: &mut Vec<Action>) {
        let blocked = self.blocked(id);
        let Some(service) = self.services.get_mut(id.0) else { return };
        let before = (service.state.clone(), service.reason.clone(), service.generation);
        let effects = service.step(input, blocked, now);
        let after = service.state.clone();
        let changed = before != (after.clone(), service.reason.clone(), service.generation);
        if service.essential() && !self.removed.contains(&id.0) {
            if after.ready() {
                self.unready.remove(&id.0);
            } else {
                self.unready.insert(id.0);
            }
        }
        self.arm(id);
        if changed {
            out.push(Action::Changed { id, from: before.0.name() });
        }
        let essential = self.service(id).is_some_and(Service::essential);
        for effect in effects {
            match effect {
                Effect::Spawn => out.push(Action::Spawn(id)),
                Effect::StopSignal => out.push(Action::StopSignal(id)),
                Effect::Kill => out.push(Action::Kill(id)),
                Effect::Gone(code) if essential => {
                    let reason = self
                        .service(id)
                        .map(|s| format!("essential service {} ended: {}", s.spec.name, s.reason))
                        .unwrap_or_default();
                    self.shut_down(code, reason, now, out);
                }
                Effect::Gone(_) => {}
            }
        }
        // Nothing new starts once the container is leaving.
        if self.leaving.is_none() && after.settled() && !before.0.settled() {
            for dependent in self.dependents.get(id.0).cloned().unwrap_or_default() {
                let waits = self.service(dependent).is_some_and(|s| s.state == State::Waiting);
                if waits && !self.blocked(dependent) {
                    self.feed(dependent, Input::Unblocked, now, out);
                }
            }
        }
        if self.phase == Phase::Stopping && before.0.runs() && !after.runs() {
            self.stop_what_nothing_needs(id, now, out);
        }
    }

    /// Keeps the timers equal to what the service wants.
    fn arm(&mut self, id: ServiceId) {
        let (Some(service), Some(armed)) = (self.services.get(id.0), self.armed.get_mut(id.0)) else { return };
        let wanted = [
            (Timer::Deadline, service.deadline()),
            (Timer::Readiness, service.readiness.as_ref().and_then(super::probing::Probing::next_at)),
            (Timer::Liveness, service.liveness.as_ref().and_then(super::probing::Probing::next_at)),
        ];
        for ((timer, at), known) in wanted.into_iter().zip(armed.iter_mut()) {
            if *known != at {
                if let Some(old) = known.take() {
                    self.timers.remove(&(old, id.0, timer));
                }
                if let Some(new) = at {
                    self.timers.insert((new, id.0, timer));
                }
                *known = at;
            }
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        // First: from here on a start timeout that is due at the same moment must not break the order of the stop.
        if matches!(self.phase, Phase::Draining { until } if until <= now) {
            self.begin_stopping(now, out);
        }
        while let Some((at, index, timer)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            let id = ServiceId(index);
            let which = match timer {
                Timer::Deadline => {
                    self.feed(id, Input::Deadline, now, out);
                    // A deadline that changes nothing must not come back for ever.
                    self.timers.remove(&(at, index, timer));
                    continue;
                }
                Timer::Readiness => Which::Readiness,
                Timer::Liveness => Which::Liveness,
            };
            if let Some(service) = self.services.get_mut(index) {
                let generation = service.generation;
                if let Some(probing) = service.probing(which) {
                    probing.asked();
                    out.push(Action::Ask { id, generation, which });
                }
            }
            self.arm(id);
        }
        match self.phase {
            Phase::Sweeping { hard_at: Some(at) } if at <= now => {
                self.phase = Phase::Sweeping { hard_at: None };
                out.push(Action::Sweep { hard: true });
            }
            Phase::Running | Phase::Draining { .. } | Phase::Stopping | Phase::Sweeping { .. } | Phase::Over => {}
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.leave(out);
        }
    }

    fn probed(
        &mut self,
        id: ServiceId,
        generation: u64,
        which: Which,
        answer: Answer,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if !self.current(id, generation) {
            return;
        }
        let Some(service) = self.services.get_mut(id.0) else { return };
        let probe = match which {
            Which::Readiness => service.spec.readiness.clone(),
            Which::Liveness => service.spec.liveness.clone(),
        };
        let verdict = match (probe, service.probing(which)) {
            (Some(probe), Some(probing)) => probing.answered(&probe, answer, now),
            _ => return,
        };
        let input = match (which, verdict) {
            (Which::Readiness, Verdict::Up) => Input::BecameReady,
            (Which::Readiness, Verdict::Down(reason)) => Input::BecameUnready(reason),
            (Which::Liveness, Verdict::Down(reason)) => Input::NotAlive(reason),
            (Which::Liveness, Verdict::Up) | (_, Verdict::Undecided) => {
                self.arm(id);
                return;
            }
        };
        self.feed(id, input, now, out);
    }
}
