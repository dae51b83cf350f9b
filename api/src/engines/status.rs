//! Init's JSON files, read when they change: which CLIs are there, in which version.

use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// `agent_status.json`.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(transparent)]
pub struct Status(pub BTreeMap<String, One>);

/// One engine in it.
#[derive(Debug, Default, Clone, serde::Deserialize)]
pub struct One {
    /// Installed and it ran.
    #[serde(default)]
    pub present: bool,
    /// The first line of `--version`.
    #[serde(default)]
    pub version: String,
}

impl Status {
    /// The dotted number of an engine that is present.
    pub fn version(&self, engine: &str) -> Option<String> {
        self.0.get(engine).filter(|one| one.present).and_then(|one| dotted_version(&one.version))
    }
}

/// The first `N.N.N` in a text: `codex-cli 0.169.0` -> `0.169.0`.
pub fn dotted_version(text: &str) -> Option<String> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .find(|part| {
            let numbers: Vec<&str> = part.split('.').collect();
            numbers.len() >= 3 && numbers.iter().all(|n| !n.is_empty())
        })
        .map(str::to_owned)
}

/// A small JSON file, parsed once per change.
#[derive(Debug)]
pub(crate) struct Cached<T>(Mutex<Option<(Stamp, Arc<T>)>>);

type Stamp = (u64, u64, i64, i64);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: DeserializeOwned + Default + Send + Sync + 'static> Cached<T> {
    /// The file's content; the default while it is missing or unreadable.
    pub(crate) async fn read(&self, path: &Path) -> Arc<T> {
        let path: PathBuf = path.to_owned();
        let Ok(meta) = tokio::fs::metadata(&path).await else { return Arc::default() };
        let stamp = (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
        if let Ok(guard) = self.0.lock()
            && let Some((known, value)) = &*guard
            && *known == stamp
        {
            return Arc::clone(value);
        }
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || crate::files::read_small(&path)).await
        };
        let value = match read
            .map_err(|e| e.to_string())
            .and_then(|read| read.map_err(|e| e.to_string()))
            .and_then(|bytes| serde_json::from_slice::<T>(&bytes).map_err(|e| e.to_string()))
        {
            Ok(value) => Arc::new(value),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "status file cannot be used");
                Arc::default()
            }
        };
        if let Ok(mut guard) = self.0.lock() {
            *guard = Some((stamp, Arc::clone(&value)));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_the_clis_print() {
        assert_eq!(dotted_version("codex-cli 0.169.0").as_deref(), Some("0.169.0"));
        assert_eq!(dotted_version("2.1.197 (Claude Code)").as_deref(), Some("2.1.197"));
        assert_eq!(dotted_version("1.18"), None);
        assert_eq!(dotted_version(""), None);
    }
}
