//! What the kernel and the engine show: cgroup files, mountinfo, `/proc`, the kernel's release, whole roots.

use crate::{scratch, text};
use skill_init::{
    layout::Root,
    plan::concurrency::{Inputs, Policy, concurrency},
    probe::{self, Calls, Reading, cgroup, host, kernel, pressure, processes, resources},
    settings::{Environment, Settings},
};
use std::fs;

/// Limit files, `/proc/self/cgroup`, mountinfo, CPU lists.
pub(crate) fn cgroup(bytes: &[u8]) {
    let text = text(bytes);
    let memberships = cgroup::memberships(&text);
    for mount in cgroup::mounts(&text) {
        for membership in &memberships {
            if let Some(inside) = cgroup::relative(&membership.path, &mount.root) {
                assert!(inside.is_empty() || inside.starts_with('/'), "{inside:?}");
                assert!(!inside.split('/').any(|part| part == ".."), "{inside:?} leaves the mount");
            }
        }
    }
    if let Reading::Value(cpus) = cgroup::cpu_max(&text) {
        assert!(cpus.is_finite() && cpus >= 0.0, "{cpus} CPUs");
    }
    if let Some(count) = cgroup::cpu_list(&text) {
        assert!((1..=1 << 20).contains(&count), "{count} CPUs");
    }
    let _ = (cgroup::limit(&text), cgroup::field(&text, "oom_kill"), cgroup::field(&text, "inactive_file"));
}

/// Files of `/proc`: stat, meminfo, loadavg, limits, pressure, the kernel's release.
pub(crate) fn proc(bytes: &[u8]) {
    let text = text(bytes);
    let _ =
        (processes::stat_line(&text), host::meminfo(&text), host::loadavg_tasks(&text), kernel::parse_release(&text));
    for name in ["Max open files", "Max processes", ""] {
        let _ = resources::limit_line(&text, name);
    }
    let _ = pressure::parse(&text);
}

/// A whole root in the form of `tests/fixtures/roots`: the facts, and the plan that is made of them.
pub(crate) fn root(bytes: &[u8]) {
    let dir = scratch();
    let mut place = None;
    let mut files = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(path) = line.strip_prefix(b"==> /") {
            let path = text(path).trim_end().to_owned();
            files += 1;
            let plain =
                files <= 64 && !path.is_empty() && !path.contains('\0') && !path.split('/').any(|part| part == "..");
            place = plain.then(|| dir.path().join(path));
        } else if let Some(path) = &place {
            let _ = path.parent().map(fs::create_dir_all);
            let _ = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut f| std::io::Write::write_all(&mut f, line));
        }
    }
    let root = Root::at(dir.path());
    let facts = probe::assemble(&root, &Environment::default(), &Calls::recorded(&root), Vec::new());
    let policy = Policy::new(&Settings::load(&Environment::default()).unwrap());
    let plan = concurrency(&Inputs::new(&facts, true), &policy);
    assert!((1..=16).contains(&plan.max_concurrent), "{}", plan.summary());
    let _ = (probe::UsagePaths::find(&root).read(), processes::scan(&root).zombies());
}
