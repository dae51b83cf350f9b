//! What happens on schedule: old runs go, trust entries that stayed are tried again, limits that moved are taken over.

use crate::{
    admission::Load,
    config::Limits,
    error::ApiResult,
    files,
    state::App,
    store::Expired,
    time::{Millis, now_ms},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

/// What `POST /v1/jobs/cleanup` removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// Run folders with their rows.
    pub runs_deleted: usize,
    /// Requests.
    pub requests_deleted: usize,
    /// Cache entries.
    pub cache_entries_deleted: usize,
    /// Runs that have not ended, which stay.
    pub runs_active: usize,
}

/// `concurrency.json`, as init publishes a changed plan.
#[derive(Debug, Deserialize)]
struct Published {
    max_concurrent: usize,
    #[serde(default, alias = "max_queue")]
    max_queue_size: Option<usize>,
    #[serde(default)]
    binds: String,
    #[serde(default)]
    advice: String,
}

impl App {
    /// Starts the schedule; it ends with the worker.
    pub(crate) fn schedule(self: &Arc<Self>) {
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let mut cleanup = tokio::time::Instant::now() + app.config.first_cleanup;
            let mut stamp = None;
            loop {
                tokio::select! {
                    () = app.stop.wait() => return,
                    () = tokio::time::sleep(app.config.upkeep_tick) => {}
                }
                let now = stamp_of(&app.config.concurrency_file()).await;
                if now != stamp {
                    stamp = now;
                    app.take_limits().await;
                }
                app.retry_trust().await;
                if tokio::time::Instant::now() >= cleanup {
                    cleanup = tokio::time::Instant::now() + app.config.cleanup_interval;
                    app.clean_old().await;
                }
            }
        });
    }

    /// Removes what is older than its retention.
    pub async fn clean_old(&self) {
        let before = |age: Duration| now_ms() - Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX / 2);
        match self.expire(before(self.config.run_retention), before(self.config.temp_retention)).await {
            Ok(expired) if expired != Expired::default() => {
                tracing::info!(runs = expired.runs.len(), requests = expired.requests.len(), "old runs removed");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "old runs cannot be removed"),
        }
        if let Err(error) = self.store.expire_installs(before(self.config.run_retention)).await {
            tracing::error!(%error, "old installation records cannot be removed");
        }
    }

    /// Removes every run that has ended, every request without a run, and the cache.
    pub async fn clean_all(&self) -> ApiResult<Cleaned> {
        // What has just ended is written to its end first; its folder would come back behind its removal.
        for run in self.store.open_logs().await? {
            self.whole_log(&run).await;
        }
        let expired = self.expire(Millis::MAX, Millis::MAX).await?;
        Ok(Cleaned {
            runs_deleted: expired.runs.len(),
            requests_deleted: expired.requests.len(),
            cache_entries_deleted: expired.cache_entries,
            runs_active: self.store.unfinished().await?.len(),
        })
    }

    async fn expire(&self, runs_before: Millis, requests_before: Millis) -> ApiResult<Expired> {
        let expired = self.store.expire(runs_before, requests_before).await?;
        self.delete_folders(false).await?;
        Ok(expired)
    }

    /// Deletes the folders that have no row; what stays is tried again at the next cleanup. `new`: those too whose row
    /// never came.
    pub(super) async fn delete_folders(&self, new: bool) -> ApiResult<()> {
        let (data, paths) = (self.config.layout.data.clone(), self.store.folders_to_delete(new).await?);
        let deleted = tokio::task::spawn_blocking(move || {
            let gone = |path: &String| match files::remove_tree(&data.join(path)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(folder = %data.join(path).display(), %error, "a folder of a removed run stays");
                    false
                }
            };
            paths.into_iter().filter(gone).collect()
        })
        .await?;
        Ok(self.store.folders_deleted(deleted).await?)
    }

    /// Removes trust entries whose run has ended.
    pub(super) async fn retry_trust(&self) {
        let left = match self.store.trust_left().await {
            Ok(left) => left,
            Err(error) => return tracing::warn!(%error, "trust entries cannot be looked up"),
        };
        for entry in left {
            let run_id = Path::new(&entry.folder).file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !self.live.holds(&run_id) {
                self.untrust(&entry.engine, Path::new(&entry.folder)).await;
            }
        }
    }

    /// What runs and waits, how much may, what binds and what to change for more, as front ends see it.
    pub fn concurrency(&self) -> Value {
        let Load { running, queued, limits } = self.admission.load();
        let (binds, advice) = self.bound.borrow().clone();
        json!({
            "running": running, "queued": queued, "max_concurrent": limits.max_concurrent,
            "max_queue_size": limits.max_queue, "binds": binds, "advice": advice,
        })
    }

    /// Takes over the limits that init published; without the file those of the start count.
    pub async fn take_limits(&self) {
        let path = self.config.concurrency_file();
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || files::read_small(&path)).await
        };
        let limits = match read {
            Ok(Ok(bytes)) => match serde_json::from_slice::<Published>(&bytes) {
                Ok(published) => {
                    let limits = Limits {
                        max_concurrent: published.max_concurrent.max(1),
                        max_queue: published.max_queue_size.unwrap_or(self.config.limits.max_queue).max(1),
                    };
                    self.bound.send_replace((published.binds, published.advice));
                    limits
                }
                Err(error) => {
                    return tracing::warn!(path = %path.display(), %error, "the published limits cannot be read");
                }
            },
            Ok(Err(_)) | Err(_) => return,
        };
        let Load { limits: before, .. } = self.admission.load();
        if limits != before {
            tracing::info!(max_concurrent = limits.max_concurrent, max_queue = limits.max_queue, "limits changed");
            self.admission.set_limits(limits);
        }
    }
}

async fn stamp_of(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let meta = tokio::fs::metadata(path).await.ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
