//! Control groups: which hierarchy holds which controller, and the limits of every level that is visible.
//!
//! v1, v2 and hybrid; with and without a cgroup namespace; ancestors up to the root of the mount. Sources:
//! cgroups(7), the kernel's `admin-guide/cgroup-v2.rst` and `admin-guide/cgroup-v1/`.
#![forbid(unsafe_code)]

mod hierarchy;
mod limits;
mod parse;

pub use hierarchy::{Cgroups, Controller, Hierarchy, Mode, Version};
pub use limits::{LevelMemory, Limits};
pub(super) use limits::{level_memory, level_pids};
pub use parse::{CgroupMount, Membership, cpu_list, cpu_max, field, limit, memberships, mounts, relative};
