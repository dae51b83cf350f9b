//! The schema, step by step; `user_version` says how many steps a file has seen.
//!
//! A step is never changed once released: a new one is appended.

use super::StoreError;
use rusqlite::Connection;
use std::path::Path;

const STEPS: &[&str] = &[
    // 1: requests, runs, cache, trust left over, upgrades.
    "CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        skill_id TEXT NOT NULL,
        engine TEXT NOT NULL,
        model TEXT,
        input TEXT NOT NULL,
        parameter TEXT NOT NULL,
        options TEXT NOT NULL,
        run_id TEXT,
        created_at INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX requests_run ON requests (run_id);
     CREATE INDEX requests_created ON requests (created_at);
     CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        skill_id TEXT NOT NULL,
        engine TEXT NOT NULL,
        model TEXT,
        status TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        warnings TEXT NOT NULL DEFAULT '[]',
        error TEXT,
        cache_key TEXT,
        recovery_state TEXT,
        recovered_at INTEGER,
        recovery_reason TEXT
     ) STRICT;
     CREATE INDEX runs_status ON runs (status, number);
     CREATE INDEX runs_finished ON runs (finished_at);
     CREATE TABLE cache_entries (
        cache_key TEXT PRIMARY KEY,
        run_id TEXT NOT NULL,
        created_at INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX cache_run ON cache_entries (run_id);
     CREATE TABLE trust_left (
        engine TEXT NOT NULL,
        folder TEXT NOT NULL,
        since INTEGER NOT NULL,
        PRIMARY KEY (engine, folder)
     ) STRICT;
     CREATE TABLE engine_upgrades (
        request_id TEXT PRIMARY KEY,
        mode TEXT NOT NULL,
        engine TEXT,
        status TEXT NOT NULL,
        results TEXT NOT NULL DEFAULT '{}',
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
     ) STRICT;",
    // 2: skill package installations.
    "CREATE TABLE skill_installs (
        request_id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        skill_id TEXT,
        version TEXT,
        action TEXT,
        error TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
     ) STRICT;",
    // 3: a run whose last event is in its log; what a crash leaves between row and event is found by it.
    "ALTER TABLE runs ADD COLUMN log_ended INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX runs_log_open ON runs (log_ended) WHERE log_ended = 0;",
    // 4: folders without a row: of a request whose row is not there yet, of what was removed and is still to be deleted.
    "CREATE TABLE folders (
        path TEXT PRIMARY KEY,
        is_new INTEGER NOT NULL
     ) STRICT;",
];

/// Brings the file to the present schema; each step is a transaction.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (step, number) in STEPS.iter().zip(1i64..).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_migrated_once_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let mut connection = Connection::open(&path).unwrap();
        run(&mut connection, &path).unwrap();
        run(&mut connection, &path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(run(&mut connection, &path), Err(StoreError::Newer { found: 99, .. })));
    }
}
