//! New configuration while services run: only what changed is touched.

use super::{Action, Machine, Phase, ServiceId};
use crate::{
    settings::service::ServiceSpec,
    supervise::{
        schedule::Now,
        service::{Input, State},
    },
};
use std::collections::BTreeSet;

impl Machine {
    pub(super) fn reload(&mut self, specs: Vec<ServiceSpec>, now: Now, out: &mut Vec<Action>) {
        if self.phase != Phase::Running {
            return;
        }
        let names: BTreeSet<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        let gone: Vec<ServiceId> =
            self.services().filter(|(_, s)| !names.contains(s.spec.name.as_str())).map(|(id, _)| id).collect();
        let mut start = Vec::new();
        let mut restart = Vec::new();
        for spec in specs.clone() {
            match self.find(&spec.name) {
                Some(id) => {
                    if let Some(service) = self.services.get_mut(id.0).filter(|s| s.spec != spec) {
                        service.spec = spec;
                        restart.push(id);
                    }
                }
                None => start.push(self.add(spec)),
            }
        }
        for id in &gone {
            self.removed.insert(id.0);
            self.unready.remove(&id.0);
        }
        self.link();
        for id in gone {
            self.feed(id, Input::Stop, now, out);
        }
        for id in restart {
            // What an operator stopped stays stopped; its new definition counts from its next start.
            if self
                .service(id)
                .is_some_and(|s| s.state.runs() || matches!(s.state, State::Backoff { .. } | State::Failed))
            {
                self.feed(id, Input::Restart, now, out);
            }
        }
        for id in start {
            self.feed(id, Input::Start, now, out);
        }
    }
}
