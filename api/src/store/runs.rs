//! Runs: what became of a request.

use super::{Kind, Store, StoreError};
use crate::time::{Millis, now_ms};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for a slot.
    Queued,
    /// Its engine runs, or is about to.
    Running,
    /// Waits for its user.
    WaitingUser,
    /// Done, with a valid result.
    Succeeded,
    /// Done, without one.
    Failed,
    /// Ended by a client.
    Canceled,
}

impl RunStatus {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::WaitingUser, Self::Succeeded, Self::Failed, Self::Canceled];

    /// By its name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::WaitingUser => "waiting_user",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
    /// Nothing follows it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
    fn parse(text: &str) -> Self {
        Self::named(text).unwrap_or(Self::Failed)
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id, the name of its folder.
    pub run_id: String,
    /// The request that started it.
    pub request_id: String,
    /// Of an installed or a temporary skill.
    pub kind: Kind,
    /// The skill.
    pub skill_id: String,
    /// The engine.
    pub engine: String,
    /// The model.
    pub model: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// Made.
    pub created_at: Millis,
    /// Last change.
    pub updated_at: Millis,
    /// Got its slot.
    pub started_at: Option<Millis>,
    /// Reached a terminal status.
    pub finished_at: Option<Millis>,
    /// Warnings, a list.
    pub warnings: Value,
    /// `{code, message}` of a failure.
    pub error: Option<Value>,
    /// Under which its result is kept.
    pub cache_key: Option<String>,
    /// `failed_reconciled` where a restart ended it.
    pub recovery_state: Option<String>,
    /// When the restart found it.
    pub recovered_at: Option<Millis>,
    /// Why.
    pub recovery_reason: Option<String>,
}

/// How a run ends.
#[derive(Debug, Clone)]
pub struct Finish {
    /// A terminal status.
    pub status: RunStatus,
    /// Warnings, a list.
    pub warnings: Value,
    /// `{code, message}`.
    pub error: Option<Value>,
    /// Keep the result under this key.
    pub cache: Option<String>,
    /// `(state, reason)` where a restart ends it.
    pub recovery: Option<(&'static str, &'static str)>,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this status only.
    pub status: Option<RunStatus>,
    /// At most this many, newest first.
    pub limit: usize,
    /// After this many.
    pub offset: usize,
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Beyond what SQLite counts there is nothing.
fn to_sql(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Run {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            run_id: row.get("run_id")?,
            request_id: row.get("request_id")?,
            kind: Kind::parse(&row.get::<_, String>("kind")?),
            skill_id: row.get("skill_id")?,
            engine: row.get("engine")?,
            model: row.get("model")?,
            status: RunStatus::parse(&row.get::<_, String>("status")?),
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            warnings: json(row.get("warnings")?),
            error: row.get::<_, Option<String>>("error")?.map(json),
            cache_key: row.get("cache_key")?,
            recovery_state: row.get("recovery_state")?,
            recovered_at: row.get("recovered_at")?,
            recovery_reason: row.get("recovery_reason")?,
        })
    }

    pub(super) fn find(connection: &Connection, run_id: &str) -> rusqlite::Result<Option<Self>> {
        connection.prepare_cached("SELECT * FROM runs WHERE run_id = ?1")?.query_row([run_id], Self::read).optional()
    }

    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO runs (run_id, request_id, kind, skill_id, engine, model, status, created_at, updated_at, warnings, cache_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                self.run_id,
                self.request_id,
                self.kind.as_str(),
                self.skill_id,
                self.engine,
                self.model,
                self.status.as_str(),
                self.created_at,
                self.updated_at,
                self.warnings.to_string(),
                self.cache_key,
            ])?;
        Ok(())
    }
}

impl Store {
    /// A run by id.
    pub async fn run(&self, run_id: &str) -> Result<Option<Run>, StoreError> {
        let run_id = run_id.to_owned();
        self.call(move |connection| Run::find(connection, &run_id)).await
    }

    /// Queued -> running; `false` where it is no longer queued.
    pub async fn start_run(&self, run_id: &str) -> Result<bool, StoreError> {
        let (run_id, now) = (run_id.to_owned(), now_ms());
        self.call(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE runs SET status = 'running', started_at = ?2, updated_at = ?2 WHERE run_id = ?1 AND status = 'queued'",
                )?
                .execute(params![run_id, now])?;
            Ok(changed == 1)
        })
        .await
    }

    /// Takes a run out of the queue for who is about to end it; `false` where it is no longer queued.
    pub async fn take_queued(&self, run_id: &str) -> Result<bool, StoreError> {
        let run_id = run_id.to_owned();
        self.call(move |connection| {
            let changed = connection
                .prepare_cached("UPDATE runs SET status = 'running' WHERE run_id = ?1 AND status = 'queued'")?
                .execute([run_id])?;
            Ok(changed == 1)
        })
        .await
    }

    /// Ends a run that has not ended; `false` where it had.
    pub async fn finish_run(&self, run_id: &str, finish: Finish) -> Result<bool, StoreError> {
        let (run_id, now) = (run_id.to_owned(), now_ms());
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let recovery = finish.recovery;
            let changed = transaction
                .prepare_cached(
                    "UPDATE runs SET status = ?2, updated_at = ?3, finished_at = ?3, warnings = ?4, error = ?5,
                        recovery_state = coalesce(?6, recovery_state), recovery_reason = coalesce(?7, recovery_reason),
                        recovered_at = CASE WHEN ?6 IS NULL THEN recovered_at ELSE ?3 END
                     WHERE run_id = ?1 AND status IN ('queued', 'running', 'waiting_user')",
                )?
                .execute(params![
                    run_id,
                    finish.status.as_str(),
                    now,
                    finish.warnings.to_string(),
                    finish.error.map(|e| e.to_string()),
                    recovery.map(|r| r.0),
                    recovery.map(|r| r.1),
                ])?;
            if changed == 1
                && let Some(key) = finish.cache
            {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO cache_entries (cache_key, run_id, created_at) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![key, run_id, now])?;
            }
            transaction.commit()?;
            Ok(changed == 1)
        })
        .await
    }

    /// The succeeded run kept under this key.
    pub async fn cached(&self, key: &str) -> Result<Option<Run>, StoreError> {
        let key = key.to_owned();
        self.call(move |connection| {
            connection
                .prepare_cached(
                    "SELECT runs.* FROM cache_entries JOIN runs USING (run_id)
                     WHERE cache_entries.cache_key = ?1 AND status = 'succeeded'",
                )?
                .query_row([key], Run::read)
                .optional()
        })
        .await
    }

    /// Runs, newest first, and how many there are in all.
    pub async fn runs(&self, filter: RunFilter) -> Result<(Vec<Run>, u64), StoreError> {
        self.call(move |connection| {
            let status = filter.status.map(RunStatus::as_str);
            let runs = connection
                .prepare_cached(
                    "SELECT * FROM runs WHERE ?1 IS NULL OR status = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3",
                )?
                .query_map(params![status, to_sql(filter.limit), to_sql(filter.offset)], Run::read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let total: i64 = connection
                .prepare_cached("SELECT count(*) FROM runs WHERE ?1 IS NULL OR status = ?1")?
                .query_row([status], |row| row.get(0))?;
            Ok((runs, u64::try_from(total).unwrap_or(0)))
        })
        .await
    }

    /// The last event of a run is in its log.
    pub async fn log_ended(&self, run_id: &str) -> Result<(), StoreError> {
        let run_id = run_id.to_owned();
        self.call(move |connection| {
            connection.prepare_cached("UPDATE runs SET log_ended = 1 WHERE run_id = ?1")?.execute([run_id]).map(|_| ())
        })
        .await
    }

    /// Runs that ended and whose last event may be missing.
    pub async fn open_logs(&self) -> Result<Vec<Run>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached(
                    "SELECT * FROM runs WHERE log_ended = 0 AND status IN ('succeeded', 'failed', 'canceled') ORDER BY number",
                )?
                .query_map([], Run::read)?
                .collect()
        })
        .await
    }

    /// Every run that has not ended, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Run>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached(
                    "SELECT * FROM runs WHERE status IN ('queued', 'running', 'waiting_user') ORDER BY number",
                )?
                .query_map([], Run::read)?
                .collect()
        })
        .await
    }
}
