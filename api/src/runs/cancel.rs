//! The runs that this worker holds, queued or running, and how they are asked to end.

use crate::{
    engines::process::Reason,
    error::{ApiError, ApiResult},
    runs::SettledRun,
    state::App,
    store::{Kind, RunStatus},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// Every run of this worker that has not settled.
#[derive(Debug, Default)]
pub struct Live {
    runs: Mutex<HashMap<String, watch::Sender<Option<Reason>>>>,
    changed: Notify,
}

/// A run's stay in [`Live`]: it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Stay {
    live: Arc<Live>,
    run_id: String,
    pub(super) asked: watch::Receiver<Option<Reason>>,
}

impl Live {
    /// Enters a run; `None` where it is in already.
    pub(super) fn enter(self: &Arc<Self>, run_id: &str) -> Option<Stay> {
        let mut runs = self.lock();
        if runs.contains_key(run_id) {
            return None;
        }
        let (sender, asked) = watch::channel(None);
        runs.insert(run_id.to_owned(), sender);
        Some(Stay { live: Arc::clone(self), run_id: run_id.to_owned(), asked })
    }

    /// Is it held?
    pub fn holds(&self, run_id: &str) -> bool {
        self.lock().contains_key(run_id)
    }

    /// Asks a run to end; `false` where it is not held. The first reason counts.
    pub fn ask(&self, run_id: &str, reason: Reason) -> bool {
        match self.lock().get(run_id) {
            Some(sender) => {
                sender.send_if_modified(|asked| asked.is_none() && asked.replace(reason).is_none());
                true
            }
            None => false,
        }
    }

    /// Asks all of them.
    pub fn ask_all(&self, reason: Reason) {
        for sender in self.lock().values() {
            sender.send_if_modified(|asked| asked.is_none() && asked.replace(reason).is_none());
        }
    }

    /// Until none is held, or the time is over.
    pub async fn empty(&self, within: Duration) -> bool {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if self.lock().is_empty() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Reason>>>> {
        self.runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.live.lock().remove(&self.run_id);
        self.live.changed.notify_waiters();
    }
}

/// The answer to a cancel.
#[derive(Debug, Clone, Serialize)]
pub struct CancelOutcome {
    /// The request.
    pub request_id: String,
    /// Its run.
    pub run_id: String,
    /// Where the run stands now; a running engine gets its grace before it is `canceled`.
    pub status: RunStatus,
    /// The cancel changes something.
    pub accepted: bool,
    /// In words.
    pub message: String,
}

impl App {
    /// Cancels a request's run; asking again is harmless.
    pub async fn cancel(&self, kind: Option<Kind>, request_id: &str) -> ApiResult<CancelOutcome> {
        let (request, run) = self.request_and_run(kind, request_id).await?;
        let Some(run) = run.filter(|run| run.request_id == request.request_id || run.status.is_terminal()) else {
            return Err(ApiError::conflict("the request has no run yet; upload its input first"));
        };
        let answer = |status: RunStatus, accepted: bool, message: &str| CancelOutcome {
            request_id: request.request_id.clone(),
            run_id: run.run_id.clone(),
            status,
            accepted,
            message: message.to_owned(),
        };
        if run.status.is_terminal() {
            return Ok(answer(run.status, false, "the run has already ended"));
        }
        // Taken out of the queue first: from here on nobody else starts it, or writes its result.
        if run.status == RunStatus::Queued && self.store.take_queued(&run.run_id).await? {
            let settled = self.settle(&run, SettledRun::canceled(), None).await;
            self.live.ask(&run.run_id, Reason::Canceled);
            if settled {
                return Ok(answer(RunStatus::Canceled, true, "canceled before it started"));
            }
        }
        let asked = self.live.ask(&run.run_id, Reason::Canceled);
        let now = self.store.run(&run.run_id).await?.map_or(run.status, |run| run.status);
        Ok(match (asked, now.is_terminal()) {
            (_, true) => answer(now, now == RunStatus::Canceled, "the run has ended"),
            (true, false) => answer(now, true, "the engine is being ended"),
            (false, false) => answer(now, false, "the run is not held by this worker; it is settled at the next start"),
        })
    }
}
