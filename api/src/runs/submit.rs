//! From a request that has all it needs to a queued run, or to the result that the cache has.
//!
//! Order, so that a crash at any point leaves nothing half: a place in the queue (429 before anything is written), the
//! folder under a name of its own, one transaction with request and run, then the folder's final name. The next start
//! finishes or removes what lies in between.

use super::{Options, RunFolder, cache_key::Key, create::Created, settled::SettledRun};
use crate::{
    admission::Place,
    error::{ApiError, ApiResult},
    files,
    skills::{Mode, Skill},
    state::App,
    store::{Put, Request, Run, RunStatus},
    time::now_ms,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// A request that is about to become a run.
pub(super) struct Start {
    pub(super) request: Request,
    pub(super) skill: Arc<Skill>,
    pub(super) options: Options,
    pub(super) input: Value,
    pub(super) uploads: Option<PathBuf>,
}

impl App {
    /// The cache, else a place and a run.
    pub(super) async fn submit(self: &Arc<Self>, start: Start, place: Option<Place>) -> ApiResult<Created> {
        let Start { mut request, skill, options, input, uploads } = start;
        let request_id = request.request_id.clone();
        let key = {
            let (skill, request, uploads) = (Arc::clone(&skill), request.clone(), uploads.clone());
            tokio::task::spawn_blocking(move || {
                Key { skill: &skill, request: &request, uploads: uploads.as_deref() }.hash()
            })
            .await??
        };
        let cache = options.mode == Mode::Auto && !options.no_cache;
        if cache
            && let Some(run) = self.store.cached(&key).await?
            && tokio::fs::try_exists(RunFolder::new(&self.config.runs_dir(), &run.run_id).result()).await?
        {
            request.run_id = Some(run.run_id);
            self.write_request(&request).await?;
            match self.store.put_request(request.clone(), None).await? {
                Put::Written => {
                    return Ok(Created { request_id, cache_hit: true, status: Some(RunStatus::Succeeded) });
                }
                Put::Started => return Err(ApiError::conflict("the request has been started already")),
                // A cleanup was faster: it runs after all.
                Put::RunGone => request.run_id = None,
            }
        }
        let place = match place {
            Some(place) => place,
            None => self.admission.admit().map_err(|_| ApiError::queue_full())?,
        };
        let run_id = Uuid::new_v4().to_string();
        let now = now_ms();
        let run = Run {
            run_id: run_id.clone(),
            request_id: request_id.clone(),
            kind: request.kind,
            skill_id: skill.id.clone(),
            engine: request.engine.clone(),
            model: request.model.clone(),
            status: RunStatus::Queued,
            created_at: now,
            updated_at: now,
            started_at: None,
            finished_at: None,
            warnings: json!([]),
            error: None,
            cache_key: cache.then_some(key),
            recovery_state: None,
            recovered_at: None,
            recovery_reason: None,
        };
        self.write_request(&request).await?;
        let record = json!({"skill_id": skill.id, "engine": request.engine, "model": request.model, "input": input,
            "parameter": request.parameter, "runtime_options": request.options, "request_id": request_id});
        let (runs, timeout) = (self.config.runs_dir(), self.session_timeout());
        let (id, from) = (run_id.clone(), uploads);
        tokio::task::spawn_blocking(move || {
            let folder = RunFolder::at(runs.join(format!("{NEW}{id}")));
            let made = folder
                .create(&record)
                .and_then(|()| from.map_or(Ok(()), |from| files::copy_tree(&from, &folder.uploads())));
            match made {
                Ok(()) => folder.write_status(RunStatus::Queued, &json!([]), None, timeout),
                // What cannot be removed either, the next start removes.
                Err(_) => drop(files::remove_tree(folder.path())),
            }
            made
        })
        .await??;
        request.run_id = Some(run_id.clone());
        self.events.open(&run_id);
        let stored = self.store.put_request(request, Some(run.clone())).await;
        if !matches!(stored, Ok(Put::Written)) {
            self.events.end(&run_id);
            let path = self.config.runs_dir().join(format!("{NEW}{run_id}"));
            let _ = tokio::task::spawn_blocking(move || files::remove_tree(&path)).await;
            stored?;
            return Err(ApiError::conflict("the request has been started already"));
        }
        let (runs, id) = (self.config.runs_dir(), run_id.clone());
        let named = tokio::task::spawn_blocking(move || {
            settle_name(&runs, &id).inspect_err(|_| drop(files::remove_tree(&runs.join(format!("{NEW}{id}")))))
        });
        if let Err(error) = named.await? {
            // Its row is there, and nobody would ever start it.
            let failed = SettledRun::failed("RUN_FOLDER_MISSING", format!("the run's folder cannot be made: {error}"));
            self.settle(&run, failed, None).await;
            return Err(error.into());
        }
        self.enqueue(run, place);
        Ok(Created { request_id, cache_hit: false, status: Some(RunStatus::Queued) })
    }

    pub(super) async fn write_request(&self, request: &Request) -> ApiResult<()> {
        let folder = self.config.requests_dir().join(&request.request_id);
        let record = json!({
            "request_id": request.request_id, "skill_id": request.skill_id, "engine": request.engine,
            "model": request.model, "input": request.input, "parameter": request.parameter,
            "runtime_options": request.options, "created_at": crate::time::rfc3339(request.created_at),
        });
        self.store.folder_coming(&request.request_id).await?;
        tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            files::write_json(&folder.join("request.json"), &record)
        })
        .await??;
        Ok(())
    }
}

/// Prefix of a run folder before its row is there.
pub(super) const NEW: &str = ".new-";

/// Gives a run's folder its final name. Blocking.
pub(super) fn settle_name(runs: &Path, run_id: &str) -> std::io::Result<()> {
    std::fs::rename(runs.join(format!("{NEW}{run_id}")), runs.join(run_id))?;
    // For people; two runs that start at once may write it in either order.
    let _ = files::write_atomic(&runs.join("latest_run_id"), run_id.as_bytes());
    Ok(())
}
