//! Every path, under a root.
//!
//! `Root` prefixes what is read of the system (`/proc`, `/sys`, `/etc`), so that tests read a captured
//! tree. `Layout` holds what is written: the folders of the contract, from the settings or their defaults.
#![forbid(unsafe_code)]

use crate::settings::{Settings, keys};
use std::path::{Path, PathBuf};

/// The prefix of system paths: `/` for real, a captured tree in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The real system.
    pub fn real() -> Self {
        Self(PathBuf::from("/"))
    }
    /// A captured tree.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
    /// An absolute path, under this root.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Container or local defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The image's fixed paths.
    Container,
    /// Everything under one folder.
    Local(PathBuf),
}

/// Every path that is written or served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Container or local.
    pub mode: Mode,
    /// Run data (`/data`).
    pub data: PathBuf,
    /// Cache (`/opt/cache/skill-runner`).
    pub cache: PathBuf,
    /// Agent home.
    pub agent_home: PathBuf,
    /// npm prefix of the managed CLIs.
    pub npm_prefix: PathBuf,
    /// uv's cache.
    pub uv_cache: PathBuf,
    /// uv's project environment.
    pub uv_venv: PathBuf,
    /// The worker's working directory (`/app`).
    pub app: PathBuf,
    /// Skills registry.
    pub skills: PathBuf,
    /// Credential import source (`/opt/config`).
    pub import: PathBuf,
}

impl Layout {
    /// From the settings, with the mode's defaults.
    pub fn new(settings: &Settings, mode: Mode) -> Self {
        let (data, cache, app, import) = match &mode {
            Mode::Container => ("/data".into(), "/opt/cache/skill-runner".into(), "/app".into(), "/opt/config".into()),
            Mode::Local(dir) => (dir.join("data"), dir.join("agent-cache"), dir.clone(), dir.join("agent_config")),
        };
        let data = settings.get_opt(&keys::DATA_DIR).unwrap_or(data);
        let cache: PathBuf = settings.get_opt(&keys::AGENT_CACHE_DIR).unwrap_or(cache);
        let app: PathBuf = settings.get_opt(&keys::APP_DIR).unwrap_or(app);
        Self {
            agent_home: settings.get_opt(&keys::AGENT_HOME).unwrap_or_else(|| cache.join("agent-home")),
            npm_prefix: settings
                .get_opt(&keys::NPM_PREFIX)
                .or_else(|| settings.get_opt(&keys::NPM_CONFIG_PREFIX))
                .unwrap_or_else(|| cache.join("npm")),
            uv_cache: settings.get_opt(&keys::UV_CACHE_DIR).unwrap_or_else(|| cache.join("uv_cache")),
            uv_venv: settings.get_opt(&keys::UV_PROJECT_ENVIRONMENT).unwrap_or_else(|| cache.join("uv_venv")),
            skills: settings.get_opt(&keys::SKILLS_DIR).unwrap_or_else(|| app.join("skills")),
            import: settings.get_opt(&keys::IMPORT_DIR).unwrap_or(import),
            mode,
            data,
            cache,
            app,
        }
    }

    /// Parent of all run folders; its trust is bootstrapped.
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }
    /// `agent_status.json`.
    pub fn agent_status(&self) -> PathBuf {
        self.data.join("agent_status.json")
    }
    /// `agent_auth_status.json`.
    pub fn agent_auth_status(&self) -> PathBuf {
        self.data.join("agent_auth_status.json")
    }
    /// Sandbox verdicts per engine, for the API worker and the terminal.
    pub fn sandbox_status(&self) -> PathBuf {
        self.data.join("agent_sandbox.json")
    }
    /// Runs at once, for a worker that is already running.
    pub fn concurrency(&self) -> PathBuf {
        self.data.join("concurrency.json")
    }
    /// What `apply` did, step by step.
    pub fn bootstrap_report(&self) -> PathBuf {
        self.data.join("bootstrap_report.json")
    }
    /// State of the credential import: fingerprints of what was imported last (0600).
    pub fn import_state(&self) -> PathBuf {
        self.cache.join("import-state.json")
    }
    /// Lock files; never beside the locked file, so that no CLI's own lock name is taken.
    pub fn locks(&self) -> PathBuf {
        self.cache.join("locks")
    }
}
