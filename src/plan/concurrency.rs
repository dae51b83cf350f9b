//! How many runs at once: the contract's formula on inputs that know the container's limits.
//!
//! ```text
//! max_concurrent = max(1, min(cpu, memory, descriptors, pids, hard_cap))
//! cpu         = max(1, floor(cpus * SKILL_RUNNER_CPU_FACTOR))
//! memory      = max(1, (available - reserve) / per_run)      in MiB
//! descriptors = max(1, (RLIMIT_NOFILE - reserve) / per_run)  after the soft limit was raised
//! pids        = max(1, (tasks left - reserve) / per_run)     threads count
//! ```
//!
//! A term whose input is unlimited or unknown does not bind; only if all four are unknown does the fallback count. Invariant:
//! never 0, never above the hard cap, and more of anything never gives less.
#![forbid(unsafe_code)]

use crate::{
    probe::{Bound, Facts, Reading},
    settings::{Settings, keys},
};
use serde::Serialize;
use std::fmt;

/// What the formula reads of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inputs {
    /// CPUs that can be used at once.
    pub cpus: Bound<u32>,
    /// The memory limit, bytes.
    pub memory_limit: Bound<u64>,
    /// Memory free at the start, bytes.
    pub memory_available: Bound<u64>,
    /// RLIMIT_NOFILE, soft.
    pub nofile_soft: Bound<u64>,
    /// RLIMIT_NOFILE, hard.
    pub nofile_hard: Bound<u64>,
    /// The tightest limit on tasks.
    pub tasks_limit: Bound<u64>,
    /// Tasks that could still be made at the start.
    pub tasks_available: Bound<u64>,
    /// RLIMIT_NPROC, soft; unlimited where the services run as root, which ignores it.
    pub nproc: Bound<u64>,
}

impl Inputs {
    /// From the facts at the start. `as_root`: the services run as uid 0.
    pub fn new(facts: &Facts, as_root: bool) -> Self {
        let nproc = facts.tasks.nproc_soft.clone();
        Self {
            cpus: facts.cpu.effective.clone(),
            memory_limit: facts.memory.limit.clone(),
            memory_available: facts.memory.available.clone(),
            nofile_soft: facts.descriptors.soft.clone(),
            nofile_hard: facts.descriptors.hard.clone(),
            tasks_limit: facts.tasks.limit.clone(),
            tasks_available: facts.tasks.available.clone(),
            nproc: if as_root { Bound::new(Reading::Unlimited, nproc.from) } else { nproc },
        }
    }
}

/// The ten variables, in the units of their names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Policy {
    /// Upper bound.
    pub hard_cap: u64,
    /// Queue length.
    pub queue: u64,
    /// Runs per CPU.
    pub cpu_factor: f64,
    /// MiB.
    pub mem_reserve: u64,
    /// MiB.
    pub mem_per_run: u64,
    /// Descriptors.
    pub fd_reserve: u64,
    /// Descriptors.
    pub fd_per_run: u64,
    /// Tasks.
    pub pid_reserve: u64,
    /// Tasks.
    pub pid_per_run: u64,
    /// Runs where nothing could be probed.
    pub fallback: u64,
}

impl Policy {
    /// From the settings.
    pub fn new(settings: &Settings) -> Self {
        let number = |key| u64::try_from(settings.get(key)).unwrap_or_default();
        Self {
            hard_cap: number(&keys::HARD_CAP),
            queue: number(&keys::MAX_QUEUE_SIZE),
            cpu_factor: settings.get(&keys::CPU_FACTOR),
            mem_reserve: number(&keys::MEM_RESERVE),
            mem_per_run: number(&keys::MEM_PER_RUN),
            fd_reserve: number(&keys::FD_RESERVE),
            fd_per_run: number(&keys::FD_PER_RUN),
            pid_reserve: number(&keys::PID_RESERVE),
            pid_per_run: number(&keys::PID_PER_RUN),
            fallback: number(&keys::FALLBACK),
        }
    }
}

/// What can bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory.
    Memory,
    /// CPU.
    Cpu,
    /// Processes and threads.
    Pids,
    /// Open files.
    Descriptors,
    /// `SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP`.
    HardCap,
    /// Nothing was known.
    Fallback,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Descriptors => "descriptors",
            Self::HardCap => "hard cap",
            Self::Fallback => "fallback",
        })
    }
}

/// One term of the formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Of what.
    pub resource: Resource,
    /// Runs that it allows, at least 1; unlimited or unknown: it does not bind.
    pub runs: Reading<u64>,
    /// Not even one run fits: the 1 is a floor, and a run may fail.
    pub short: bool,
    /// The inputs in words, with the file that the limit came from.
    pub inputs: String,
    /// What to change to allow more.
    pub change: String,
}

/// A soft RLIMIT_NOFILE that is to be raised in the API worker (and only there: programs that use select(2) need 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RaiseNofile {
    /// The soft limit as it is.
    pub from: u64,
    /// What it is raised to; at most the hard limit.
    pub to: u64,
}

/// The result, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Concurrency {
    /// Runs at once.
    pub max_concurrent: u64,
    /// Queued runs before the API answers 429.
    pub queue: u64,
    /// What binds. Of several that bind equally the first of the order of [`Resource`].
    #[serde(rename = "binds")]
    pub binding: Resource,
    /// The others that bind just as much: all of them must be changed.
    #[serde(rename = "also_binds")]
    pub also_binding: Vec<Resource>,
    /// Every term, in the order of [`Resource`].
    pub terms: Vec<Term>,
    /// To be done for the API worker.
    pub raise_nofile: Option<RaiseNofile>,
}

impl Concurrency {
    /// The term that binds.
    pub fn binding_term(&self) -> Option<&Term> {
        self.terms.iter().find(|term| term.resource == self.binding)
    }

    /// What to change to allow more; every term that binds just as much must be changed too.
    pub fn advice(&self) -> String {
        let mut text = self.binding_term().map(|term| term.change.clone()).unwrap_or_default();
        for also in &self.also_binding {
            text.push_str(&format!("; so does {also}"));
        }
        text
    }

    /// One line for log, banner and status.
    pub fn summary(&self) -> String {
        let runs = if self.max_concurrent == 1 { "run" } else { "runs" };
        let mut text = format!("{} concurrent {runs}; {} binds", self.max_concurrent, self.binding);
        if let Some(term) = self.binding_term() {
            text.push_str(&format!(": {}; for more: {}", term.inputs, self.advice()));
        }
        text
    }

    /// A line for every term that is below what one run takes.
    pub fn warnings(&self) -> Vec<String> {
        let short = self.terms.iter().filter(|term| term.short);
        short
            .map(|term| format!("{} is too small for even one run: {}; {}", term.resource, term.inputs, term.change))
            .collect()
    }

    /// What the worker is told. The hard cap is set too, so that a worker that computes for itself obeys it.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("SKILL_RUNNER_MAX_CONCURRENT", self.max_concurrent.to_string()),
            (keys::HARD_CAP.spec.env, self.max_concurrent.to_string()),
            (keys::MAX_QUEUE_SIZE.spec.env, self.queue.to_string()),
        ]
    }
}

/// The formula.
pub fn concurrency(inputs: &Inputs, policy: &Policy) -> Concurrency {
    let cap = Term {
        resource: Resource::HardCap,
        runs: Reading::Value(policy.hard_cap.max(1)),
        short: false,
        inputs: format!("{} = {}", keys::HARD_CAP.spec.env, policy.hard_cap),
        change: format!("raise {}", keys::HARD_CAP.spec.env),
    };
    let mut terms = vec![memory(inputs, policy), cpu(inputs, policy), pids(inputs, policy)];
    // The descriptors come last: how many are needed depends on what everything else allows.
    let wanted = least(terms.iter().chain([&cap])).unwrap_or(1);
    let (descriptors, raise_nofile) = descriptors(inputs, policy, wanted);
    terms.push(descriptors);
    if terms.iter().all(|term| matches!(term.runs, Reading::Unknown { .. })) {
        terms.push(Term {
            resource: Resource::Fallback,
            runs: Reading::Value(policy.fallback.max(1)),
            short: false,
            inputs: format!("nothing could be probed; {} = {}", keys::FALLBACK.spec.env, policy.fallback),
            change: format!("make /proc and /sys/fs/cgroup readable, or raise {}", keys::FALLBACK.spec.env),
        });
    }
    terms.push(cap);
    terms.sort_by_key(|term| term.resource as u8);

    let max_concurrent = least(terms.iter()).unwrap_or(1).max(1);
    let mut binding = terms.iter().filter(|term| term.runs == Reading::Value(max_concurrent)).map(|term| term.resource);
    let first = binding.next().unwrap_or(Resource::HardCap);
    let also_binding = binding.collect();
    Concurrency { max_concurrent, queue: policy.queue.max(1), binding: first, also_binding, terms, raise_nofile }
}

fn least<'t>(terms: impl Iterator<Item = &'t Term>) -> Option<u64> {
    terms.filter_map(|term| term.runs.value().copied()).min()
}

fn memory(inputs: &Inputs, policy: &Policy) -> Term {
    let (env_reserve, env_each) = (keys::MEM_RESERVE.spec.env, keys::MEM_PER_RUN.spec.env);
    let mib = |bytes: &Bound<u64>| bytes.reading.clone().map(|bytes| bytes >> 20);
    let available = mib(&inputs.memory_available);
    let grow = if inputs.memory_available.from.starts_with("/proc/") {
        "give the machine more memory"
    } else {
        "raise the container's memory limit (docker --memory, Kubernetes resources.limits.memory)"
    };
    Term {
        resource: Resource::Memory,
        short: is_short(&available, policy.mem_reserve, policy.mem_per_run),
        inputs: format!(
            "{} MiB of {} MiB free ({}), {env_reserve} = {}, {env_each} = {}",
            available,
            mib(&inputs.memory_limit),
            inputs.memory_available.from,
            policy.mem_reserve,
            policy.mem_per_run
        ),
        runs: available.map(|free| share(free, policy.mem_reserve, policy.mem_per_run)),
        change: format!("{grow}, or lower {env_reserve} or {env_each}"),
    }
}

fn cpu(inputs: &Inputs, policy: &Policy) -> Term {
    let env = keys::CPU_FACTOR.spec.env;
    let from = &inputs.cpus.from;
    let grow = if from.contains("cpuset") {
        "give the container more CPUs (docker --cpuset-cpus, the kubelet's CPU manager)"
    } else if from.starts_with("/sys/fs/cgroup") || from.contains("cpu.max") || from.contains("cfs_quota") {
        "raise the container's CPU limit (docker --cpus, Kubernetes resources.limits.cpu)"
    } else if from.starts_with("sched") || from.ends_with("/status") {
        "widen the CPU affinity (taskset) or give the machine more CPUs"
    } else {
        "give the machine more CPUs"
    };
    // `as` saturates; a factor is finite and positive (its registry bounds).
    let runs = |cpus: u32| ((f64::from(cpus) * policy.cpu_factor).floor() as u64).max(1);
    Term {
        resource: Resource::Cpu,
        runs: inputs.cpus.reading.clone().map(runs),
        short: false,
        inputs: format!("{} CPUs ({from}), {env} = {}", inputs.cpus.reading, policy.cpu_factor),
        change: format!("{grow}, or raise {env}"),
    }
}

fn pids(inputs: &Inputs, policy: &Policy) -> Term {
    let (env_reserve, env_each) = (keys::PID_RESERVE.spec.env, keys::PID_PER_RUN.spec.env);
    let bounds = [inputs.tasks_available.clone(), inputs.nproc.clone()];
    let tightest = Bound::tightest(bounds).unwrap_or_else(|| inputs.nproc.clone());
    let from = &tightest.from;
    let grow = if from.ends_with("pids.max") {
        "raise the container's pids limit (docker --pids-limit, the kubelet's podPidsLimit)"
    } else if from.starts_with("/proc/sys") {
        "raise the host's sysctl of that name"
    } else {
        "raise RLIMIT_NPROC (docker --ulimit nproc=N)"
    };
    Term {
        resource: Resource::Pids,
        short: is_short(&tightest.reading, policy.pid_reserve, policy.pid_per_run),
        inputs: format!(
            "{} tasks left ({from}), {env_reserve} = {}, {env_each} = {}",
            tightest.reading, policy.pid_reserve, policy.pid_per_run
        ),
        runs: tightest.reading.map(|left| share(left, policy.pid_reserve, policy.pid_per_run)),
        change: format!("{grow}, or lower {env_reserve} or {env_each}"),
    }
}

fn descriptors(inputs: &Inputs, policy: &Policy, wanted: u64) -> (Term, Option<RaiseNofile>) {
    let (env_reserve, env_each) = (keys::FD_RESERVE.spec.env, keys::FD_PER_RUN.spec.env);
    let need = wanted.saturating_mul(policy.fd_per_run).saturating_add(policy.fd_reserve);
    let hard = match inputs.nofile_hard.reading {
        Reading::Value(hard) => hard,
        Reading::Unlimited => u64::MAX,
        // Not known: nothing to raise to.
        Reading::Unknown { .. } => 0,
    };
    let raise = inputs.nofile_soft.value().copied().filter(|soft| *soft < need.min(hard));
    let raise = raise.map(|from| RaiseNofile { from, to: need.min(hard) });
    let soft = match raise {
        Some(raise) => Reading::Value(raise.to),
        None => inputs.nofile_soft.reading.clone(),
    };
    let raised = raise.map_or_else(String::new, |raise| format!(", raised from {}", raise.from));
    let term = Term {
        resource: Resource::Descriptors,
        short: is_short(&soft, policy.fd_reserve, policy.fd_per_run),
        inputs: format!(
            "RLIMIT_NOFILE {soft}{raised}, hard {}, {env_reserve} = {}, {env_each} = {}",
            inputs.nofile_hard.reading, policy.fd_reserve, policy.fd_per_run
        ),
        runs: soft.map(|soft| share(soft, policy.fd_reserve, policy.fd_per_run)),
        change: format!(
            "raise the hard RLIMIT_NOFILE (docker --ulimit nofile=N:N), or lower {env_reserve} or {env_each}"
        ),
    };
    (term, raise)
}

/// `max(1, max(1, have - reserve) / max(1, each))`.
fn share(have: u64, reserve: u64, each: u64) -> u64 {
    (have.saturating_sub(reserve).max(1) / each.max(1)).max(1)
}

fn is_short(have: &Reading<u64>, reserve: u64, each: u64) -> bool {
    have.value().is_some_and(|have| have.saturating_sub(reserve) < each)
}

#[cfg(test)]
mod tests;
