//! Upgrades of the CLIs: `skill-init agents upgrade --json` as a child, one at a time, its report kept.
//!
//! `running` is a state of this process, not of the database: a row that a dead worker left is `failed` at the next
//! start and never stands in the way of the next upgrade.

use crate::{
    error::{ApiError, ApiResult},
    state::App,
    time::{now_ms, rfc3339},
};
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::process::Command;

/// `POST /v1/engines/upgrades`.
#[derive(Debug, Deserialize)]
pub struct NewUpgrade {
    /// `single` or `all`.
    pub mode: String,
    /// Which, with `single`.
    #[serde(default)]
    pub engine: Option<String>,
}

/// Longest upgrade: npm's own deadline per engine is init's matter.
const DEADLINE: Duration = Duration::from_secs(3600);
/// Of a stream that is kept.
const KEEP: usize = 16 * 1024;

impl App {
    /// Starts one; its id. 409 while another is under way, 422 for a mode or engine that is not known.
    pub async fn start_upgrade(self: &Arc<Self>, new: NewUpgrade) -> ApiResult<String> {
        let engines: Vec<String> = match (new.mode.as_str(), new.engine) {
            ("all", None) => {
                let installable = |name: &&String| self.engines.get(name).is_some_and(|e| e.unavailable.is_none());
                self.engines.names().iter().filter(installable).cloned().collect()
            }
            ("all", Some(_)) => return Err(ApiError::unprocessable("mode=all takes no engine")),
            ("single", Some(engine)) if self.engines.get(&engine).is_some() => vec![engine],
            ("single", Some(engine)) => return Err(ApiError::unprocessable(format!("engine '{engine}' is unknown"))),
            ("single", None) => return Err(ApiError::unprocessable("mode=single needs an engine")),
            _ => return Err(ApiError::unprocessable("mode is single or all")),
        };
        let Ok(only) = Arc::clone(&self.upgrading).try_lock_owned() else {
            return Err(ApiError::conflict("another engine upgrade is under way"));
        };
        let id = uuid::Uuid::new_v4().to_string();
        let (row, mode, single) =
            (id.clone(), new.mode, (engines.len() == 1).then(|| engines.first().cloned()).flatten());
        let single = if mode == "single" { single } else { None };
        self.store
            .call(move |connection| {
                connection.execute(
                    "INSERT INTO engine_upgrades (request_id, mode, engine, status, created_at, updated_at)
                     VALUES (?1, ?2, ?3, 'running', ?4, ?4)",
                    params![row, mode, single, now_ms()],
                )
            })
            .await?;
        let (app, row) = (Arc::clone(self), id.clone());
        tokio::spawn(async move {
            let mut results = Map::new();
            for engine in engines {
                let result = tokio::select! {
                    result = app.upgrade(&engine) => result,
                    () = app.stop.wait() => json!({"status": "failed", "stdout": "", "stderr": "", "error": "the worker stopped"}),
                };
                results.insert(engine, result);
                app.put_upgrade(&row, "running", Value::Object(results.clone())).await;
            }
            let good = results.values().all(|result| result.get("status").and_then(Value::as_str) == Some("succeeded"));
            app.put_upgrade(&row, if good { "succeeded" } else { "failed" }, Value::Object(results)).await;
            drop(only);
        });
        Ok(id)
    }

    /// Its record; `None`: no such upgrade.
    pub async fn upgrade_record(&self, id: &str) -> ApiResult<Option<Value>> {
        let id = id.to_owned();
        Ok(self
            .store
            .call(move |connection| {
                connection
                    .query_row("SELECT * FROM engine_upgrades WHERE request_id = ?1", [id], |row| {
                        let results: String = row.get("results")?;
                        Ok(json!({
                            "request_id": row.get::<_, String>("request_id")?,
                            "mode": row.get::<_, String>("mode")?,
                            "requested_engine": row.get::<_, Option<String>>("engine")?,
                            "status": row.get::<_, String>("status")?,
                            "results": serde_json::from_str::<Value>(&results).unwrap_or_default(),
                            "created_at": rfc3339(row.get("created_at")?),
                            "updated_at": rfc3339(row.get("updated_at")?),
                        }))
                    })
                    .optional()
            })
            .await?)
    }

    /// The record of the newest one.
    pub(crate) async fn last_upgrade(&self) -> ApiResult<Option<Value>> {
        let newest = self.store.call(|connection| {
            connection
                .query_row("SELECT request_id FROM engine_upgrades ORDER BY created_at DESC LIMIT 1", [], |row| {
                    row.get(0)
                })
                .optional()
        });
        match newest.await? {
            Some(id) => self.upgrade_record(&String::clone(&id)).await,
            None => Ok(None),
        }
    }

    /// Is one under way?
    pub(crate) fn is_upgrading(&self) -> bool {
        self.upgrading.try_lock().is_err()
    }

    /// What a dead worker left is over.
    pub(crate) async fn settle_upgrades(&self) {
        let settled = self.store.call(|connection| {
            connection.execute(
                "UPDATE engine_upgrades SET status = 'failed', updated_at = ?1 WHERE status IN ('queued', 'running')",
                [now_ms()],
            )
        });
        if let Err(error) = settled.await {
            tracing::warn!(%error, "interrupted upgrades cannot be settled");
        }
    }

    async fn put_upgrade(&self, id: &str, status: &'static str, results: Value) {
        let id = id.to_owned();
        let stored = self.store.call(move |connection| {
            connection.execute(
                "UPDATE engine_upgrades SET status = ?2, results = ?3, updated_at = ?4 WHERE request_id = ?1",
                params![id, status, results.to_string(), now_ms()],
            )
        });
        if let Err(error) = stored.await {
            tracing::error!(%error, "where an upgrade stands cannot be stored");
        }
    }

    async fn upgrade(&self, engine: &str) -> Value {
        let failed = |error: String| json!({"status": "failed", "stdout": "", "stderr": "", "error": error});
        let Some(program) = self.engines.init_program() else {
            return failed("skill-init is neither beside this program nor on PATH".to_owned());
        };
        let child = Command::new(&program)
            .args(["agents", "--json", "upgrade", engine])
            .env_clear()
            // The user and the password of the pages are nothing that an installation needs, nor what npm runs for it.
            .envs(self.config.env.0.iter().filter(|(name, _)| !name.starts_with("UI_BASIC_AUTH_")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => return failed(format!("{}: {error}", program.display())),
        };
        match tokio::time::timeout(DEADLINE, child.wait_with_output()).await {
            Err(_) => failed("the upgrade was ended at its deadline".to_owned()),
            Ok(Err(error)) => failed(error.to_string()),
            Ok(Ok(output)) => {
                let (stdout, stderr) = (tail(&output.stdout), tail(&output.stderr));
                let error = (!output.status.success())
                    .then(|| stderr.lines().last().filter(|line| !line.is_empty()).unwrap_or("failed").to_owned());
                let status = if output.status.success() { "succeeded" } else { "failed" };
                json!({"status": status, "stdout": stdout, "stderr": stderr, "error": error})
            }
        }
    }
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(KEEP)..).unwrap_or_default()).into_owned()
}
