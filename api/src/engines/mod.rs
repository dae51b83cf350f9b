//! The agent CLIs: from init's table of engines to a command line, and what init found out about them.
//!
//! | file | what |
//! | --- | --- |
//! | `command` | catalogue + verdict + model + prompt -> argv |
//! | `configs` | the engine's configuration for one run, in the run's folder |
//! | `environment` | what may reach an engine |
//! | `process` | the child: group, deadline, TERM, KILL, sweep |
//! | `oom` | whether the kernel's OOM killer took it |
//! | `output` | what it says |
//! | `sandbox`, `status` | init's files, read when they change |
//! | `trust` | the run's entry in the engine's trust store |
//! | `models`, `upgrades`, `view` | `/v1/engines/...`, and an engine as front ends see it |

mod auth_status;
pub mod command;
mod configs;
mod environment;
pub mod models;
pub mod oom;
pub mod output;
pub mod process;
mod sandbox;
mod status;
pub mod trust;
pub mod upgrades;
mod view;

pub(crate) use configs::write as write_configs;
pub use sandbox::{SandboxFile, Verdict};
pub use status::{Status, dotted_version};

use crate::{config::Config, store::Run};
use skill_init::{
    agents::catalogue::{Catalogue, Engine, Format},
    layout::{Layout, Root},
    settings::{Environment, keys},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the worker knows of the engines.
#[derive(Debug)]
pub struct Engines {
    catalogue: Catalogue,
    names: Vec<String>,
    layout: Layout,
    env: Environment,
    extra_env: Vec<String>,
    policy: crate::config::SandboxPolicy,
    status: status::Cached<Status>,
    sandbox: status::Cached<SandboxFile>,
    oom: Arc<oom::Oom>,
}

impl Engines {
    /// From the settings; a catalogue file that cannot be used is told, and the built-in table counts.
    pub fn new(config: &Config) -> Self {
        let file = config.settings.get_opt(&keys::CATALOGUE);
        let catalogue = Catalogue::load(file.as_deref()).unwrap_or_else(|error| {
            tracing::error!(%error, "the built-in table of engines is used");
            Catalogue::built_in()
        });
        // The four of the documented surface, and whatever else the operator's own table names.
        let names = catalogue.engines.iter().filter(|e| !e.optional).map(|e| e.name.clone()).collect();
        Self {
            catalogue,
            names,
            layout: config.layout.clone(),
            env: config.env.clone(),
            extra_env: config.settings.get(&keys::ENGINE_ENV),
            policy: config.sandbox,
            status: status::Cached::default(),
            sandbox: status::Cached::default(),
            oom: oom::Oom::of(&Root::real()),
        }
    }

    /// The engines' names, in the documented order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// An engine of the table.
    pub fn get(&self, name: &str) -> Option<&Engine> {
        self.names.iter().any(|known| known == name).then(|| self.catalogue.get(name)).flatten()
    }

    /// What init found installed, from its status file; never asks a CLI.
    pub async fn status(&self) -> Arc<Status> {
        self.status.read(&self.layout.agent_status()).await
    }

    /// Is a run of this engine confined, and by which flags?
    pub async fn verdict(&self, name: &str) -> Verdict {
        let file = self.sandbox.read(&self.layout.sandbox_status()).await;
        let version = self.status().await.0.get(name).map(|one| one.version.clone()).unwrap_or_default();
        sandbox::verdict(&file, self.get(name), &version, self.policy)
    }

    /// Watches over an engine about to start.
    pub(crate) async fn oom_watch(&self) -> oom::Watch {
        self.oom.watch().await
    }

    /// The CLI: the managed one, else the first on PATH.
    pub fn program(&self, engine: &Engine) -> Option<PathBuf> {
        let path = skill_init::agents::environment::path(&self.env, &self.layout);
        skill_init::agents::run::find_in_path(&engine.binary, &path)
    }

    /// The environment of a run's engine.
    pub fn environment(&self, run: &Run, folder: &Path) -> BTreeMap<String, String> {
        let own = self.variables(&run.engine);
        let mut env = environment::of_run(&self.env, &self.layout, own, &self.extra_env, &run.run_id, folder);
        env.extend(self.fixed());
        env
    }

    /// The environment of a question to an engine that is no run.
    pub(crate) fn probe_environment(&self, engine: &str) -> BTreeMap<String, String> {
        let own = self.variables(engine);
        let mut env = environment::of_run(&self.env, &self.layout, own, &self.extra_env, "", &self.layout.agent_home);
        env.extend(self.fixed());
        env.remove(process::RUN_ID);
        env
    }

    /// The table's variables for every engine.
    fn fixed(&self) -> impl Iterator<Item = (String, String)> {
        self.catalogue.engines.iter().flat_map(|engine| engine.environment.clone())
    }

    /// The commands that log in, as CLIs name them in their complaints.
    pub(crate) fn logins(&self) -> Vec<String> {
        let command = |engine: &Engine| match engine.login.as_deref() {
            None | Some([]) => None,
            Some(words) => Some(format!("{} {}", engine.binary, words.join(" ")).to_ascii_lowercase()),
        };
        self.catalogue.engines.iter().filter_map(command).collect()
    }

    /// The engine configurations that a skill may bring in its assets, each with its syntax.
    pub(crate) fn skill_configs(&self) -> Vec<(PathBuf, Format)> {
        let rows = self.catalogue.engines.iter().filter_map(|engine| engine.run_config.as_ref());
        let mut all: Vec<_> = rows.filter_map(|config| Some((config.asset.clone()?, config.format))).collect();
        all.dedup();
        all
    }

    /// How the names of its own variables begin.
    fn variables(&self, engine: &str) -> &[String] {
        self.catalogue.get(engine).map(|engine| engine.variables.as_slice()).unwrap_or_default()
    }

    /// `skill-init`: beside this program, else on PATH.
    pub(crate) fn init_program(&self) -> Option<PathBuf> {
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("skill-init")));
        beside
            .filter(|path| path.is_file())
            .or_else(|| skill_init::agents::run::find_in_path("skill-init", self.env.get("PATH").unwrap_or_default()))
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The process's own environment.
    pub fn env(&self) -> &Environment {
        &self.env
    }
}
