//! The first thing a worker does: settle what the one before it left.
//!
//! | found | becomes |
//! | --- | --- |
//! | queued | queued again, in the old order |
//! | running | its processes ended, trust removed, failed with `ORCHESTRATOR_RESTART_INTERRUPTED` |
//! | waiting for a user | failed with `SESSION_RESUME_FAILED` (no interactive runs yet) |
//! | `.new-` folder with a row | gets its name |
//! | `.new-` folder without a row | removed |
//! | ended, its last event missing | gets it |
//! | upload that was being received or unpacked, file that was being written | removed |
//! | a request's folder whose row never came, folders of removed runs | removed |

use super::{
    RunFolder, SettledRun,
    recorder::Recorder,
    submit::{NEW, settle_name},
};
use crate::{
    engines::process,
    events::{self, kind},
    http::upload::UNFINISHED,
    state::App,
    store::{Run, RunStatus, StoreError},
};
use std::{collections::HashSet, fs, path::Path, sync::Arc, time::Duration};

/// After this every process that the worker before was starting has become its program, or is none.
const LATE: Duration = Duration::from_secs(5);

impl App {
    /// Settles it; what takes time (ending processes) goes on in the background, before any of it can run again.
    pub(crate) async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        let unfinished = self.store.unfinished().await?;
        let known: HashSet<String> = unfinished.iter().map(|run| run.run_id.clone()).collect();
        let (runs, requests) = (self.config.runs_dir(), self.config.requests_dir());
        let settled = tokio::task::spawn_blocking(move || {
            name_folders(&runs, &known);
            remove_uploads(&requests);
            crate::files::remove_temporary(&runs, &|_| false);
            for run_id in known {
                // What the engine wrote and what it was given are not ours.
                let ours = |folder: &Path| !(folder.ends_with("artifacts") || folder.ends_with("uploads"));
                crate::files::remove_temporary(&runs.join(run_id), &ours);
            }
        })
        .await;
        if let Err(error) = settled {
            tracing::error!(%error, "unfinished run folders could not be settled");
        }
        if let Err(error) = self.delete_folders(true).await {
            tracing::error!(%error, "folders without a row stay");
        }
        let open_logs = self.store.open_logs().await?;
        for run in &open_logs {
            self.events.open(&run.run_id);
        }
        let mut broken = Vec::new();
        for run in unfinished {
            // Whoever asks from now on waits for its end.
            self.events.open(&run.run_id);
            if run.status == RunStatus::Queued && RunFolder::new(&self.config.runs_dir(), &run.run_id).path().is_dir() {
                tracing::info!(run = %run.run_id, "queued again");
                self.enqueue(run, self.admission.readmit());
            } else {
                broken.push(run);
            }
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let ids: Vec<String> = broken.iter().map(|run| run.run_id.clone()).collect();
            for run in broken {
                process::sweep(None, &run.run_id).await;
                let settled = match run.status {
                    RunStatus::WaitingUser => {
                        SettledRun::failed("SESSION_RESUME_FAILED", "the session cannot be resumed")
                    }
                    RunStatus::Queued => SettledRun::failed("RUN_FOLDER_MISSING", "the run's folder is gone"),
                    _ => SettledRun::interrupted("worker_restarted"),
                };
                tracing::warn!(run = %run.run_id, "interrupted by a restart");
                app.settle(&run, settled, None).await;
            }
            app.retry_trust().await;
            app.complete_logs(open_logs).await;
            // An engine that was just being started when the worker died carried no mark yet at the first look.
            tokio::time::sleep(LATE).await;
            for id in ids {
                process::sweep(None, &id).await;
            }
        });
        Ok(())
    }

    /// A worker that died between the row and the last event left a log without an end.
    async fn complete_logs(&self, open: Vec<Run>) {
        for run in open {
            let folder = RunFolder::new(&self.config.runs_dir(), &run.run_id);
            let bell = self.events.open(&run.run_id);
            let row = run.clone();
            let completed = tokio::task::spawn_blocking(move || {
                folder.reclaim();
                let end = events::page(&folder.audit(), u64::MAX - 1, u64::MAX, 1)?.last_in_log;
                let last =
                    if end > 0 { events::page(&folder.audit(), end, end, 1)?.lines } else { bytes::Bytes::new() };
                let text = String::from_utf8_lossy(&last);
                if ![kind::COMPLETED, kind::FAILED].iter().any(|kind| text.contains(&format!("\"type\":\"{kind}\""))) {
                    let mut recorder = Recorder::open(&folder, &row.run_id, &row.engine, folder.last_attempt(), bell)?;
                    recorder.events(&SettledRun::of_row(&row).last_events("running"));
                }
                Ok::<_, std::io::Error>(())
            });
            match completed.await {
                Ok(Ok(())) => {
                    if let Err(error) = self.store.log_ended(&run.run_id).await {
                        tracing::warn!(run = %run.run_id, %error, "a completed log is not marked");
                    }
                }
                Ok(Err(error)) => tracing::warn!(run = %run.run_id, %error, "a log cannot be completed"),
                Err(error) => tracing::error!(run = %run.run_id, %error, "completing a log broke"),
            }
            self.events.end(&run.run_id);
        }
    }
}

/// Uploads of a worker that was killed, as they came and as they were unpacked: beside the requests' folders and in them.
fn remove_uploads(requests: &Path) {
    let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    for folder in files(requests).map(|entry| entry.path()).chain([requests.to_owned()]) {
        crate::files::remove_temporary(&folder, &|_| false);
        for entry in files(&folder).filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            let path = entry.path();
            let removed = if path.is_dir() { crate::files::remove_tree(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                tracing::warn!(file = %path.display(), %error, "an unfinished upload stays");
            }
        }
    }
}

fn name_folders(runs: &Path, known: &HashSet<String>) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(run_id) = name.strip_prefix(NEW) else { continue };
        let done =
            if known.contains(run_id) { settle_name(runs, run_id) } else { crate::files::remove_tree(&entry.path()) };
        if let Err(error) = done {
            tracing::warn!(folder = %entry.path().display(), %error, "an unfinished run folder stays");
        }
    }
}
