//! The only code that spawns, signals or reaps.
//!
//! Invariants: every pid in `by_pid` is a child that was not reaped yet, so its number (and that of its
//! process group) cannot belong to anybody else; a leader's group is swept while its zombie still pins the id.

use super::machine::ServiceId;
use super::probing::Which;
use crate::sys::{
    self,
    spawn::Spawn,
    wait::{self, ExitStatus, Peek},
};
use std::{collections::HashMap, io};

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A service's main process.
    Service {
        /// Which service.
        id: ServiceId,
        /// Which of its processes.
        generation: u64,
    },
    /// An exec probe.
    Probe {
        /// Of which service.
        id: ServiceId,
        /// For which of its processes.
        generation: u64,
        /// Readiness or liveness.
        which: Which,
        /// Which question it is: no two are alike.
        question: u64,
    },
}

/// A reaped child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its pid, free again.
    pub pid: i32,
    /// Whose it was; `None`: adopted.
    pub owner: Option<Owner>,
    /// How it ended.
    pub status: ExitStatus,
}

/// What a drain of the zombies found.
#[derive(Debug, Default)]
pub struct Drained {
    /// Ended children of ours, in the order of their reaping.
    pub ours: Vec<Reaped>,
    /// How many adopted ones were reaped.
    pub adopted: u64,
    /// The batch was full: there may be more.
    pub more: bool,
    /// No child is left at all.
    pub childless: bool,
}

/// All children of this process that it knows by name.
#[derive(Debug, Default)]
pub struct Children {
    by_pid: HashMap<i32, Owner>,
    leaders: HashMap<ServiceId, i32>,
}

impl Children {
    /// Makes a child and remembers whose it is.
    pub fn spawn(&mut self, spawn: &Spawn, owner: Owner) -> io::Result<i32> {
        let pid = spawn.spawn()?;
        self.by_pid.insert(pid, owner);
        if let Owner::Service { id, .. } = owner {
            self.leaders.insert(id, pid);
        }
        Ok(pid)
    }

    /// The main process of a service.
    pub fn leader(&self, id: ServiceId) -> Option<i32> {
        self.leaders.get(&id).copied()
    }

    /// Whose process this is.
    pub fn owner(&self, pid: i32) -> Option<Owner> {
        self.by_pid.get(&pid).copied()
    }

    /// The service whose process group this is.
    pub fn service_of_group(&self, pgid: i32) -> Option<(ServiceId, u64)> {
        match self.by_pid.get(&pgid) {
            Some(Owner::Service { id, generation }) => Some((*id, *generation)),
            Some(Owner::Probe { .. }) | None => None,
        }
    }

    /// Every child of ours: main processes and exec probes.
    pub fn pids(&self) -> impl Iterator<Item = i32> + '_ {
        self.by_pid.keys().copied()
    }

    /// Sends a signal to the service's process group; false if it has none.
    pub fn signal(&self, id: ServiceId, signal: i32) -> bool {
        self.leader(id).is_some_and(|pid| sys::process::kill(-pid, signal).is_ok())
    }

    /// Kills the group of an exec probe at its deadline, if it still answers this question: its pid may have passed to
    /// another child since.
    pub fn kill_probe(&self, pid: i32, asked: u64) {
        if matches!(self.by_pid.get(&pid), Some(Owner::Probe { question, .. }) if *question == asked) {
            // It may have just ended: then there is nobody left to kill.
            let _ = sys::process::kill(-pid, libc::SIGKILL);
        }
    }

    /// Reaps up to `most` ended children. SIGCHLD coalesces, so this goes on until there is none.
    pub fn drain(&mut self, most: usize) -> Drained {
        let mut drained = Drained::default();
        for _ in 0..most {
            let pid = match wait::peek() {
                Peek::Ended(pid) => pid,
                Peek::None => return drained,
                Peek::NoChildren => {
                    drained.childless = true;
                    return drained;
                }
            };
            let owner = self.by_pid.get(&pid).copied();
            if owner.is_some() {
                // What the leader leaves in its group dies with it; its zombie pins the group's id until the wait below.
                let _ = sys::process::kill(-pid, libc::SIGKILL);
            }
            let Some(status) = wait::reap(pid) else { continue };
            match owner {
                Some(owner) => {
                    self.by_pid.remove(&pid);
                    if let Owner::Service { id, .. } = owner
                        && self.leaders.get(&id) == Some(&pid)
                    {
                        self.leaders.remove(&id);
                    }
                    drained.ours.push(Reaped { pid, owner: Some(owner), status });
                }
                None => drained.adopted += 1,
            }
        }
        drained.more = true;
        drained
    }
}
