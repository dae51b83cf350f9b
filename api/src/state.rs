//! Everything that a handler can reach, made once at the start.

use crate::{config::Config, engines::Engines, skills::Registry};
use std::sync::Arc;
use tokio::sync::watch;

/// What handlers share: `axum::extract::State<Shared>`.
pub type Shared = Arc<App>;

/// The worker.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// The skills folder.
    pub skills: Arc<Registry>,
    /// The agent CLIs.
    pub engines: Engines,
    /// The stop, once asked for.
    pub stop: Stop,
}

impl App {
    /// Opens what the worker needs.
    pub async fn start(config: Config) -> std::io::Result<Shared> {
        let engines = Engines::new(&config);
        Ok(Arc::new(Self {
            skills: Arc::new(Registry::new(config.layout.skills.clone(), engines.names())),
            engines,
            stop: Stop::default(),
            config,
        }))
    }
}

/// A latch: set once, seen by everyone.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Asks for the stop.
    pub fn set(&self) {
        self.0.send_replace(true);
    }
    /// Was it asked for?
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }
    /// Until it is asked for.
    pub async fn wait(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

impl App {
    /// SIGHUP: looks again at everything that may have changed on disk.
    pub async fn reload(&self) {
        self.skills.invalidate();
    }
}
