//! Deeds on processes: starting a service, asking an exec probe, killing, sweeping.
//!
//! Invariants: every process goes through `Children`; what escaped a service's group is looked for before its parent is
//! killed, and signalled by pid and start time, never by pid alone.

use crate::supervise::{
    cause::Cause,
    children::{Owner, Reaped},
    driver::{Driver, Report, own_pid},
    health,
    launch::{self, LaunchError, Streams},
    machine::{Event, Phase, ServiceId},
    notify, orphans, output,
    probing::Which,
};
use crate::{
    exit::Exit,
    probe::processes,
    settings::service::{ProbeKind, ServiceSpec},
    sys,
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

/// The end of the container waits this long for the reader of its output.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Driver {
    pub(super) fn spawn(&mut self, id: ServiceId) {
        let Some(service) = self.machine.service(id) else { return };
        let (spec, generation) = (service.spec.clone(), service.generation);
        match self.start(id, &spec, generation) {
            Ok(pid) => {
                tracing::debug!(service = spec.name, pid, "started");
                self.feed(Event::Spawned(id));
            }
            Err(cause) => self.feed(Event::Ended { id, generation, cause }),
        }
    }

    pub(super) fn start(&mut self, id: ServiceId, spec: &ServiceSpec, generation: u64) -> Result<i32, Cause> {
        let failed = |reason: String, code: Exit| Cause::SpawnFailed { reason, code: code.0 };
        let os = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOENT) => failed(error.to_string(), Exit::NOT_FOUND),
            Some(libc::EACCES | libc::ENOEXEC) => failed(error.to_string(), Exit::NOT_EXECUTABLE),
            _ => failed(error.to_string(), Exit::OS),
        };
        let mut streams = Streams::default();
        let mut kept: Vec<OwnedFd> = Vec::new();
        if matches!(spec.readiness.as_ref().map(|p| &p.kind), Some(ProbeKind::NotifyFd { .. })) {
            let (read, write) = pipe().map_err(os)?;
            streams.notify = Some(write.as_raw_fd());
            kept.push(write);
            let reports = self.reports.clone();
            tokio::spawn(async move {
                if notify::newline(read).await {
                    // The loop may be gone: then nobody wants to know.
                    let _ = reports.send(Report::Notified { id, generation });
                }
            });
        }
        while self.copies.try_join_next().is_some() {}
        if self.prefix {
            for (ours, slot) in [(1, &mut streams.stdout), (2, &mut streams.stderr)] {
                let (read, write) = pipe().map_err(os)?;
                *slot = Some(write.as_raw_fd());
                kept.push(write);
                self.copies.spawn(output::copy(spec.name.clone(), read, ours));
            }
        }
        let spawn = launch::service(spec, &self.around, streams).map_err(|error| {
            let code =
                if matches!(error, LaunchError::NotFound { .. }) { Exit::NOT_FOUND } else { Exit::NOT_EXECUTABLE };
            failed(error.to_string(), code)
        })?;
        self.children.spawn(&spawn, Owner::Service { id, generation }).map_err(|error| {
            let cause = os(error);
            match cause {
                Cause::SpawnFailed { reason, code } => {
                    Cause::SpawnFailed { reason: format!("{}: {reason}", spec.command.first().map_or("", |c| c)), code }
                }
                other @ (Cause::Status(_) | Cause::OomKilled) => other,
            }
        })
    }

    /// What the services wrote before their end reaches our own output, unless its reader is slow.
    pub(super) async fn last_words(&mut self) {
        let copied = async { while self.copies.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, copied).await.is_err() {
            tracing::warn!("output of services is lost: nobody read it");
        }
    }

    /// SIGKILL to the group and to what escaped it. During the stop the sweep finds what escaped, for all at once.
    pub(super) fn kill(&mut self, id: ServiceId) {
        let Some(service) = self.machine.service(id) else { return };
        let running = self.machine.phase() == Phase::Running;
        // The descendants have to be looked for while the leader still is their parent.
        let leader = self.children.leader(id).filter(|_| running);
        let escaped = leader.map(|pid| orphans::descendants(&self.root, pid)).unwrap_or_default();
        self.children.signal(id, libc::SIGKILL);
        for process in escaped {
            orphans::signal(&self.root, process.pid, process.start_ticks, libc::SIGKILL);
        }
        if running {
            let (root, name, known) = (self.root.clone(), service.spec.name.clone(), self.children.pids().collect());
            let as_of = processes::ticks_now();
            self.worker.run(move || orphans::kill_escaped(&root, own_pid(), &name, &known, as_of));
        }
    }

    pub(super) fn ask(&mut self, id: ServiceId, generation: u64, which: Which) {
        let Some(service) = self.machine.service(id) else { return };
        let probe = match which {
            Which::Readiness => service.spec.readiness.clone(),
            Which::Liveness => service.spec.liveness.clone(),
        };
        let Some(probe) = probe else { return };
        if let ProbeKind::Exec { command } = &probe.kind {
            let spec = service.spec.clone();
            self.questions += 1;
            let question = self.questions;
            let owner = Owner::Probe { id, generation, which, question };
            let made = launch::probe(&spec, command, &self.around).map_err(|e| Some(e.to_string())).and_then(|spawn| {
                self.children.spawn(&spawn, owner).map_err(|error| match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::ENOMEM) => None,
                    _ => Some(error.to_string()),
                })
            });
            match made {
                Ok(pid) => {
                    let (reports, deadline) = (self.reports.clone(), probe.timeout);
                    tokio::spawn(async move {
                        health::deadline(deadline).await;
                        let _ = reports.send(Report::ProbeTimeout { pid, question });
                    });
                }
                Err(answer) => self.feed(Event::Probed { id, generation, which, answer: Err(answer) }),
            }
            return;
        }
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let answer = health::ask(probe).await;
            let _ = reports.send(Report::Probed { id, generation, which, answer });
        });
    }

    /// Ends what is left: everybody in the namespace if we are its PID 1, else our descendants.
    pub(super) fn sweep(&mut self, hard: bool) {
        self.sweeping = Some(hard);
        let signal = if hard { libc::SIGKILL } else { libc::SIGTERM };
        self.reap();
        if self.sweeping.is_none() {
            return;
        }
        if own_pid() == 1 {
            // ESRCH: nobody is left.
            let _ = sys::process::kill(-1, signal);
            return;
        }
        let root = self.root.clone();
        for process in orphans::descendants(&root, own_pid()) {
            orphans::signal(&root, process.pid, process.start_ticks, signal);
        }
    }

    pub(super) fn ended(&mut self, reaped: Reaped) {
        match reaped.owner {
            Some(Owner::Service { id, generation }) => {
                let name = self.machine.service(id).map(|s| s.spec.name.clone()).unwrap_or_default();
                let cause = self.cause(reaped.status, id, &name);
                if self.watch.orphans.end && self.machine.phase() == Phase::Running {
                    self.ended.insert(name, processes::ticks_now());
                    self.observe();
                }
                self.feed(Event::Ended { id, generation, cause });
            }
            Some(Owner::Probe { id, generation, which, question: _ }) => {
                let answer = if reaped.status.success() { Ok(()) } else { Err(Some(reaped.status.to_string())) };
                self.feed(Event::Probed { id, generation, which, answer });
            }
            None => {}
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = nix::fcntl::OFlag::O_CLOEXEC;
    let (read, write) = nix::unistd::pipe2(flags)?;
    nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok((read, write))
}
