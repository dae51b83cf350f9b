//! What the slow tick sees, and what follows from it: orphans, OOM kills, budgets, limits that move.

use crate::supervise::{
    cause::Cause,
    driver::{Driver, Report, own_pid},
    machine::Event,
    watch::{Observation, Question},
};
use crate::{probe::processes, sys::wait::ExitStatus};

impl Driver {
    /// Asks for a look; one at a time.
    pub(super) fn observe(&mut self) {
        if self.looking {
            return;
        }
        let question = Question {
            own_pid: own_pid(),
            known: self.children.pids().collect(),
            as_of: processes::ticks_now(),
            ended: self.ended.clone(),
        };
        let (watch, reports, root) = (self.watch.clone(), self.reports.clone(), self.root.clone());
        self.looking = self.worker.run(move || {
            let observation = watch.look(&root, &question);
            let _ = reports.send(Report::Observed(Box::new(observation)));
        });
        if self.looking {
            self.ended.clear();
        }
    }

    pub(super) fn observed(&mut self, observation: Observation) {
        self.looking = false;
        for (orphan, reason) in &observation.ended {
            // On a busy machine a killed process may still be there at the next look.
            if self.observation.ended.iter().any(|(before, _)| before.pid == orphan.pid) {
                continue;
            }
            self.orphans_ended += 1;
            tracing::warn!(
                pid = orphan.pid,
                age_ms = orphan.age_ms,
                command = orphan.command,
                from = orphan.from,
                reason,
                "live orphan ended"
            );
        }
        if let Some(count) = observation.oom_kills.filter(|n| *n > self.oom_kills) {
            tracing::error!(count = count - self.oom_kills, "the OOM killer ended a process in this container");
            self.oom_kills = count;
        }
        for warning in observation.warnings.iter().filter(|w| !self.observation.warnings.contains(w)) {
            tracing::warn!(reason = warning, "budget");
        }
        if observation.pressure != self.observation.pressure {
            self.feed(Event::Pressure(observation.pressure.clone()));
        }
        let moved = self.observation.limits.is_some() && observation.limits != self.observation.limits;
        self.observation = observation;
        if moved {
            tracing::info!("limits have moved: planning again");
            self.reload();
        }
        if !self.ended.is_empty() {
            self.observe();
        }
    }

    /// A SIGKILL that came while the cgroup counted one more OOM kill was the kernel's.
    pub(super) fn cause(&mut self, status: ExitStatus) -> Cause {
        if matches!(status, ExitStatus::Signaled { signal: libc::SIGKILL, .. }) {
            let counted = self.watch.oom_kills().unwrap_or(self.oom_kills);
            if counted > std::mem::replace(&mut self.oom_kills, counted) {
                return Cause::OomKilled;
            }
        }
        Cause::Status(status)
    }
}
