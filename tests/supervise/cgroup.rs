//! A control group of a test's own with one limit: v1's hierarchy of the controller, else v2's.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A cgroup with a limit, removed at the end; `None`: this machine gives none.
pub(crate) struct Group(pub(crate) PathBuf);

impl Group {
    pub(crate) fn with_pids(pids: u64) -> Option<Self> {
        Self::with(&[("/sys/fs/cgroup/pids", "pids.max"), ("/sys/fs/cgroup", "pids.max")], pids)
    }

    pub(crate) fn with_memory(bytes: u64) -> Option<Self> {
        Self::with(&[("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")], bytes)
    }

    fn with(places: &[(&str, &str)], limit: u64) -> Option<Self> {
        for (parent, file) in places {
            let path = Path::new(parent).join(format!("skill-init-test-{}", std::process::id()));
            if fs::create_dir(&path).is_ok() {
                let group = Self(path);
                if fs::write(group.0.join(file), limit.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is ended takes a moment to leave it.
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
    }
}
