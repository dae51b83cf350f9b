//! The settings, as the worker needs them: the registry of `skill_init::settings`, its layout, and what init's plan adds.
//!
//! Init gives the plan's result as `SKILL_RUNNER_MAX_CONCURRENT`; without it (started by hand) the registry's fallback
//! counts. Every mistake is reported at once and the exit status is 78, as init does it.

use skill_init::{
    cli::Context,
    exit::Exit,
    layout::{Layout, Root},
    settings::{Environment, Settings, keys},
};
use std::{path::PathBuf, time::Duration};

/// What to do where an engine's own sandbox does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxPolicy {
    /// Confine where it works; say loudly where it does not.
    Auto,
    /// An engine that cannot be confined is unusable.
    Require,
    /// Do not confine.
    Off,
}

/// Concurrent and queued runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runs at a time, at least 1.
    pub max_concurrent: usize,
    /// Runs that may wait, at least 1.
    pub max_queue: usize,
}

/// Everything configurable.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every path.
    pub layout: Layout,
    /// The registry's values, for rooms with settings of their own (`auth`, `ui`).
    pub settings: Settings,
    /// The environment that the process was started with.
    pub env: Environment,
    /// Address to listen on.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
    /// Admission's first limits.
    pub limits: Limits,
    /// Sandbox policy.
    pub sandbox: SandboxPolicy,
    /// Deadline of an engine.
    pub engine_timeout: Duration,
    /// From TERM to KILL of an engine.
    pub kill_grace: Duration,
    /// The whole stop.
    pub stop_grace: Duration,
    /// Finished runs are kept this long.
    pub run_retention: Duration,
    /// Between two cleanups.
    pub cleanup_interval: Duration,
    /// Between start and first cleanup.
    pub first_cleanup: Duration,
    /// Temporary runs that never started are kept this long.
    pub temp_retention: Duration,
    /// Largest temporary skill package, compressed bytes.
    pub temp_package_max: u64,
    /// Largest uploaded archive, compressed bytes.
    pub upload_max: u64,
    /// Between two looks at limits that moved, trust entries that stayed, and whether a cleanup is due.
    pub upkeep_tick: Duration,
    /// For a request's head, and between two pieces of its body.
    pub patience: Duration,
    /// Between two heartbeats of an event stream.
    pub heartbeat: Duration,
}

impl Config {
    /// From an environment; mistakes are printed and give exit code 78.
    pub fn load(env: Environment) -> Result<Self, Exit> {
        let context = Context { env: env.clone(), root: Root::real(), local_dir: None };
        let (settings, layout) = context.load()?;
        Ok(Self::new(env, settings, layout))
    }

    /// From settings that are already validated.
    pub fn new(env: Environment, settings: Settings, layout: Layout) -> Self {
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        let count = |n: i64| usize::try_from(n).unwrap_or(1).max(1);
        let planned = env.get("SKILL_RUNNER_MAX_CONCURRENT").and_then(|text| text.trim().parse::<usize>().ok());
        let stop_grace = settings.get(&keys::STOP_GRACE);
        Self {
            host: settings.get(&keys::API_HOST),
            port: u16::try_from(settings.get(&keys::API_PORT)).unwrap_or(8000),
            limits: Limits {
                max_concurrent: planned.unwrap_or_else(|| count(settings.get(&keys::FALLBACK))).max(1),
                max_queue: count(settings.get(&keys::MAX_QUEUE_SIZE)),
            },
            sandbox: match settings.get(&keys::SANDBOX).as_str() {
                "require" => SandboxPolicy::Require,
                "off" => SandboxPolicy::Off,
                _ => SandboxPolicy::Auto,
            },
            engine_timeout: Duration::from_secs(positive(settings.get(&keys::ENGINE_HARD_TIMEOUT)).max(1)),
            kill_grace: Duration::from_secs(5),
            stop_grace,
            run_retention: settings.get(&keys::RUN_RETENTION),
            cleanup_interval: settings.get(&keys::CLEANUP_INTERVAL).max(Duration::from_secs(1)),
            first_cleanup: Duration::from_secs(60),
            temp_retention: Duration::from_secs(3600 * positive(settings.get(&keys::TEMP_RETENTION_HOURS))),
            temp_package_max: positive(settings.get(&keys::TEMP_PACKAGE_MAX)),
            upload_max: positive(settings.get(&keys::UPLOAD_MAX)),
            upkeep_tick: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            heartbeat: Duration::from_secs(5),
            layout,
            settings,
            env,
        }
    }

    /// `<data>/runs`.
    pub fn runs_dir(&self) -> PathBuf {
        self.layout.runs()
    }
    /// `<data>/requests`.
    pub fn requests_dir(&self) -> PathBuf {
        self.layout.data.join("requests")
    }
    /// The database.
    pub fn database(&self) -> PathBuf {
        self.layout.data.join("skill_api.db")
    }
    /// Where a changed concurrency plan is published by init.
    pub fn concurrency_file(&self) -> PathBuf {
        self.layout.data.join("concurrency.json")
    }
}
