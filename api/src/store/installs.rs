//! Installations of skill packages.

use super::{Store, StoreError};
use crate::time::{Millis, rfc3339};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

/// Where an installation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallStatus {
    /// Waits for its turn.
    Queued,
    /// Is unpacked, checked, put in place.
    Running,
    /// The skill is in place.
    Succeeded,
    /// Nothing was changed.
    Failed,
}

impl InstallStatus {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Something follows it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    fn parse(text: &str) -> Self {
        match text {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "succeeded" => Self::Succeeded,
            _ => Self::Failed,
        }
    }
}

/// An installation, as `GET /v1/skill-packages/{request_id}` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Install {
    /// Its handle.
    pub request_id: String,
    /// Where it stands.
    pub status: InstallStatus,
    /// The skill, once the package is unpacked.
    pub skill_id: Option<String>,
    /// The package's version, once it is checked; empty where it has none.
    pub version: Option<String>,
    /// `install` or `update`, once decided.
    pub action: Option<String>,
    /// Everything that is wrong, on one line.
    pub error: Option<String>,
    /// The same, one by one.
    pub errors: Vec<String>,
    /// When it came.
    #[serde(serialize_with = "timestamp")]
    pub created_at: Millis,
    /// When it last changed.
    #[serde(serialize_with = "timestamp")]
    pub updated_at: Millis,
}

fn timestamp<S: serde::Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

impl Install {
    /// A new one.
    pub fn queued(request_id: String, now: Millis) -> Self {
        Self {
            request_id,
            status: InstallStatus::Queued,
            skill_id: None,
            version: None,
            action: None,
            error: None,
            errors: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Ends it, with everything that is wrong.
    pub fn end(&mut self, result: Result<(), Vec<String>>) {
        self.status = if result.is_ok() { InstallStatus::Succeeded } else { InstallStatus::Failed };
        let problems = result.err().unwrap_or_default();
        self.errors = problems.iter().map(|problem| problem.replace('\n', " ")).collect();
        self.error = (!self.errors.is_empty()).then(|| self.errors.join("; "));
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let errors: Option<String> = row.get("error")?;
        let errors: Vec<String> = errors.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        Ok(Self {
            request_id: row.get("request_id")?,
            status: InstallStatus::parse(&row.get::<_, String>("status")?),
            skill_id: row.get("skill_id")?,
            version: row.get("version")?,
            action: row.get("action")?,
            error: (!errors.is_empty()).then(|| errors.join("; ")),
            errors,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl Store {
    /// Writes it, new or changed.
    pub async fn put_install(&self, install: Install) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO skill_installs
                        (request_id, status, skill_id, version, action, error, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    install.request_id,
                    install.status.as_str(),
                    install.skill_id,
                    install.version,
                    install.action,
                    (!install.errors.is_empty()).then(|| install.errors.join("\n")),
                    install.created_at,
                    install.updated_at,
                ])
                .map(|_| ())
        })
        .await
    }

    /// By its handle.
    pub async fn install(&self, id: &str) -> Result<Option<Install>, StoreError> {
        let id = id.to_owned();
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT * FROM skill_installs WHERE request_id = ?1")?
                .query_row([id], Install::read)
                .optional()
        })
        .await
    }

    /// All that are kept, oldest first.
    pub async fn installs(&self) -> Result<Vec<Install>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached("SELECT * FROM skill_installs ORDER BY created_at")?
                .query_map([], Install::read)?
                .collect()
        })
        .await
    }

    /// Forgets those that ended before; how many.
    pub async fn expire_installs(&self, before: Millis) -> Result<usize, StoreError> {
        self.call(move |connection| {
            connection.execute(
                "DELETE FROM skill_installs WHERE updated_at < ?1 AND status IN ('succeeded', 'failed')",
                [before],
            )
        })
        .await
    }
}
