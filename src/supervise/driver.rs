//! The loop: turns signals, ended children, answers and requests into events, and the machine's actions into deeds.
//!
//! Invariants: nothing in here blocks (what may block goes to the worker thread); only `Children` makes or reaps
//! processes; the clock that the machine sees stands still while the container is frozen.

mod deeds;
mod news;
mod reread;
mod watching;

use super::{
    children::Children,
    health,
    launch::Surroundings,
    log,
    machine::{Action, Answer, Event, Machine, Phase, ServiceId, StopPlan},
    notify::{Notification, NotifySocket},
    probing::Which,
    schedule::Now,
    service::State,
    signals::Signals,
    watch::{Observation, Watch},
    worker::Worker,
};
use crate::{
    control::server::{Call, Server},
    exit::Exit,
    layout::Root,
    probe::oom::Ledger,
    settings::service::ServiceSpec,
    sys,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};

pub use reread::{Replan, Replanned};

/// Everything the supervisor starts with.
pub struct Setup {
    /// The services.
    pub specs: Vec<ServiceSpec>,
    /// What they are started with.
    pub around: Surroundings,
    /// How long the stop may take.
    pub stop: StopPlan,
    /// The control socket.
    pub server: Option<Server>,
    /// Folder for the notification socket.
    pub run_dir: Option<PathBuf>,
    /// Prefix the services' output.
    pub prefix: bool,
    /// The slow tick: what is looked at, how often, with which thresholds.
    pub watch: Watch,
    /// Makes a new plan.
    pub replan: Replan,
    /// For `status`: concurrency, phases of the start, warnings.
    pub told: super::answer::Told,
    /// Where the reason of the exit goes.
    pub termination_log: Option<PathBuf>,
    /// When the process started.
    pub origin: Instant,
}

/// What tasks and the worker thread report to the loop.
#[derive(Debug)]
pub(super) enum Report {
    Probed {
        id: ServiceId,
        generation: u64,
        which: Which,
        answer: Answer,
    },
    ProbeTimeout {
        pid: i32,
        question: u64,
    },
    Notified {
        id: ServiceId,
        generation: u64,
    },
    Message(Notification),
    Observed(Box<Observation>),
    Alarm,
    Replanned(reread::Outcome),
    /// The files that were being written may be whole now.
    Reread,
}

/// What ended the sleep of the loop.
enum Woken {
    Signal(i32),
    Report(Report),
    Call(Call),
    Deadline,
    Watch,
    Settled,
    More,
    Unread,
}

/// When usage and orphans are looked at for the first time: soon, for `status`, not while the services start.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// So long the last answers on the control socket may take to be written.
const LAST_ANSWERS: Duration = Duration::from_millis(50);
/// So long after the container became ready its start is over.
const SETTLED: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) children: Children,
    pub(super) around: Surroundings,
    pub(super) told: super::answer::Told,
    pub(super) observation: Observation,
    pub(super) orphans_reaped: u64,
    pub(super) orphans_ended: u64,
    pub(super) oom: Ledger,
    pub(super) last_oom: Option<(Now, String)>,
    pub(super) origin: Instant,
    pub(super) waiting: Vec<Call>,
    frozen: Duration,
    actions: VecDeque<Action>,
    watch: Watch,
    worker: Worker,
    pub(super) rereading: reread::Rereading,
    reports: mpsc::UnboundedSender<Report>,
    prefix: bool,
    more: bool,
    sweeping: Option<bool>,
    exit: Option<(Exit, String)>,
    root: Root,
    /// When what the start needed is given back.
    settled: Option<tokio::time::Instant>,
    /// Exec probes started so far.
    questions: u64,
    /// A look is under way on the worker thread.
    looking: bool,
    /// Something has happened since it began: look again.
    look_again: bool,
    alarms_set: bool,
    /// Services that have ended since the last look, and when, where their orphans are to be ended.
    ended: BTreeMap<String, u64>,
    /// Tasks that copy the services' output, where it gets a prefix.
    copies: JoinSet<()>,
}

/// Supervises until the container is to end; the exit code to leave with.
pub fn run(setup: Setup) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let termination_log = setup.termination_log.clone();
    let (exit, reason) = runtime.block_on(drive(setup))?;
    if let Some(path) = termination_log {
        super::farewell::write(&path, exit, &reason);
    }
    tracing::info!(code = exit.0, reason, "leaving");
    // Tasks that copy output or serve a connection end here.
    runtime.shutdown_background();
    log::last_words();
    Ok(exit)
}

async fn drive(setup: Setup) -> io::Result<(Exit, String)> {
    // With signals blocked none falls between the two: what came before is in the flags, what comes later in the stream.
    sys::signals::block_all();
    let registered = Signals::register();
    let early = sys::early::pending();
    sys::signals::unblock_all();
    let mut signals = registered?;
    if std::process::id() != 1
        && let Err(error) = sys::process::become_subreaper()
    {
        tracing::warn!(%error, "cannot become a subreaper: orphans go to the parent's init");
    }
    let (reports, mut inbox) = mpsc::unbounded_channel();
    let (calls, mut requests) = mpsc::channel(64);
    let mut around = setup.around;
    if let Some(dir) = &setup.run_dir {
        match NotifySocket::bind(&dir.join("notify.sock")) {
            Ok(socket) => {
                around.notify_socket = Some(socket.path().to_path_buf());
                tokio::spawn(listen(socket, reports.clone()));
            }
            Err(error) => tracing::warn!(%error, dir = %dir.display(), "no notification socket"),
        }
    }
    let answering = setup.server.map(|server| {
        let answering = server.answering();
        tokio::spawn(server.run(calls.clone()));
        answering
    });
    let seed = u64::from(std::process::id()) ^ setup.told.started_at.rotate_left(32);
    let oom = Ledger::new(setup.watch.oom_kills().unwrap_or_default());
    let mut driver = Driver {
        machine: Machine::new(setup.specs, setup.stop, seed),
        children: Children::default(),
        around,
        told: setup.told,
        observation: Observation::default(),
        orphans_reaped: 0,
        orphans_ended: 0,
        oom,
        last_oom: None,
        origin: setup.origin,
        waiting: Vec::new(),
        frozen: Duration::ZERO,
        actions: VecDeque::new(),
        watch: setup.watch,
        worker: Worker::start()?,
        rereading: reread::Rereading::new(setup.replan),
        reports,
        prefix: setup.prefix,
        more: false,
        settled: None,
        sweeping: None,
        exit: None,
        root: Root::real(),
        questions: 0,
        looking: false,
        look_again: false,
        alarms_set: false,
        ended: BTreeMap::new(),
        copies: JoinSet::new(),
    };
    // When the loop was last seen running: a freeze may also strike between its waits.
    let mut seen = Instant::now();
    driver.feed(Event::Boot);
    for signal in early {
        driver.signal(signal);
    }
    let first = driver.watch.every.min(FIRST_LOOK);
    let mut next_watch = (!first.is_zero()).then(|| tokio::time::Instant::now() + first);
    loop {
        driver.act();
        if let Some(exit) = driver.exit.take() {
            driver.last_words().await;
            if let Some(answering) = answering {
                drop(requests); // Who still asks is told that we leave.
                answering.done(LAST_ANSWERS).await;
            }
            return Ok(exit);
        }
        if driver.watch.every.is_zero() != next_watch.is_none() {
            // A reload has switched the tick off, or on.
            next_watch = (!driver.watch.every.is_zero()).then(tokio::time::Instant::now);
        }
        debug_assert!(driver.actions.is_empty(), "the loop waits with actions undone");
        let (more, unread) = (driver.more, log::flush());
        let deadline = driver.machine.next_deadline().map(|at| driver.instant(at));
        let woken = tokio::select! {
            biased;
            signal = signals.next() => Woken::Signal(signal),
            Some(report) = inbox.recv() => Woken::Report(report),
            Some(call) = requests.recv() => Woken::Call(call),
            () = until(deadline) => Woken::Deadline,
            () = until(next_watch) => Woken::Watch,
            () = until(driver.settled) => Woken::Settled,
            () = tokio::task::yield_now(), if more => Woken::More,
            () = tokio::time::sleep(log::RETRY), if unread => Woken::Unread,
        };
        driver.thaw(seen, deadline);
        seen = Instant::now();
        match woken {
            Woken::Signal(signal) => driver.signal(signal),
            Woken::Report(report) => driver.report(report),
            Woken::Call(call) => driver.answer(call),
            Woken::Deadline => driver.feed(Event::Tick),
            Woken::Watch => {
                next_watch = Some(tokio::time::Instant::now() + driver.watch.every);
                driver.observe();
                driver.set_alarms();
            }
            Woken::Settled => {
                driver.settled = None;
                give_back();
            }
            // The rest of a batch, once nothing else is due. Its actions are carried out at the top of the loop, before
            // anything waits again.
            Woken::More => driver.reap(),
            // Lines of the log that nobody read are tried again at the top of the loop.
            Woken::Unread => {}
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn listen(socket: NotifySocket, reports: mpsc::UnboundedSender<Report>) {
    loop {
        match socket.next().await {
            Ok(message) => {
                if reports.send(Report::Message(message)).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "notification socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Driver {
    pub(super) fn now(&self) -> Now {
        self.origin.elapsed().saturating_sub(self.frozen)
    }

    fn instant(&self, at: Now) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + at + self.frozen)
    }

    pub(super) fn feed(&mut self, event: Event) {
        let now = self.now();
        self.actions.extend(self.machine.step(event, now));
        if self.machine.phase() != Phase::Running && !self.waiting.is_empty() {
            super::answer::release(self);
        }
    }

    /// Before anything else that the loop does: was it frozen? Then that time did not pass for deadlines.
    ///
    /// When it began is not known, only that the loop ran at `seen`, so all since then is given back: a deadline may
    /// come later than it should, never earlier.
    fn thaw(&mut self, seen: Instant, deadline: Option<tokio::time::Instant>) {
        let late = deadline.map_or(Duration::ZERO, |at| tokio::time::Instant::now().saturating_duration_since(at));
        if late > health::FROZEN {
            let lost = seen.elapsed();
            tracing::warn!(milliseconds = super::answer::millis(lost), "was frozen; deadlines are moved by as much");
            self.frozen += lost;
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Spawn(id) => self.spawn(id),
                Action::StopSignal(id) => {
                    if let Some(signal) = self.machine.service(id).map(|s| s.spec.stop_signal) {
                        self.children.signal(id, signal);
                        // A stopped (SIGSTOP) child could not act on it.
                        self.children.signal(id, libc::SIGCONT);
                    }
                }
                Action::Kill(id) => self.kill(id),
                Action::Ask { id, generation, which } => self.ask(id, generation, which),
                Action::Changed { id, from } => self.changed(id, from),
                Action::Readiness(ready) => self.readiness(ready),
                Action::Sweep { hard } => self.sweep(hard),
                Action::Exit { code, reason } => self.exit = Some((code, reason)),
            }
        }
    }

    fn changed(&mut self, id: ServiceId, from: &'static str) {
        let Some(service) = self.machine.service(id) else { return };
        let (name, to, reason) = (&service.spec.name, service.state.name(), &service.reason);
        let pid = self.children.leader(id);
        match service.state {
            State::Failed | State::Killing { .. } => tracing::error!(service = name, from, to, reason, pid, "service"),
            State::Unready | State::Backoff { .. } => tracing::warn!(service = name, from, to, reason, pid, "service"),
            _ => tracing::info!(service = name, from, to, reason, pid, "service"),
        }
    }

    fn readiness(&mut self, ready: bool) {
        let reasons = self.machine.unready_reasons().join("; ");
        self.told.ready_since = ready.then(Instant::now);
        if ready {
            let took = self.origin.elapsed();
            if self.told.ready_after.is_none() {
                self.told.ready_after = Some(took);
                self.settled = Some(tokio::time::Instant::now() + SETTLED);
            }
            tracing::info!(milliseconds = super::answer::millis(took), "ready");
            super::answer::release(self);
        } else {
            tracing::warn!(reason = reasons, "not ready");
        }
    }
}

/// Code and heap that only the start, or a look at everything, needed: a waiting init keeps what its next event takes.
fn give_back() {
    sys::process::trim_heap();
    sys::start::forget_startup_pages();
}

/// Pids are positive and fit.
pub(super) fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}
