//! What keeps the store small: expiry, cleanup of everything, trust entries that could not be removed yet.

use super::{Store, StoreError, folders};
use crate::time::Millis;
use rusqlite::params;

/// Rows that were removed; their folders are to be deleted (`Store::folders_to_delete`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Runs.
    pub runs: Vec<String>,
    /// Requests.
    pub requests: Vec<String>,
    /// Cache entries that went.
    pub cache_entries: usize,
}

/// A trust entry whose removal failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustLeft {
    /// The engine.
    pub engine: String,
    /// The folder.
    pub folder: String,
}

impl Store {
    /// Removes the rows of runs that ended before `runs_before` and whose log is whole, and of requests without a run
    /// made before `requests_before`.
    pub async fn expire(&self, runs_before: Millis, requests_before: Millis) -> Result<Expired, StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let ids = |sql: &str, at: Millis| -> rusqlite::Result<Vec<String>> {
                transaction.prepare_cached(sql)?.query_map([at], |row| row.get(0))?.collect()
            };
            let runs = ids("SELECT run_id FROM runs WHERE finished_at < ?1 AND log_ended = 1", runs_before)?;
            let mut requests = ids(
                "SELECT request_id FROM requests
                 WHERE run_id IN (SELECT run_id FROM runs WHERE finished_at < ?1 AND log_ended = 1)",
                runs_before,
            )?;
            requests.extend(ids(
                "SELECT request_id FROM requests WHERE run_id IS NULL AND created_at < ?1",
                requests_before,
            )?);
            let cache_entries = transaction.execute(
                "DELETE FROM cache_entries
                 WHERE run_id IN (SELECT run_id FROM runs WHERE finished_at < ?1 AND log_ended = 1)",
                [runs_before],
            )?;
            for request in &requests {
                transaction.prepare_cached("DELETE FROM requests WHERE request_id = ?1")?.execute([request])?;
            }
            transaction.execute("DELETE FROM runs WHERE finished_at < ?1 AND log_ended = 1", [runs_before])?;
            folders::to_delete(&transaction, &runs, &requests)?;
            transaction.commit()?;
            Ok(Expired { runs, requests, cache_entries })
        })
        .await
    }

    /// Remembers a trust entry that is there, or is about to be, until `trust_gone`.
    pub async fn trust_there(&self, engine: &str, folder: &str, at: Millis) -> Result<(), StoreError> {
        let (engine, folder) = (engine.to_owned(), folder.to_owned());
        self.call(move |connection| {
            connection
                .prepare_cached("INSERT OR IGNORE INTO trust_left (engine, folder, since) VALUES (?1, ?2, ?3)")?
                .execute(params![engine, folder, at])
                .map(|_| ())
        })
        .await
    }

    /// The entry is gone.
    pub async fn trust_gone(&self, engine: &str, folder: &str) -> Result<(), StoreError> {
        let (engine, folder) = (engine.to_owned(), folder.to_owned());
        self.call(move |connection| {
            connection
                .prepare_cached("DELETE FROM trust_left WHERE engine = ?1 AND folder = ?2")?
                .execute(params![engine, folder])
                .map(|_| ())
        })
        .await
    }

    /// Every entry that should go.
    pub async fn trust_left(&self) -> Result<Vec<TrustLeft>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached("SELECT engine, folder FROM trust_left ORDER BY since")?
                .query_map([], |row| Ok(TrustLeft { engine: row.get(0)?, folder: row.get(1)? }))?
                .collect()
        })
        .await
    }
}
