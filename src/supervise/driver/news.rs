//! What comes in while the loop waits: signals, ended children, reports of tasks and of the worker thread, notifications.

use super::{Driver, Report, give_back, own_pid};
use crate::{
    exit::Exit,
    settings::service::ProbeKind,
    supervise::{
        machine::{Action, Event, Phase, ServiceId, Verb},
        notify::Notification,
        signals::{Meaning, meaning},
    },
};

/// Zombies reaped in one go before the loop looks at anything else.
const BATCH: usize = 512;

impl Driver {
    pub(super) fn signal(&mut self, signal: i32) {
        match meaning(signal) {
            Meaning::Reap => self.reap(),
            Meaning::Ignore => {}
            Meaning::Forward => {
                let essential: Vec<ServiceId> =
                    self.machine.services().filter(|(_, s)| s.essential()).map(|(id, _)| id).collect();
                for id in essential {
                    self.children.signal(id, signal);
                }
            }
            Meaning::Reload => {
                if !self.reload() {
                    tracing::error!("too much to do for a reload; ask again: skill-init reload");
                }
            }
            Meaning::Stop => {
                let name =
                    signal_hook::low_level::signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned);
                if self.machine.phase() == Phase::Running {
                    tracing::info!(signal = name, "stopping");
                    self.feed(Event::Shutdown { exit: Exit::OK, reason: format!("stopped by {name}") });
                } else {
                    tracing::warn!(signal = name, "stopping at once");
                    self.feed(Event::Hurry);
                }
            }
        }
    }

    pub(super) fn reap(&mut self) {
        let drained = self.children.drain(BATCH);
        self.more = drained.more;
        self.orphans_reaped += drained.adopted;
        for reaped in drained.ours {
            self.ended(reaped);
        }
        if drained.childless && self.sweeping.take().is_some() {
            self.feed(Event::ChildrenGone);
        } else if drained.adopted > 0 && self.sweeping == Some(true) && own_pid() != 1 {
            // Their children are ours now.
            self.actions.push_back(Action::Sweep { hard: true });
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Probed { id, generation, which, answer } => {
                self.feed(Event::Probed { id, generation, which, answer })
            }
            Report::ProbeTimeout { pid, question } => self.children.kill_probe(pid, question),
            Report::Notified { id, generation } => self.feed(Event::Notified { id, generation }),
            Report::Message(message) => self.message(&message),
            Report::Observed(observation) => {
                self.observed(*observation);
                give_back();
            }
            Report::Alarm => self.observe(),
            Report::Replanned(outcome) => self.replanned(outcome),
            Report::Reread => self.reread_now(),
        }
    }

    fn message(&mut self, message: &Notification) {
        let Some((id, generation)) = self.children.service_of_group(message.group) else { return };
        let wants = self
            .machine
            .service(id)
            .is_some_and(|s| s.spec.readiness.as_ref().is_some_and(|p| p.kind == ProbeKind::SdNotify));
        if message.ready && wants {
            self.feed(Event::Notified { id, generation });
        }
        if let Some(status) = &message.status {
            self.told.said.insert(id, (generation, status.clone()));
        }
    }

    /// An operator's command, by name.
    pub(in crate::supervise) fn operate(&mut self, name: &str, verb: Verb) -> bool {
        let found = self.machine.find(name);
        if let Some(id) = found {
            self.feed(Event::Operator(id, verb));
        }
        found.is_some()
    }
}
