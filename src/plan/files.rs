//! The files part of the plan: from what was seen on the volumes to the steps that mend it. Pure.
//!
//! Invariants: a step says what it changes and why; carrying out every step makes the next plan empty; what
//! belongs to the user and works is in no step; what cannot be mended without harm is a note, not a step.

mod config;
mod credentials;
mod folders;
mod seen;

pub use config::{Config, ConfigDecision, decide_config};
pub use credentials::Source;
pub use seen::{Observed, Seen};

use crate::{
    agents::{
        catalogue::{Catalogue, Credential, Trust},
        credentials::{Remembered, State},
        trust,
    },
    layout::Layout,
    settings::Secret,
    sys::fs::Owner,
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Whether a start can do without a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Nothing works without it: the start fails with exit code 73.
    Required,
    /// The container starts without it; the failure is in the log, the report and the metrics.
    BestEffort,
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Owner of a volume.
    Ownership,
    /// A folder.
    Folder,
    /// Permission bits.
    Mode,
    /// What an earlier, interrupted write (or the old start) left behind.
    LeftOver,
    /// A CLI's configuration.
    Config,
    /// Trust of the runs folder.
    Trust,
    /// A login.
    Credential,
    /// What is remembered of the import.
    ImportState,
}

/// How a step is carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Give a whole volume to the owner.
    Chown {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// Make the folder.
    MakeFolder {
        /// Permission bits.
        #[serde(serialize_with = "octal")]
        mode: u32,
    },
    /// Set permission bits.
    SetMode {
        /// Permission bits.
        #[serde(serialize_with = "octal")]
        mode: u32,
    },
    /// Remove a temporary file that nobody writes any more.
    RemoveLeftOver,
    /// Write a configuration file, or repair it.
    WriteConfig(#[serde(skip)] Box<Config>),
    /// Edit a trust file.
    Trust(#[serde(skip)] Arc<Trust>, #[serde(skip)] Box<trust::Request>),
    /// Write a credential file.
    Import(#[serde(skip)] Box<Import>),
    /// Write the import state.
    Remember(#[serde(skip)] Box<Remember>),
}

/// A credential to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Below the import folder; the key in the state.
    pub source: String,
    /// What stood there when the plan was made.
    pub expected: Option<Secret<Vec<u8>>>,
    /// The new content; `None`: the destination stays.
    pub content: Option<Secret<Vec<u8>>>,
    /// Keep the former content under this suffix.
    pub keep: Option<&'static str>,
    /// Write the source beside the destination, under this suffix.
    pub beside: Option<(&'static str, Secret<Vec<u8>>)>,
}

/// The state to be written once the credentials are.
#[derive(Debug, Clone, PartialEq)]
pub struct Remember {
    /// The state as it is.
    pub base: State,
    /// Destination, source and fingerprint: only those whose destination was written count.
    pub updates: Vec<(PathBuf, String, Remembered)>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What it is about.
    pub what: What,
    /// What it changes.
    pub path: PathBuf,
    /// How.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Can a start do without it?
    pub need: Need,
}

/// Something that is not right and that no step mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where.
    pub path: PathBuf,
    /// What, and what to do.
    pub message: String,
}

/// The steps in their order, and the notes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FilesPlan {
    /// What would change.
    pub steps: Vec<Step>,
    /// What is left alone although it is not right.
    pub notes: Vec<Note>,
}

/// What the plan is made for.
#[derive(Debug, Clone)]
pub struct Wishes<'a> {
    /// Folders.
    pub layout: &'a Layout,
    /// Engines.
    pub catalogue: &'a Catalogue,
    /// Names of optional engines whose layout is wanted too.
    pub extra_engines: &'a [String],
    /// Trust the runs folder.
    pub trust: bool,
    /// Import credentials.
    pub import: bool,
    /// Import whatever the comparison says.
    pub force_import: bool,
    /// Give the volumes to this owner (a start as root with a user to run as).
    pub owner: Option<Owner>,
}

impl Wishes<'_> {
    /// The engines whose folders and files are kept in order.
    pub fn engines(&self) -> impl Iterator<Item = &crate::agents::catalogue::Engine> {
        self.catalogue.engines.iter().filter(|engine| !engine.optional || self.extra_engines.contains(&engine.name))
    }

    /// Every credential with its engine's name, followers behind the file that they belong to.
    pub fn credentials(&self) -> Vec<(&str, &Credential)> {
        let follows = |credential: &Credential| credential.shape.follows;
        let mut all = Vec::new();
        for engine in &self.catalogue.engines {
            for later in [false, true] {
                let some = engine.credentials.iter().filter(|credential| follows(credential) == later);
                all.extend(some.map(|credential| (engine.name.as_str(), credential)));
            }
        }
        all
    }

    fn home(&self, path: &Path) -> PathBuf {
        self.layout.agent_home.join(path)
    }
}

/// Makes the plan.
pub fn plan(wishes: &Wishes<'_>, seen: &Observed) -> FilesPlan {
    let mut plan = FilesPlan::default();
    folders::plan(wishes, seen, &mut plan);
    plan.left_overs(seen);
    config::plan(wishes, seen, &mut plan);
    config::plan_trust(wishes, seen, &mut plan);
    credentials::plan(wishes, seen, &mut plan);
    plan
}

/// Only the import of credentials.
pub fn plan_import(wishes: &Wishes<'_>, seen: &Observed) -> FilesPlan {
    let mut plan = FilesPlan::default();
    plan.left_overs(seen);
    credentials::plan(wishes, seen, &mut plan);
    plan
}

impl FilesPlan {
    fn step(&mut self, what: What, path: PathBuf, action: Action, reason: impl Into<String>, need: Need) {
        self.steps.push(Step { what, path, action, reason: reason.into(), need });
    }

    fn left_overs(&mut self, seen: &Observed) {
        for path in &seen.left_over {
            let reason = "left behind by a write that was interrupted";
            self.step(What::LeftOver, path.clone(), Action::RemoveLeftOver, reason, Need::BestEffort);
        }
    }

    fn note(&mut self, path: PathBuf, message: impl Into<String>) {
        self.notes.push(Note { path, message: message.into() });
    }

    /// Nothing would change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Action {
    /// One or two words.
    pub fn words(&self) -> String {
        match self {
            Self::Chown { uid, gid } => format!("chown -R {uid}:{gid}"),
            Self::MakeFolder { mode } => format!("make folder {mode:04o}"),
            Self::SetMode { mode } => format!("chmod {mode:04o}"),
            Self::RemoveLeftOver => "remove".to_owned(),
            Self::WriteConfig(_) => "write".to_owned(),
            Self::Trust(..) => "edit".to_owned(),
            Self::Import(import) if import.content.is_none() => "keep both".to_owned(),
            Self::Import(_) => "import".to_owned(),
            Self::Remember(_) => "write".to_owned(),
        }
    }
}

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}
