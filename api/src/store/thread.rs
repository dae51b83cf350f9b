//! The thread that owns the connection.

use super::migrations;
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own words.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file is of a later release.
    #[error("{path} has schema {found}, newer than this program's {known}; use the newer program or move it away", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The greatest schema known.
        known: i64,
    },
    /// The thread ended.
    #[error("the database thread has ended")]
    Gone,
}

impl From<StoreError> for crate::error::ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Sqlite(sqlite) if sqlite.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                Self::no_room(error)
            }
            _ => Self::internal(error),
        }
    }
}

/// A handle on the database.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    version: Arc<AtomicU64>,
}

impl Store {
    /// Opens or creates the file, migrates it, starts the thread. Blocks; called once at the start.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What was answered stays, after a power cut too: in WAL mode NORMAL syncs at a checkpoint only (tests/vm/power.sh).
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // 1 MiB of pages: the worker's memory belongs to the agents.
        connection.pragma_update(None, "cache_size", -1024)?;
        connection.set_prepared_statement_cache_capacity(64);
        migrations::run(&mut connection, path)?;
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Ok(job) = jobs.recv() {
                    job(&mut connection);
                }
            })
            .map_err(|_| StoreError::Gone)?;
        Ok(Self { jobs: sender, version: Arc::default() })
    }

    /// Counts the pieces of work that changed something: what was read after this value was taken holds while it stays.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Runs a piece of work on the thread and waits for its result.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let version = Arc::clone(&self.version);
        self.jobs
            .send(Box::new(move |connection| {
                let before = connection.total_changes();
                let done = work(connection);
                // Before anybody is told of it: who asks after that sees it.
                if connection.total_changes() != before {
                    version.fetch_add(1, Ordering::SeqCst);
                }
                // The asker may have gone; the work is done all the same.
                let _ = answer.send(done);
            }))
            .map_err(|_| StoreError::Gone)?;
        Ok(result.await.map_err(|_| StoreError::Gone)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_version_has_risen_when_a_write_is_answered_and_stays_at_a_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("runs.db")).unwrap();
        store.call(|connection| connection.execute("CREATE TABLE t (n)", [])).await.unwrap();
        let start = store.version();
        store
            .call(|connection| connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)))
            .await
            .unwrap();
        assert_eq!(store.version(), start);
        store.call(|connection| connection.execute("INSERT INTO t VALUES (1)", [])).await.unwrap();
        assert_eq!(store.version(), start + 1);
        store.call(|connection| connection.execute("DELETE FROM t", [])).await.unwrap();
        assert_eq!(store.version(), start + 2);
    }
}
