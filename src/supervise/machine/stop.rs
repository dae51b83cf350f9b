//! The stop: drain, reverse order, deadlines, sweep, exit.

use super::{Action, Machine, Phase, ServiceId};
use crate::{
    exit::Exit,
    supervise::{schedule::Now, service::Input},
};
use std::time::Duration;

/// Leftovers get this long between SIGTERM and SIGKILL, if the grace allows it.
const SWEEP_GRACE: Duration = Duration::from_millis(500);

impl Machine {
    pub(super) fn shut_down(&mut self, exit: Exit, reason: String, now: Now, out: &mut Vec<Action>) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some((exit, reason));
        self.deadline = Some(now + self.stop.grace);
        let drain = self.stop.drain.min(self.stop.grace / 2);
        if drain.is_zero() {
            self.begin_stopping(now, out);
        } else {
            self.phase = Phase::Draining { until: now + drain };
        }
    }

    /// SIGKILL must leave time to reap, to sweep and to say why.
    fn last_kill(&self, now: Now) -> Now {
        let reserve = (self.stop.grace / 8).min(Duration::from_millis(250));
        self.deadline.unwrap_or(now).saturating_sub(reserve)
    }

    pub(super) fn begin_stopping(&mut self, now: Now, out: &mut Vec<Action>) {
        self.phase = Phase::Stopping;
        for i in 0..self.services.len() {
            let id = ServiceId(i);
            if let Some(service) = self.services.get_mut(i) {
                service.last_orders();
            }
            self.arm(id);
            // What does not run is settled first, so that it cannot hold anything up.
            if self.service(id).is_some_and(|s| !s.state.runs()) {
                self.feed(id, Input::Shutdown { kill_at: now }, now, out);
            }
        }
        for i in 0..self.services.len() {
            self.stop_if_free(ServiceId(i), now, out);
        }
    }

    pub(super) fn stop_what_nothing_needs(&mut self, ended: ServiceId, now: Now, out: &mut Vec<Action>) {
        let after = self.service(ended).map(|s| s.spec.after.clone()).unwrap_or_default();
        for id in after.iter().filter_map(|name| self.find(name)).collect::<Vec<_>>() {
            self.stop_if_free(id, now, out);
        }
    }

    fn stop_if_free(&mut self, id: ServiceId, now: Now, out: &mut Vec<Action>) {
        let needed = self
            .dependents
            .get(id.0)
            .is_some_and(|list| list.iter().filter_map(|d| self.service(*d)).any(|s| s.state.runs()));
        let runs = self.service(id).is_some_and(|s| s.state.runs());
        if runs && !needed {
            self.feed(id, Input::Shutdown { kill_at: self.last_kill(now) }, now, out);
        }
    }

    pub(super) fn hurry(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.leaving.is_none() {
            return;
        }
        self.phase = Phase::Stopping;
        for i in 0..self.services.len() {
            self.feed(ServiceId(i), Input::Force, now, out);
        }
    }

    /// After every event: the phase that follows from where the services are.
    pub(super) fn settle(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.phase == Phase::Stopping && !self.services.iter().any(|s| s.state.runs()) {
            let hard_at = (now + SWEEP_GRACE).min(self.last_kill(now));
            self.phase = Phase::Sweeping { hard_at: Some(hard_at) };
            out.push(Action::Sweep { hard: false });
        }
        let ready = self.ready();
        self.startup_done |= ready;
        if ready != self.was_ready {
            self.was_ready = ready;
            out.push(Action::Readiness(ready));
        }
    }

    pub(super) fn leave(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Over;
        let (code, reason) = self.leaving.clone().unwrap_or((Exit::OK, "stopped".to_owned()));
        out.push(Action::Exit { code, reason });
    }
}
