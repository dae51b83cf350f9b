//! A reload: one at a time, planned on the worker thread, patient with files that are being written.
//!
//! ```text
//! idle --asked--> planning --plan or mistake--> idle
//!                   │  ▲
//!          a file is being written: AGAIN later, until PATIENCE is over
//! ```
//!
//! Whoever asks during one gets another one after it, so the last change is always read, and is answered with the outcome
//! of that one. The thread is free while a file is waited for: it has kills to do.

use super::{Driver, Report};
use crate::{
    control::{
        protocol::{ErrorCode, Response},
        server::Call,
    },
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
pub(in crate::supervise) struct Rereading {
    replan: Replan,
    begun: Option<Instant>,
    /// Asked for once more meanwhile.
    more: bool,
    /// Who is owed the outcome of the one under way, and of the one after it.
    asking: Vec<Call>,
    asking_more: Vec<Call>,
    failed: bool,
}

impl Rereading {
    pub(super) fn new(replan: Replan) -> Self {
        Self { replan, begun: None, more: false, asking: Vec::new(), asking_more: Vec::new(), failed: false }
    }

    /// Did the last one come to nothing?
    pub(in crate::supervise) fn failed(&self) -> bool {
        self.failed
    }

    fn tell(&mut self, response: &Response) {
        for call in self.asking.drain(..) {
            // Whoever asked may have gone.
            let _ = call.reply.send(response.clone());
        }
    }
}

impl Driver {
    /// A reload whose outcome is the answer.
    pub(in crate::supervise) fn reload_for(&mut self, call: Call) {
        let after = self.rereading.begun.is_some();
        if !self.reload() {
            let _ = call.reply.send(busy());
            return;
        }
        let asking = if after { &mut self.rereading.asking_more } else { &mut self.rereading.asking };
        // Those that gave up are dropped here: a folder that hangs holds the thread, and more may come.
        asking.retain(|call| !call.reply.is_closed());
        asking.push(call);
    }

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
                self.rereading.failed = false;
                self.rereading.tell(&Response::done("configuration re-read"));
            }
            Err(reason) => {
                tracing::error!(reason, "configuration not re-read; everything stays as it is");
                self.rereading.failed = true;
                let message = format!("configuration not re-read; everything stays as it is: {reason}");
                self.rereading.tell(&Response::error(ErrorCode::Refused, message));
            }
        }
        self.rereading.begun = None;
        self.rereading.asking = std::mem::take(&mut self.rereading.asking_more);
        if std::mem::take(&mut self.rereading.more) && !self.reload() {
            tracing::error!("too much to do for another reload; ask again: skill-init reload");
            self.rereading.tell(&busy());
        }
    }
}

fn busy() -> Response {
    Response::error(ErrorCode::Busy, "too much to do for a reload; try again in a moment")
}
