//! The agent CLIs: one adapter per engine, what is installed, what confines it.

mod status;

pub use status::{Status, dotted_version};

use crate::config::Config;
use std::{path::PathBuf, sync::Arc};

/// What the worker knows of the engines.
#[derive(Debug)]
pub struct Engines {
    agent_status: PathBuf,
    status: status::Cached<Status>,
}

impl Engines {
    /// From the settings.
    pub fn new(config: &Config) -> Self {
        Self { agent_status: config.layout.agent_status(), status: status::Cached::default() }
    }

    /// The engines' names, in the documented order.
    pub fn names(&self) -> Vec<&'static str> {
        vec!["codex", "gemini", "iflow", "opencode"]
    }

    /// What init found installed, from its status file; never asks a CLI.
    pub async fn status(&self) -> Arc<Status> {
        self.status.read(&self.agent_status).await
    }
}
