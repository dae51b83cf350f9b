//! Requests: what a client asked for.

use super::{Run, Store, StoreError, folders};
use crate::time::Millis;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

/// Of an installed skill, or of one that came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `/v1/jobs`.
    Job,
    /// `/v1/temp-skill-runs`.
    Temp,
}

impl Kind {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Temp => "temp",
        }
    }
    pub(super) fn parse(text: &str) -> Self {
        if text == "temp" { Self::Temp } else { Self::Job }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its id, which the client knows.
    pub request_id: String,
    /// Where it came in.
    pub kind: Kind,
    /// The skill; empty for a temporary one before its upload.
    pub skill_id: String,
    /// The engine.
    pub engine: String,
    /// The model, where asked for.
    pub model: Option<String>,
    /// Inline input, an object.
    pub input: Value,
    /// Parameters, an object.
    pub parameter: Value,
    /// Runtime options, an object.
    pub options: Value,
    /// Its run, once there is one (an older one on a cache hit).
    pub run_id: Option<String>,
    /// When it came.
    pub created_at: Millis,
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

impl Request {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            request_id: row.get("request_id")?,
            kind: Kind::parse(&row.get::<_, String>("kind")?),
            skill_id: row.get("skill_id")?,
            engine: row.get("engine")?,
            model: row.get("model")?,
            input: json(row.get("input")?),
            parameter: json(row.get("parameter")?),
            options: json(row.get("options")?),
            run_id: row.get("run_id")?,
            created_at: row.get("created_at")?,
        })
    }

    pub(super) fn upsert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO requests (request_id, kind, skill_id, engine, model, input, parameter, options, run_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (request_id) DO UPDATE SET skill_id = ?3, run_id = ?9",
            )?
            .execute(params![
                self.request_id,
                self.kind.as_str(),
                self.skill_id,
                self.engine,
                self.model,
                self.input.to_string(),
                self.parameter.to_string(),
                self.options.to_string(),
                self.run_id,
                self.created_at,
            ])?;
        Ok(())
    }
}

/// What became of a request that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is written.
    Written,
    /// It has a run already; nothing was written.
    Started,
    /// The earlier run that was to answer it has been removed meanwhile; nothing was written.
    RunGone,
}

impl Store {
    /// Writes a request, with its run where one starts: both or none.
    pub async fn put_request(&self, request: Request, run: Option<Run>) -> Result<Put, StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let taken: Option<Option<String>> = transaction
                .prepare_cached("SELECT run_id FROM requests WHERE request_id = ?1")?
                .query_row([&request.request_id], |row| row.get(0))
                .optional()?;
            if let Some(Some(_)) = taken {
                return Ok(Put::Started);
            }
            if let (Some(run_id), None) = (&request.run_id, &run)
                && Run::find(&transaction, run_id)?.is_none()
            {
                return Ok(Put::RunGone);
            }
            request.upsert(&transaction)?;
            folders::has_row(&transaction, &request.request_id)?;
            if let Some(run) = run {
                run.insert(&transaction)?;
            }
            transaction.commit()?;
            Ok(Put::Written)
        })
        .await
    }

    /// A request by id.
    pub async fn request(&self, id: &str) -> Result<Option<Request>, StoreError> {
        let id = id.to_owned();
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT * FROM requests WHERE request_id = ?1")?
                .query_row([id], Request::read)
                .optional()
        })
        .await
    }

    /// A request and its run in one look.
    pub async fn request_and_run(&self, id: &str) -> Result<Option<(Request, Option<Run>)>, StoreError> {
        let id = id.to_owned();
        self.call(move |connection| {
            let request = connection
                .prepare_cached("SELECT * FROM requests WHERE request_id = ?1")?
                .query_row([id], Request::read)
                .optional()?;
            let Some(request) = request else { return Ok(None) };
            let run = match &request.run_id {
                Some(run_id) => Run::find(connection, run_id)?,
                None => None,
            };
            Ok(Some((request, run)))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_request_is_never_answered_by_a_run_that_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("runs.db")).unwrap();
        let request = |run_id: Option<&str>| Request {
            request_id: "r".to_owned(),
            kind: Kind::Job,
            skill_id: "demo".to_owned(),
            engine: "codex".to_owned(),
            model: None,
            input: json!({}),
            parameter: json!({}),
            options: json!({}),
            run_id: run_id.map(str::to_owned),
            created_at: 1,
        };
        assert_eq!(store.put_request(request(Some("gone")), None).await.unwrap(), Put::RunGone);
        assert!(store.request("r").await.unwrap().is_none());
        assert_eq!(store.put_request(request(None), None).await.unwrap(), Put::Written);
        assert_eq!(store.put_request(request(Some("gone")), None).await.unwrap(), Put::RunGone);
        assert_eq!(store.request("r").await.unwrap().unwrap().run_id, None);
    }
}
