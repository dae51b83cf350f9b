//! The skills folder in memory, following what happens on disk.
//!
//! A look costs nothing while the last check is younger than `FRESH`; then one sweep of stat(2) over the files that
//! matter decides whether anything is read again. Installers call [`Registry::invalidate`], so what they put in place is
//! seen by the next request.

use super::manifest::Skill;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a check counts.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// What the folder held at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By id.
    pub skills: BTreeMap<String, Arc<Skill>>,
    /// The list, serialised once.
    pub list: Bytes,
    /// Folders that are no skills, and why.
    pub invalid: Vec<(PathBuf, String)>,
    stamps: Vec<Stamp>,
}

/// Device, inode, size and change time of a path; `None` where it is missing.
type Stamp = (PathBuf, Option<(u64, u64, u64, i64, i64)>);

/// The registry.
#[derive(Debug)]
pub struct Registry {
    root: PathBuf,
    engines: Vec<String>,
    current: RwLock<Arc<Snapshot>>,
    born: Instant,
    /// Milliseconds since `born` of the last check, plus one; 0: never.
    checked: AtomicU64,
    /// Counts the calls of `invalidate`, so that a look that began before one does not count after it.
    changes: AtomicU64,
    refreshing: tokio::sync::Mutex<()>,
}

impl Registry {
    /// Over a folder, which may be missing.
    pub fn new(root: PathBuf, engines: Vec<String>) -> Self {
        Self {
            root,
            engines,
            current: RwLock::default(),
            born: Instant::now(),
            checked: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The next look reads the disk.
    pub fn invalidate(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.checked.store(0, Ordering::Release);
    }

    /// The folder whose skill has this id, as far as the last look saw it.
    pub fn holder(&self, id: &str) -> Option<PathBuf> {
        self.current().skills.get(id).map(|skill| skill.path.clone())
    }

    /// The skills now, at most `FRESH` old.
    pub async fn snapshot(self: &Arc<Self>) -> Arc<Snapshot> {
        if self.fresh() {
            return self.current();
        }
        let _one = self.refreshing.lock().await;
        if !self.fresh() {
            let this = Arc::clone(self);
            if let Err(error) = tokio::task::spawn_blocking(move || this.refresh()).await {
                tracing::error!(%error, "the skills folder could not be read");
            }
        }
        self.current()
    }

    /// One skill by id.
    pub async fn skill(self: &Arc<Self>, id: &str) -> Option<Arc<Skill>> {
        self.snapshot().await.skills.get(id).cloned()
    }

    fn current(&self) -> Arc<Snapshot> {
        match self.current.read() {
            Ok(guard) => Arc::clone(&guard),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn fresh(&self) -> bool {
        match self.checked.load(Ordering::Acquire) {
            0 => false,
            at => self.age().saturating_sub(at - 1) < FRESH.as_millis() as u64,
        }
    }

    /// Blocking: checks the stamps and reads again what changed.
    pub fn refresh(&self) {
        // Taken before the look, so that a change during it is seen by the next one.
        let (at, changes) = (self.age() + 1, self.changes.load(Ordering::Acquire));
        let current = self.current();
        if current.stamps.is_empty() || current.stamps.iter().any(|(path, stamp)| stamp_of(path) != *stamp) {
            let next = Arc::new(self.scan(&current));
            match self.current.write() {
                Ok(mut guard) => *guard = next,
                Err(poisoned) => *poisoned.into_inner() = next,
            }
        }
        self.checked.store(at, Ordering::Release);
        if self.changes.load(Ordering::Acquire) != changes {
            self.checked.store(0, Ordering::Release);
        }
    }

    fn scan(&self, before: &Snapshot) -> Snapshot {
        let mut out = Snapshot { stamps: vec![stamped(self.root.clone())], ..Snapshot::default() };
        let mut folders: Vec<PathBuf> = match fs::read_dir(&self.root) {
            Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| p.is_dir() && !hidden(p)).collect(),
            Err(error) => {
                tracing::warn!(folder = %self.root.display(), %error, "the skills folder cannot be read");
                Vec::new()
            }
        };
        folders.sort();
        for folder in folders {
            for file in ["", "SKILL.md", "assets", "assets/runner.json"] {
                out.stamps.push(stamped(if file.is_empty() { folder.clone() } else { folder.join(file) }));
            }
            match Skill::read(&folder, &self.engines) {
                Ok((skill, warnings)) => {
                    let known = before.skills.get(&skill.id).is_some_and(|old| old.path == skill.path);
                    for warning in warnings.iter().filter(|_| !known) {
                        tracing::warn!(skill = %skill.id, %warning, "skill");
                    }
                    if out.skills.contains_key(&skill.id) {
                        let reason = format!("the id \"{}\" is taken by another folder", skill.id);
                        out.invalid.push((folder, reason));
                    } else {
                        out.skills.insert(skill.id.clone(), Arc::new(skill));
                    }
                }
                Err(problem) => out.invalid.push((folder, problem.to_string())),
            }
        }
        for (folder, reason) in out.invalid.iter().filter(|problem| !before.invalid.contains(problem)) {
            tracing::warn!(folder = %folder.display(), %reason, "skipped: not a skill");
        }
        let list: Vec<&Skill> = out.skills.values().map(AsRef::as_ref).collect();
        out.list = serde_json::to_vec(&list).map(Bytes::from).unwrap_or_else(|_| Bytes::from_static(b"[]"));
        out
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

fn stamped(path: PathBuf) -> Stamp {
    let stamp = stamp_of(&path);
    (path, stamp)
}

fn stamp_of(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino(), m.size(), m.ctime(), m.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(root: &Path, id: &str, runner: &str) {
        fs::create_dir_all(root.join(id).join("assets")).unwrap();
        fs::write(root.join(id).join("SKILL.md"), format!("---\nname: {id}\n---\n")).unwrap();
        fs::write(root.join(id).join("assets/runner.json"), runner).unwrap();
    }

    fn registry(root: &Path) -> Registry {
        let registry = Registry::new(root.to_owned(), vec!["codex".to_owned(), "gemini".to_owned()]);
        registry.refresh();
        registry
    }

    #[test]
    fn invalid_folders_are_skipped_and_the_rest_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        skill(dir.path(), "good", r#"{"id":"good","version":"1.0.0"}"#);
        skill(dir.path(), "broken", "{");
        skill(dir.path(), "nowhere", r#"{"id":"nowhere","engines":["unknown"]}"#);
        fs::create_dir(dir.path().join("empty")).unwrap();
        skill(dir.path(), ".archive", r#"{"id":"x"}"#);
        let snapshot = registry(dir.path()).current();
        assert_eq!(snapshot.skills.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(snapshot.invalid.len(), 3);
        assert_eq!(snapshot.skills["good"].effective_engines, ["codex", "gemini"]);
        assert_eq!(snapshot.skills["good"].execution_modes, [super::super::Mode::Auto]);
    }

    #[test]
    fn a_change_on_disk_is_seen_by_the_next_check() {
        let dir = tempfile::tempdir().unwrap();
        skill(dir.path(), "one", r#"{"id":"one","version":"1.0.0"}"#);
        let registry = registry(dir.path());
        skill(dir.path(), "one", r#"{"id":"one","version":"1.0.10"}"#);
        skill(dir.path(), "two", r#"{"id":"two"}"#);
        registry.refresh();
        assert_eq!(registry.current().skills["one"].version, "1.0.10");
        assert!(registry.current().skills.contains_key("two"));
        fs::remove_dir_all(dir.path().join("two")).unwrap();
        registry.refresh();
        assert_eq!(registry.current().skills.len(), 1);
    }
}
