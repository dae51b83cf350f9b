//! The one way a run ends: result file, bundles, one conditional row change, last events.
//!
//! Files first, then the row: whoever sees a terminal status finds the result whole. Of two that end a run, the one
//! whose row change counts writes the last events.

use super::{Options, RunFolder, execute::STORE_AGAIN, recorder::Recorder, settled::SettledRun};
use crate::{
    events::{Draft, kind},
    state::App,
    store::{Finish, Kind, Run, RunStatus},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

impl App {
    /// Ends a run; `false` where it had ended already.
    pub(super) async fn settle(&self, run: &Run, settled: SettledRun, recorder: Option<Recorder>) -> bool {
        let folder = RunFolder::new(&self.config.runs_dir(), &run.run_id);
        let timeout = self.session_timeout();
        let prepared = {
            let (folder, settled) = (folder.clone(), settled.clone());
            tokio::task::spawn_blocking(move || settled.write_down(&folder, timeout))
        };
        // A panic in there must not keep the run from ending.
        let settled = prepared.await.unwrap_or(settled);
        let finish = Finish {
            status: settled.status,
            warnings: settled.warnings_json(),
            error: settled.error.clone(),
            cache: settled.cache.clone(),
            recovery: settled.recovery,
        };
        let ended = self.store_end(&run.run_id, finish).await;
        if ended {
            let from = run.status.as_str().to_owned();
            let (bell, engine, run_id) = (self.events.open(&run.run_id), run.engine.clone(), run.run_id.clone());
            let last = tokio::task::spawn_blocking(move || {
                let attempt = folder.last_attempt();
                let recorder = match recorder {
                    Some(recorder) => Ok(recorder),
                    None => Recorder::open(&folder, &run_id, &engine, attempt, Arc::clone(&bell)),
                };
                match recorder {
                    Ok(mut recorder) => recorder.events(&settled.last_events(&from)),
                    Err(error) => tracing::error!(run = %run_id, %error, "the last events cannot be written"),
                }
            });
            let _ = last.await;
            self.drop_temporary_skill(run).await;
            if let Err(error) = self.store.log_ended(&run.run_id).await {
                tracing::warn!(run = %run.run_id, %error, "the next start looks at this log again");
            }
            self.events.end(&run.run_id);
        }
        ended
    }

    /// Asks a database that refuses (a full volume) again: until the end is stored, clients see the run as running.
    async fn store_end(&self, run_id: &str, finish: Finish) -> bool {
        loop {
            match self.store.finish_run(run_id, finish.clone()).await {
                Ok(ended) => return ended,
                Err(error) => tracing::error!(run = %run_id, %error, "the end of a run cannot be stored yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(STORE_AGAIN) => {}
                () = self.stop.wait() => {
                    tracing::error!(run = %run_id, "the end of a run is not stored; the next start settles it");
                    return false;
                }
            }
        }
    }

    /// A temporary skill has served its run; `debug_keep_temp` keeps it until its request goes.
    async fn drop_temporary_skill(&self, run: &Run) {
        if run.kind != Kind::Temp {
            return;
        }
        let keep = match self.store.request(&run.request_id).await {
            Ok(Some(request)) => Options::parse(&request.options).is_ok_and(|options| options.debug_keep_temp),
            Ok(None) => false,
            Err(_) => true,
        };
        if keep {
            return;
        }
        let folder = self.config.requests_dir().join(&run.request_id).join("skill");
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || crate::files::remove_tree(&folder)).await {
            tracing::warn!(request = %run.request_id, %error, "a temporary skill stays until its request goes");
        }
    }

    /// Until the log of a run that has ended is whole: its row changes a moment before its last event is written.
    pub async fn whole_log(&self, run: &Run) {
        if run.status.is_terminal()
            && let Some(mut bell) = self.events.listen(&run.run_id)
        {
            let _ = tokio::time::timeout(Duration::from_secs(5), bell.wait_for(|mark| mark.ended)).await;
        }
    }

    /// Seconds that an interactive run waits for its user.
    pub(super) fn session_timeout(&self) -> u64 {
        u64::try_from(self.config.settings.get(&skill_init::settings::keys::SESSION_TIMEOUT)).unwrap_or(1200)
    }
}

impl SettledRun {
    /// Writes result, status file and bundles; a result that cannot be kept is none. Blocking.
    fn write_down(mut self, folder: &RunFolder, timeout: u64) -> Self {
        folder.reclaim();
        if let Err(error) = crate::files::write_json(&folder.result(), &self.result(folder)) {
            tracing::error!(folder = %folder.path().display(), %error, "result.json cannot be written");
            if self.status == RunStatus::Succeeded {
                let message = format!("the result cannot be kept: {}: {error}", folder.result().display());
                self = Self { warnings: self.warnings, ..Self::failed("RUN_FOLDER_UNUSABLE", message) };
            }
        }
        folder.write_status(self.status, &self.warnings_json(), self.error.as_ref(), timeout);
        if let Err(error) = folder.build_bundles() {
            tracing::error!(folder = %folder.path().display(), %error, "the bundles cannot be built");
            self.warnings.push(format!("BUNDLE_NOT_BUILT: {error}"));
        }
        self
    }

    /// The events that say how it ended.
    pub(super) fn last_events(&self, from: &str) -> Vec<Draft> {
        let mut out: Vec<Draft> = Vec::new();
        out.push(Draft::state(from, self.status.as_str()));
        out.push(match self.status {
            RunStatus::Succeeded => Draft::new(kind::COMPLETED, json!({"status": self.status})),
            _ => Draft::new(kind::FAILED, json!({"status": self.status, "error": self.error})),
        });
        out
    }
}
