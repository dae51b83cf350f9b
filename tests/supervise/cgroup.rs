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

    /// One that can be frozen.
    pub(crate) fn with_freezer() -> Option<Self> {
        for (parent, file) in [("/sys/fs/cgroup/freezer", "freezer.state"), ("/sys/fs/cgroup", "cgroup.freeze")] {
            let group = Self(Path::new(parent).join(format!("skill-init-test-{}", std::process::id())));
            if fs::create_dir(&group.0).is_ok() && group.0.join(file).exists() {
                return Some(group);
            }
        }
        None
    }

    /// Freezes or thaws all in it, and waits until that is so (cgroup-v1/freezer-subsystem, cgroup-v2 of the kernel's docs).
    pub(crate) fn freeze(&self, on: bool) {
        let (v1, v2) = (self.0.join("freezer.state"), self.0.join("cgroup.freeze"));
        if v1.exists() {
            let state = if on { "FROZEN" } else { "THAWED" };
            fs::write(&v1, state).expect("freezer.state");
            while fs::read_to_string(&v1).expect("freezer.state").trim() != state {
                std::thread::yield_now();
            }
        } else {
            let state = u8::from(on).to_string();
            fs::write(&v2, &state).expect("cgroup.freeze");
            let events = self.0.join("cgroup.events");
            while !fs::read_to_string(&events).expect("cgroup.events").contains(&format!("frozen {state}")) {
                std::thread::yield_now();
            }
        }
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
