//! Everything that a handler can reach, made once at the start.

use crate::{
    admission::Admission,
    auth::Auth,
    config::Config,
    engines::{Engines, process::Reason},
    error::{ApiError, ApiResult},
    events::Hub,
    http::{Statuses, bodies::Room},
    packages::Installs,
    runs::Live,
    skills::Registry,
    store::{Kind, Request, Run, Store, StoreError},
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::sync::{Mutex, watch};

/// What handlers share: `axum::extract::State<Shared>`.
pub type Shared = Arc<App>;

/// The worker.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Who may ask.
    pub auth: Auth,
    /// The skills folder.
    pub skills: Arc<Registry>,
    /// The agent CLIs.
    pub engines: Engines,
    /// The database.
    pub store: Store,
    /// Status records that were asked for lately.
    pub statuses: Statuses,
    /// Who may run.
    pub admission: Admission,
    /// The resource that binds the limits, and what to change for more; empty where init has not said it.
    pub(crate) bound: watch::Sender<(String, String)>,
    /// Bells of the runs that have not ended.
    pub events: Hub,
    /// Memory for bodies that are read as a whole.
    pub(crate) room: Room,
    /// Runs that this worker holds.
    pub live: Arc<Live>,
    /// Held while engines are upgraded.
    pub(crate) upgrading: Arc<Mutex<()>>,
    /// By engine, held while its CLI is asked for its models.
    pub(crate) probing_models: std::sync::Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
    /// Skill packages on their way into the skills folder.
    pub(crate) installs: Installs,
    /// The stop, once asked for.
    pub stop: Stop,
}

/// Why the worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Basic Auth is on, and incomplete.
    #[error("{0}")]
    Auth(&'static str),
    /// The data folder.
    #[error("{path}: {source}", path = .path.display())]
    Folder {
        /// Which.
        path: std::path::PathBuf,
        /// errno.
        source: io::Error,
    },
    /// The database.
    #[error("{path}: {source}", path = .path.display())]
    Store {
        /// Its file.
        path: std::path::PathBuf,
        /// SQLite's words.
        source: StoreError,
    },
}

impl App {
    /// Opens what the worker needs, settles what the one before left, starts the schedule.
    pub async fn start(config: Config) -> Result<Shared, StartError> {
        let auth = Auth::new(&config).map_err(StartError::Auth)?;
        for path in [config.runs_dir(), config.requests_dir()] {
            std::fs::create_dir_all(&path).map_err(|source| StartError::Folder { path, source })?;
        }
        let path = config.database();
        let failed = |source| StartError::Store { path: path.clone(), source };
        let store = Store::open(&path).map_err(failed)?;
        let engines = Engines::new(&config);
        let app = Arc::new(Self {
            auth,
            skills: Arc::new(Registry::new(config.layout.skills.clone(), engines.names().to_vec())),
            engines,
            store,
            statuses: Statuses::default(),
            admission: Admission::new(config.limits),
            bound: watch::Sender::default(),
            events: Hub::default(),
            room: Room::default(),
            live: Arc::default(),
            upgrading: Arc::default(),
            probing_models: std::sync::Mutex::default(),
            installs: Installs::default(),
            stop: Stop::default(),
            config,
        });
        app.take_limits().await;
        app.settle_upgrades().await;
        app.settle_installs().await;
        app.recover().await.map_err(|source| StartError::Store { path: path.clone(), source })?;
        app.schedule();
        Ok(app)
    }

    /// A request of this kind (any kind with `None`) and its run; 404 where there is none.
    pub async fn request_and_run(&self, kind: Option<Kind>, id: &str) -> ApiResult<(Request, Option<Run>)> {
        self.store
            .request_and_run(id)
            .await?
            .filter(|(request, _)| kind.is_none_or(|kind| request.kind == kind))
            .ok_or_else(|| ApiError::not_found(format!("Request '{id}' not found")))
    }

    /// SIGHUP: looks again at everything that may have changed on disk.
    pub async fn reload(&self) {
        self.skills.invalidate();
        self.take_limits().await;
    }

    /// Ends what runs, within the grace; queued runs stay queued. Safe to call twice.
    pub async fn drain(&self) {
        self.live.ask_all(Reason::Stopping);
        let within = self.config.stop_grace.saturating_sub(Duration::from_secs(1)).max(Duration::from_millis(500));
        if !self.live.empty(within).await {
            tracing::warn!("runs are still ending; the next start settles them");
        }
        if self.no_installs(Duration::from_millis(500)).await.is_none() {
            tracing::warn!("a skill package is still being installed; the next start settles it");
        }
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
