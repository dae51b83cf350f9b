//! Folders below the data folder that have no row: known here, so that none stays after a crash or a failed removal.
//!
//! The data folder may hold another worker's requests and runs, so what has no row is not by that alone ours to remove.

use super::{Store, StoreError};
use rusqlite::{Connection, params};

/// A request's folder is about to be made, its row comes with the request.
fn of_request(request_id: &str) -> String {
    format!("requests/{request_id}")
}

/// The row is there.
pub(super) fn has_row(connection: &Connection, request_id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM folders WHERE path = ?1")?.execute([of_request(request_id)]).map(|_| ())
}

/// The rows go.
pub(super) fn to_delete(connection: &Connection, runs: &[String], requests: &[String]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO folders (path, is_new) VALUES (?1, 0)")?;
    for path in runs.iter().map(|id| format!("runs/{id}")).chain(requests.iter().map(|id| of_request(id))) {
        insert.execute([path])?;
    }
    Ok(())
}

impl Store {
    /// Before the folder of a request is made; with its row it is forgotten.
    pub async fn folder_coming(&self, request_id: &str) -> Result<(), StoreError> {
        let path = of_request(request_id);
        self.call(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO folders (path, is_new)
                     SELECT ?1, 1 WHERE NOT EXISTS (SELECT 1 FROM requests WHERE request_id = ?2)",
                )?
                .execute(params![path, path.strip_prefix("requests/")])
                .map(|_| ())
        })
        .await
    }

    /// Folders to delete, relative to the data folder; with `new` also those whose row never came: only at the start,
    /// when nobody is about to bring one.
    pub async fn folders_to_delete(&self, new: bool) -> Result<Vec<String>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT path FROM folders WHERE ?1 OR is_new = 0")?
                .query_map([new], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// They are gone.
    pub async fn folders_deleted(&self, paths: Vec<String>) -> Result<(), StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for path in paths {
                transaction.prepare_cached("DELETE FROM folders WHERE path = ?1")?.execute([path])?;
            }
            transaction.commit()
        })
        .await
    }
}
