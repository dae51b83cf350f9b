//! All facts as one value, and how they are gathered.
#![forbid(unsafe_code)]

use super::{
    Bound,
    calls::{Asking, Calls, Depth},
    cgroup::{Cgroups, Limits},
    container::{self, Container},
    kernel::{self, Kernel},
    paths::{self, PathFact},
    privileges::{self, Privileges},
    resources::{self, Cpu, Descriptors, Memory, Tasks},
    sandbox::{self, Landlock, UserNamespaces},
};
use crate::{
    layout::{Layout, Root},
    settings::Environment,
};
use serde::Serialize;

/// What the machine allows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Release and machine.
    pub kernel: Kernel,
    /// Container and Kubernetes markers; PID 1 or not.
    pub container: Container,
    /// Ids, capabilities, seccomp.
    pub privileges: Privileges,
    /// Landlock's verdict.
    pub landlock: Landlock,
    /// User namespaces.
    pub user_namespaces: UserNamespaces,
    /// Where the cgroups are.
    pub cgroups: Cgroups,
    /// The cgroups' limits alone; `memory`, `cpu` and `tasks` have them with the host's.
    pub limits: Limits,
    /// Memory, bytes.
    pub memory: Memory,
    /// CPUs.
    pub cpu: Cpu,
    /// Processes and threads.
    pub tasks: Tasks,
    /// Open files.
    pub descriptors: Descriptors,
    /// Pressure stall information.
    pub pressure: PressureFiles,
    /// The layout's paths; none at a start.
    pub paths: Vec<PathFact>,
}

/// Where pressure can be read; `None`: nowhere (cgroup v1, before 4.20, booted with `psi=0`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PressureFiles {
    /// `memory.pressure` of our own cgroup.
    pub cgroup: Option<String>,
    /// `/proc/pressure/memory`.
    pub system: Option<String>,
}

/// Reads everything a start needs. Under a captured root (any but `/`) the recorded answers of that system's kernel are
/// used and no path is looked at.
pub fn run(root: &Root, layout: &Layout, env: &Environment) -> Facts {
    run_with(root, layout, env, Depth::Start)
}

/// The same, with as much asked of the kernel as `depth` says.
pub fn run_with(root: &Root, layout: &Layout, env: &Environment, depth: Depth) -> Facts {
    finish(Asking::start_under(root), root, layout, env, depth)
}

/// The same, with the questions that were put earlier. Paths are looked at only where they are asked for (`Full`): a start
/// finds out by using them.
pub fn finish(asking: Option<Asking>, root: &Root, layout: &Layout, env: &Environment, depth: Depth) -> Facts {
    let Some(asking) = asking else {
        return assemble(root, env, &Calls::recorded(root), Vec::new());
    };
    let paths = if depth == Depth::Full { paths::look(layout) } else { Vec::new() };
    assemble(root, env, &Calls::ask(asking, depth), paths)
}

/// Everything but the asking: reads files under `root` only.
pub fn assemble(root: &Root, env: &Environment, calls: &Calls, paths: Vec<PathFact>) -> Facts {
    let kernel = kernel::kernel(root, calls);
    let cgroups = Cgroups::find(root);
    let limits = Limits::read(root, &cgroups);
    let own = resources::own_limits(root);
    Facts {
        landlock: sandbox::landlock(&kernel, calls.landlock_abi, calls.landlock_child.as_ref()),
        user_namespaces: sandbox::user_namespaces(root, calls),
        container: container::of_calls(root, env, calls),
        privileges: privileges::privileges(root, calls),
        memory: resources::memory(root, &limits),
        cpu: resources::cpu(root, &limits, calls),
        tasks: resources::tasks(root, &limits, &own, calls),
        descriptors: resources::descriptors(root, &own, calls),
        pressure: pressure_files(root, &cgroups),
        kernel,
        cgroups,
        limits,
        paths,
    }
}

impl Facts {
    /// The facts of the start under today's limits: for a replan (SIGHUP, the slow tick) after a pod was resized in place.
    ///
    /// What was in use at the start stays in use; what the runs have taken since does not count against them. Call it on the
    /// facts of the start each time. Makes no child and looks at no path, so it is safe beside the supervisor's reaper.
    #[must_use]
    pub fn under_todays_limits(&self, root: &Root) -> Self {
        let calls =
            Calls { affinity: crate::sys::affinity::cpus().ok().filter(|_| *root == Root::real()), ..Calls::default() };
        let limits = Limits::read(root, &self.cgroups);
        let own = resources::own_limits(root);
        let (mut memory, mut tasks) = (resources::memory(root, &limits), resources::tasks(root, &limits, &own, &calls));
        let free = moved(&planning(&self.limits), &self.limits.memory_available, planning(&limits));
        memory.available = resources::either(&free, &self.memory.host_available);
        memory.host_available = self.memory.host_available.clone();
        let free = moved(&self.limits.pids, &self.limits.pids_available, limits.pids.clone());
        tasks.available = resources::either(&free, &self.tasks.host_available);
        tasks.host_available = self.tasks.host_available.clone();
        Self {
            cpu: resources::cpu(root, &limits, &calls),
            descriptors: resources::descriptors(root, &own, &calls),
            memory,
            tasks,
            limits,
            ..self.clone()
        }
    }
}

/// The limit that memory is planned with.
fn planning(limits: &Limits) -> Bound<u64> {
    Bound::tightest([limits.memory.clone(), limits.memory_high.clone()]).unwrap_or_else(|| limits.memory.clone())
}

/// What is free below a limit that has moved, with the use of before.
fn moved(limit: &Bound<u64>, available: &Bound<u64>, now: Bound<u64>) -> Bound<u64> {
    let used = match (limit.value(), available.value()) {
        (Some(limit), Some(available)) => limit.saturating_sub(*available),
        // There was no limit to compare with: a new one starts empty.
        _ => 0,
    };
    Bound::new(now.reading.map(|limit| limit.saturating_sub(used)), now.from)
}

/// A file that exists but cannot be read (EOPNOTSUPP with `psi=0`) does not count.
fn pressure_files(root: &Root, cgroups: &Cgroups) -> PressureFiles {
    let readable = |path: String| super::pressure::read(root, &path).map(|_| path);
    PressureFiles {
        cgroup: cgroups.unified.as_ref().and_then(|unified| readable(format!("{}/memory.pressure", unified.leaf()))),
        system: readable("/proc/pressure/memory".to_owned()),
    }
}
