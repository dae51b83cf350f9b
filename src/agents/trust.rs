//! Trusted folders of the CLIs: add, remove, list, and collect what no run needs any more.
//!
//! Which file, which table in it and which value is a `[trust.NAME]` row of the engine table. What counts (measured):
//! codex trusts the exact working directory or its git root, so each run has an entry of its own; gemini's rule covers
//! everything below its folder. The CLIs rewrite these files themselves, without our lock: so every write is read, edit,
//! compare, exchange, and begins anew when somebody else was faster. Where a CLI locks the file, its lock is honoured too.
//!
//! A library for the API worker and the command line; an error is a value and never a run's outcome.

mod lockfile;
mod request;

pub use request::{Decision, Request, decide};

use crate::{
    agents::{
        catalogue::{Format, Trust, TrustLock},
        edit::{Unusable, json::Object, toml::Config, trusted},
    },
    layout::Layout,
    sys::{
        fs::{Dir, Expect, FsError, Lock, NewFile, Owner, keep_aside, replace},
        utc::Utc,
    },
};
use lockfile::Lockfile;
use serde_json::Value;
use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// A configuration file of this size is nobody's work.
pub const MAX_CONFIG: u64 = 8 << 20;
/// Rounds against other writers before giving up; each means that somebody else made progress.
const ROUNDS: usize = 16;

/// Why an entry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file system said no.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file is not what the CLI reads; the next start moves it aside and repairs it.
    #[error("{} {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Unusable,
    },
    /// The folder's name cannot stand in such a file.
    #[error("{} is not UTF-8, so no trust entry can name it", path.display())]
    NotText {
        /// The folder.
        path: PathBuf,
    },
    /// Other writers were faster, again and again.
    #[error("{} changes faster than it can be edited", path.display())]
    Contended {
        /// The file.
        path: PathBuf,
    },
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was so already; nothing was written.
    Unchanged,
    /// The file was changed.
    Changed {
        /// Where the former content was kept, if it could not be used as it was.
        kept: Option<PathBuf>,
    },
}

/// A trusted (or distrusted) folder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The folder as the file names it.
    pub path: String,
    /// The level in the CLI's own word; `None`: an entry without one.
    pub level: Option<String>,
}

/// The trust files of one agent home.
#[derive(Debug, Clone)]
pub struct Store {
    home: PathBuf,
    locks: PathBuf,
    /// How long to wait for another writer of ours.
    pub patience: Duration,
    /// Owner of files and folders that are made.
    pub owner: Option<Owner>,
}

/// The lock that a CLI keeps beside its trust file; `None`: it keeps none.
pub fn lock_file(how: &Trust) -> Option<OsString> {
    how.lock.map(|TrustLock::ProperLockfile| lockfile::name(how.file_name()))
}

impl Store {
    /// The store of a layout's agent home.
    pub fn of(layout: &Layout) -> Self {
        Self { home: layout.agent_home.clone(), locks: layout.locks(), patience: Duration::from_secs(5), owner: None }
    }

    /// Trusts a folder.
    pub fn add(&self, how: &Trust, folder: &Path) -> Result<Outcome, TrustError> {
        self.edit(how, &Request { add: Some(key(folder)?), ..Request::default() })
    }

    /// Forgets a folder, under its given and its resolved name.
    pub fn remove(&self, how: &Trust, folder: &Path) -> Result<Outcome, TrustError> {
        let given = folder.to_str().map(str::to_owned);
        let remove = [Some(key(folder)?), given].into_iter().flatten().collect();
        self.edit(how, &Request { remove, ..Request::default() })
    }

    /// Forgets every strict child of `runs` that is not active; gives their names.
    pub fn gc(&self, how: &Trust, runs: &Path, active: &[PathBuf]) -> Result<Vec<String>, TrustError> {
        let request = Request { collect: Some((both(runs)?, names(active)?)), ..Request::default() };
        let before = self.list(how)?;
        self.edit(how, &request)?;
        let after = self.list(how)?;
        Ok(before.into_iter().map(|entry| entry.path).filter(|path| !after.iter().any(|e| e.path == *path)).collect())
    }

    /// Every entry, in the order of the file.
    pub fn list(&self, how: &Trust) -> Result<Vec<Entry>, TrustError> {
        let (folder, name) = (how.folder(), how.file_name());
        let bytes = match Dir::open(&self.home).and_then(|home| home.sub(folder)).and_then(|d| d.read(name, MAX_CONFIG))
        {
            Ok((bytes, _)) => bytes,
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        entries(how, &bytes).map_err(|why| TrustError::Unusable { path: self.home.join(&how.file), why })
    }

    /// Does what the request says, in one write.
    pub fn edit(&self, how: &Trust, request: &Request) -> Result<Outcome, TrustError> {
        let (folder, name) = (how.folder(), how.file_name());
        let home = if request.add.is_some() {
            Dir::create(&self.home, 0o700, self.owner)?
        } else {
            match Dir::open(&self.home) {
                Err(error) if error.is_missing() => return Ok(Outcome::Unchanged),
                home => home?,
            }
        };
        let dir = match home.sub(folder) {
            Err(error) if error.is_missing() && request.add.is_none() => return Ok(Outcome::Unchanged),
            Err(error) if error.is_missing() => home.create_sub(folder, 0o700, self.owner)?,
            dir => dir?,
        };
        // Without a lock first: the common case changes nothing, and then nothing is written, not even a lock.
        if self.decide(how, &dir, request)?.1 == Decision::Keep {
            return Ok(Outcome::Unchanged);
        }
        let locks = Dir::create(&self.locks, 0o700, self.owner)?;
        let _ours = Lock::take(&locks, format!("trust-{}.lock", how.name), self.patience)?;
        let _theirs = match how.lock {
            Some(TrustLock::ProperLockfile) => Some(Lockfile::take(&dir, name, self.patience)?),
            None => None,
        };
        for _ in 0..ROUNDS {
            let (now, decision) = self.decide(how, &dir, request)?;
            let Decision::Write { text, unusable } = decision else { return Ok(Outcome::Unchanged) };
            let kept = match unusable {
                true => Some(keep_aside(&dir, name, &format!(".corrupt-{}", Utc::now().compact()))?),
                false => None,
            };
            let expect = now.as_deref().map_or(Expect::Absent, Expect::Bytes);
            let owner = if now.is_none() { self.owner } else { None };
            match replace(&dir, name, &NewFile { bytes: text.as_bytes(), mode: None, owner, expect }) {
                Ok(()) => return Ok(Outcome::Changed { kept }),
                Err(FsError::Changed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(TrustError::Contended { path: dir.child(name) })
    }

    fn decide(&self, how: &Trust, dir: &Dir, request: &Request) -> Result<(Option<Vec<u8>>, Decision), TrustError> {
        let name = how.file_name();
        let now = match dir.read(name, MAX_CONFIG) {
            Ok((bytes, _)) => Some(bytes),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error.into()),
        };
        let decision =
            decide(how, now.as_deref(), request).map_err(|why| TrustError::Unusable { path: dir.child(name), why })?;
        Ok((now, decision))
    }
}

/// The entries of a trust file.
pub fn entries(how: &Trust, bytes: &[u8]) -> Result<Vec<Entry>, Unusable> {
    let found = match how.format {
        Format::Toml => Config::parse(bytes)?.trust(how),
        Format::Json | Format::Jsonc => trusted::entries(&Object::parse(bytes)?.meaning(), how),
    };
    let word = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    };
    Ok(found.into_iter().map(|(path, value)| Entry { path, level: value.and_then(word) }).collect())
}

/// The name under which the CLIs know a folder: absolute, links resolved where it exists.
pub fn key(folder: &Path) -> Result<String, TrustError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let resolved = std::fs::canonicalize(&absolute).unwrap_or_else(|_| {
        // A folder that is gone: its parent may still tell the resolved name.
        let parent = absolute.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
        match (parent, absolute.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => absolute,
        }
    });
    resolved.into_os_string().into_string().map_err(|path| TrustError::NotText { path: path.into() })
}

/// The given and the resolved name of a folder.
fn both(folder: &Path) -> Result<Vec<String>, TrustError> {
    let mut names = vec![key(folder)?];
    names.extend(folder.to_str().filter(|given| *given != names.first().map_or("", String::as_str)).map(str::to_owned));
    Ok(names)
}

fn names(folders: &[PathBuf]) -> Result<Vec<String>, TrustError> {
    Ok(folders.iter().map(|folder| both(folder)).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Is `path` below `folder`, and not it? Never so for a path with `..`, which may be anywhere.
pub(crate) fn strictly_below(path: &str, folder: &str) -> bool {
    let (path, folder) = (Path::new(path), Path::new(folder));
    path != folder && path.starts_with(folder) && !path.components().any(|part| part == Component::ParentDir)
}
