//! What the slow tick sees, and what follows from it: orphans, OOM kills, budgets, limits that move.

use crate::supervise::{
    alarm::{self, Alarms},
    cause::Cause,
    driver::{Driver, Report, own_pid},
    machine::{Event, ServiceId},
    state::State,
    watch::{Observation, Question},
};
use crate::{control::render, probe::processes, sys::wait::ExitStatus};

impl Driver {
    /// Asks for a look; one at a time.
    pub(super) fn observe(&mut self) {
        if self.looking {
            self.look_again = true;
            return;
        }
        let question = Question {
            own_pid: own_pid(),
            known: self.children.pids().collect(),
            as_of: processes::ticks_now(),
            ended: self.ended.clone(),
            largest: self.observation.largest.clone(),
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
        self.oom_killed(&observation);
        // The owners change from look to look; that is no news.
        let known: Vec<&str> = self.observation.warnings.iter().map(|w| budget(w)).collect();
        for warning in observation.warnings.iter().filter(|w| !known.contains(&budget(w))) {
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
        if std::mem::take(&mut self.look_again) {
            self.observe();
        }
    }

    /// Who died by SIGKILL while the kernel counted one more OOM kill was the kernel's victim, unless the SIGKILL was ours:
    /// that one must not take the kill from its real victim, whose end may be seen later.
    pub(super) fn cause(&mut self, status: ExitStatus, id: ServiceId, name: &str) -> Cause {
        let ours = self.machine.service(id).is_some_and(|service| matches!(service.state, State::Killing { .. }));
        if !ours && matches!(status, ExitStatus::Signaled { signal: libc::SIGKILL, .. }) {
            let now = self.now();
            if let Some(counter) = self.watch.oom_kills() {
                self.oom.counted(counter, now);
            }
            if self.oom.claim(now) {
                self.last_oom = Some((now, format!("service {name}")));
                return Cause::OomKilled;
            }
        }
        Cause::Status(status)
    }

    /// Has the kernel wake us between two ticks. Not at the start: it would only wait for it.
    pub(super) fn set_alarms(&mut self) {
        if std::mem::replace(&mut self.alarms_set, true) {
            return;
        }
        let paths = &self.watch.paths;
        let alarms = Alarms::set(&paths.pressure_files(), paths.oom_events().as_deref());
        let reports = self.reports.clone();
        tokio::spawn(alarm::run(alarms, move || reports.send(Report::Alarm).is_ok()));
    }

    /// An OOM kill of no service: an agent's process, an orphan. The kernel does not say whose; the largest that have
    /// gone since the last look are as near as it gets without the kernel's log.
    fn oom_killed(&mut self, observation: &Observation) {
        let now = self.now();
        if let Some(counter) = observation.oom_kills {
            self.oom.counted(counter, now);
        }
        let count = self.oom.untold();
        if count == 0 {
            return;
        }
        let gone: Vec<String> = observation
            .vanished
            .iter()
            .take(3)
            .map(|p| format!("{} (pid {}, {})", p.comm, p.pid, render::bytes(p.rss)))
            .collect();
        let victim = if gone.is_empty() { "unknown".to_owned() } else { format!("probably {}", gone.join(" or ")) };
        if self.watch.paths.oom_is_the_hosts() {
            tracing::error!(count, victim, "the OOM killer ended a process on this host");
        } else {
            tracing::error!(count, victim, "the OOM killer ended a process in this container");
        }
        self.last_oom = Some((now, victim));
    }
}

/// What a warning is about, without its owners.
fn budget(warning: &str) -> &str {
    warning.split(';').next().unwrap_or_default()
}
