//! A reload: one at a time, planned on the worker thread, patient with files that are being written.
//!
//! ```text
//! idle --asked--> planning --plan or mistake--> idle
//!                   │  ▲
//!          a file is being written: AGAIN later, until PATIENCE is over
//! ```
//!
//! Whoever asks during one gets another one after it, so the last change is always read. The thread is free while a file
//! is waited for: it has kills to do.

use super::{Driver, Report};
use crate::{
    settings::{PATIENCE, service::ServiceSpec},
    supervise::{
        launch::Surroundings,
        machine::{Event, StopPlan},
        watch::Watch,
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// What a new plan changes in a running supervisor.
#[derive(Debug, Clone)]
pub struct Replanned {
    /// The services.
    pub specs: Vec<ServiceSpec>,
    /// Environment and secrets for what is started from now on.
    pub around: Surroundings,
    /// For `status`.
    pub concurrency: crate::control::protocol::Concurrency,
    /// How long a stop may take.
    pub stop: StopPlan,
    /// The slow tick, its thresholds and rules.
    pub watch: Watch,
}

/// Makes a new plan: reads configuration and limits, imports credentials. Runs on the worker thread. `None`: a file is
/// being written; asked with `true` it takes what there is.
pub type Replan = Arc<dyn Fn(bool) -> Result<Option<Replanned>, String> + Send + Sync>;

/// The answer of the worker thread.
pub(super) type Outcome = Result<Option<Box<Replanned>>, String>;

/// Until a file that is being written is read again.
const AGAIN: Duration = Duration::from_millis(20);

/// The reload that is under way, if one is.
pub(super) struct Rereading {
    replan: Replan,
    begun: Option<Instant>,
    /// Asked for once more meanwhile.
    more: bool,
}

impl Rereading {
    pub(super) fn new(replan: Replan) -> Self {
        Self { replan, begun: None, more: false }
    }
}

impl Driver {
    /// Begins a reload, or notes that one more is wanted; false if the worker thread has too much to do.
    pub(in crate::supervise) fn reload(&mut self) -> bool {
        if self.rereading.begun.is_some() {
            self.rereading.more = true;
            return true;
        }
        self.rereading.begun = Some(Instant::now());
        if !self.reread() {
            self.rereading.begun = None;
        }
        self.rereading.begun.is_some()
    }

    fn reread(&self) -> bool {
        let insist = self.rereading.begun.is_none_or(|begun| begun.elapsed() >= PATIENCE);
        let (replan, reports) = (Arc::clone(&self.rereading.replan), self.reports.clone());
        self.worker.run(move || {
            // Without an answer there would never be another reload.
            let plan = catch_unwind(AssertUnwindSafe(|| replan(insist)));
            let plan = plan.unwrap_or_else(|_| Err("a fault of skill-init itself; report it with the log".to_owned()));
            let _ = reports.send(Report::Replanned(plan.map(|plan| plan.map(Box::new))));
        })
    }

    /// The wait is over; where the thread is busy it goes on.
    pub(super) fn reread_now(&self) {
        if !self.reread() {
            self.reread_later();
        }
    }

    fn reread_later(&self) {
        let reports = self.reports.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AGAIN).await;
            let _ = reports.send(Report::Reread);
        });
    }

    pub(super) fn replanned(&mut self, outcome: Outcome) {
        match outcome {
            Ok(None) => return self.reread_later(),
            Ok(Some(plan)) => {
                let notify_socket = self.around.notify_socket.take();
                self.around = Surroundings { notify_socket, ..plan.around };
                self.told.concurrency = plan.concurrency;
                self.machine.set_stop(plan.stop);
                self.watch = plan.watch;
                tracing::info!("configuration re-read");
                self.feed(Event::Reload(plan.specs));
            }
            Err(reason) => tracing::error!(reason, "configuration not re-read; everything stays as it is"),
        }
        self.rereading.begun = None;
        if std::mem::take(&mut self.rereading.more) && !self.reload() {
            tracing::error!("too much to do for another reload; ask again: skill-init reload");
        }
    }
}
