//! What becomes of an engine, what is heard of it on the way, and why something failed.

use crate::agents::{check::Fault, lock::LockError, prefix::PrefixError, run::RunError};
use std::{path::PathBuf, time::Duration};

/// What became of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It ran before anything was done.
    AlreadyPresent,
    /// npm installed it.
    Installed,
    /// It was there, interrupted or broken, and was mended without npm.
    Repaired,
    /// A newer (or the asked for) version took its place.
    Upgraded {
        /// The version before.
        from: String,
    },
    /// It is the newest already.
    UpToDate,
    /// The version before is back.
    RolledBack {
        /// The version that was left.
        from: String,
    },
    /// It cannot be installed, for a reason that the catalogue knows.
    Unavailable,
    /// It failed; what was there before is still there.
    Failed,
}

impl Action {
    /// The word of the report.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::AlreadyPresent => "already_present",
            Self::Installed => "installed",
            Self::Repaired => "repaired",
            Self::Upgraded { .. } => "upgraded",
            Self::UpToDate => "up_to_date",
            Self::RolledBack { .. } => "rolled_back",
            Self::Unavailable => "unavailable",
            Self::Failed => "install_failed",
        }
    }
}

/// The report on one engine.
#[derive(Debug, Clone)]
pub struct Report {
    /// The engine.
    pub engine: String,
    /// Its package.
    pub package: String,
    /// What became of it.
    pub action: Action,
    /// The version that answers now, as printed; empty: none does.
    pub version: String,
    /// Why, where something failed: a sentence, then npm's own words, one line each.
    pub reason: Vec<String>,
    /// npm's exit status, where npm ran.
    pub npm_status: Option<u8>,
    /// Did it run before and after?
    pub present: (bool, bool),
    /// How long it took.
    pub elapsed: Duration,
}

/// Why an engine could not be installed, upgraded or rolled back.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no npm.
    #[error("npm is not on PATH; install node and npm, or put the CLI on PATH yourself")]
    NoNpm,
    /// Not enough room.
    #[error("{needed} MiB are needed on {path} and {free} MiB are free; make room or enlarge the volume")]
    Space {
        /// Where.
        path: PathBuf,
        /// MiB needed.
        needed: u64,
        /// MiB free.
        free: u64,
    },
    /// npm failed, or met its deadline.
    #[error("npm install: {how}")]
    Npm {
        /// How it ended.
        how: String,
        /// Its exit status.
        status: u8,
        /// Its own words.
        words: Vec<String>,
    },
    /// npm was content, but what it installed does not run or is not what it says.
    #[error("npm ended with 0, but what it installed does not work: {reason}")]
    Unproven {
        /// What happened instead.
        reason: String,
        /// npm's words.
        words: Vec<String>,
    },
    /// It is there and was killed or gave no answer in time, asked with patience: installing the same again mends nothing.
    #[error(
        "it does not answer: {0}; is the machine overloaded, or short of memory? SKILL_INIT_CHECK_TIMEOUT gives it time"
    )]
    Silent(String),
    /// There is no generation to go back to.
    #[error("no earlier generation of {0} is kept; install one with: skill-init agents upgrade {0}@VERSION")]
    NoPrevious(String),
    /// The earlier generation does not run any more.
    #[error("the earlier generation {version} does not run: {reason}; nothing was changed")]
    PreviousBroken {
        /// Its version.
        version: String,
        /// Why.
        reason: String,
    },
    /// The registry could not be asked.
    #[error("the newest version is not known: {0}")]
    Newest(String),
    /// A file operation failed.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The lock was not had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// npm could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl InstallError {
    /// What was installed does not answer as it must; npm had these words.
    pub(super) fn of(fault: Fault, words: Vec<String>) -> Self {
        match fault {
            Fault::Silent(reason) => Self::Silent(reason),
            Fault::Wrong(reason) => Self::Unproven { reason, words },
        }
    }
}

/// What a caller hears while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// Something worth a line.
    Note(&'a str, &'a str),
    /// npm has been at it for this long.
    Working(&'a str, Duration),
    /// An engine is done.
    Done(&'a Report),
}
