//! The whole plan of a start, from settings and facts: one value that `skill-init plan` prints and the start carries out.

use super::{
    concurrency::{self, Concurrency},
    environment::{self, Variables, Verdicts},
    landlock::{self, Verdict},
    services::{self, Found},
};
use crate::{
    layout::Layout,
    probe::Facts,
    settings::{
        Secret, Settings, keys,
        service::{Limit, ServiceSpec},
    },
};
use std::collections::BTreeMap;

/// What a start will do, apart from files.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Runs at once, and why.
    pub concurrency: Concurrency,
    /// `LANDLOCK_ENABLED`, and why.
    pub landlock: Verdict,
    /// What every child finds in its environment.
    pub environment: Variables,
    /// Secrets, for the services that name them.
    pub secrets: BTreeMap<String, Secret<String>>,
    /// The services, in the order of their start.
    pub services: Vec<ServiceSpec>,
    /// Which API worker, for the banner.
    pub worker: services::Worker,
}

/// Makes the plan. `parent`: the environment of the process.
pub fn make(
    parent: &Variables,
    settings: &Settings,
    layout: &Layout,
    facts: &Facts,
    own: landlock::OwnSandbox<'_>,
    found: &Found,
) -> Plan {
    let as_root = facts.privileges.uid.value() == Some(&0) && settings.get_opt(&keys::USER).is_none();
    let inputs = concurrency::Inputs::new(facts, as_root);
    let concurrency = concurrency::concurrency(&inputs, &concurrency::Policy::new(settings));
    let landlock = landlock::landlock_enabled(settings, &facts.landlock, own);
    let verdicts = Verdicts { landlock: landlock.enabled, concurrency: concurrency.environment().to_vec() };
    let nofile = concurrency.raise_nofile.as_ref().map(|raise| Limit {
        name: "nofile".to_owned(),
        soft: Some(raise.to),
        hard: inputs.nofile_hard.reading.value().copied(),
    });
    Plan {
        environment: environment::base(parent, layout, settings, &verdicts),
        secrets: environment::secrets(parent, settings),
        services: services::services(settings, layout, found, nofile),
        worker: services::worker(settings, found),
        concurrency,
        landlock,
    }
}

impl Plan {
    /// What is worth a warning at every start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.concurrency.warnings();
        if self.worker == services::Worker::None {
            warnings.push(
                "no API worker: neither server/main.py with uvicorn nor skill-api was found; SKILL_INIT_API=off says that none is wanted"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// `SKILL_INIT_USER` as numbers, where it is given as numbers.
pub fn user(settings: &Settings) -> Option<(u32, u32)> {
    let text = settings.get_opt(&keys::USER)?;
    let (uid, gid) = text.split_once(':').unwrap_or((&text, &text));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}
