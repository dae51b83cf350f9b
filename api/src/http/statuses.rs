//! Status records as they were answered last, for as long as the database has not changed since.
//!
//! Clients poll them, and most polls find nothing new: those cost neither a query nor a change of thread. An entry counts
//! only while the database's version is that from before its query, so an answer is never older than the last write that
//! somebody was told of. Bounded: a full table starts afresh, and what is long is not kept.

use crate::store::Kind;
use axum::body::Bytes;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

const MOST: usize = 1024;
/// A record with long warnings or a long error is asked for again.
const LONGEST: usize = 2048;

/// Kind of the route and request id -> version and record.
#[derive(Debug, Default)]
pub struct Statuses(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    version: u64,
    records: HashMap<(Option<Kind>, String), Bytes>,
}

impl Statuses {
    /// The record as of this version of the database.
    pub(super) fn get(&self, kind: Option<Kind>, id: &str, version: u64) -> Option<Bytes> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.version != version {
            return None;
        }
        table.records.get(&(kind, id.to_owned())).cloned()
    }

    /// Keeps a record; `version`: read before its query.
    pub(super) fn keep(&self, kind: Option<Kind>, id: String, version: u64, record: Bytes) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if record.len() > LONGEST || version < table.version {
            return;
        }
        if version > table.version || table.records.len() >= MOST {
            *table = Table { version, records: HashMap::new() };
        }
        table.records.insert((kind, id), record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Option<Kind> = Some(Kind::Job);

    #[test]
    fn a_record_counts_for_its_version_and_its_kind_of_route() {
        let statuses = Statuses::default();
        statuses.keep(JOB, "a".to_owned(), 3, Bytes::from_static(b"queued"));
        assert_eq!(statuses.get(JOB, "a", 3).as_deref(), Some(b"queued".as_slice()));
        assert_eq!(statuses.get(Some(Kind::Temp), "a", 3), None);
        assert_eq!(statuses.get(JOB, "a", 4), None);
        // Somebody's query began before the write and ends after it.
        statuses.keep(JOB, "b".to_owned(), 4, Bytes::from_static(b"running"));
        statuses.keep(JOB, "a".to_owned(), 3, Bytes::from_static(b"queued"));
        assert_eq!((statuses.get(JOB, "a", 3), statuses.get(JOB, "a", 4)), (None, None));
        assert!(statuses.get(JOB, "b", 4).is_some());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let statuses = Statuses::default();
        for n in 0..=MOST {
            statuses.keep(JOB, n.to_string(), 1, Bytes::from_static(b"x"));
        }
        assert_eq!((statuses.get(JOB, "0", 1), statuses.0.lock().unwrap().records.len()), (None, 1));
        statuses.keep(JOB, "long".to_owned(), 1, vec![b'x'; LONGEST + 1].into());
        assert_eq!(statuses.get(JOB, "long", 1), None);
    }
}
