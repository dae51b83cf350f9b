//! Folders, their owner and their permission bits.

use super::{Action, FilesPlan, Need, Observed, Seen, What, Wishes};
use crate::sys::fs::Kind;
use std::path::{Path, PathBuf};

/// Folders that only the agents' user may enter.
const PRIVATE: u32 = 0o700;
const PLAIN: u32 = 0o755;
/// Never given away as a whole, whatever a setting says.
const SYSTEM: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var",
];

pub(super) fn plan(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    owners(wishes, seen, plan);
    for (path, need) in plain(wishes) {
        folder(&path, PLAIN, need, seen, plan);
    }
    for path in private(wishes) {
        folder(&path, PRIVATE, Need::BestEffort, seen, plan);
    }
}

/// Folders that anybody may look into, in the order in which they are made.
pub(super) fn plain(wishes: &Wishes<'_>) -> Vec<(PathBuf, Need)> {
    let layout = wishes.layout;
    let mut all = vec![
        (layout.data.clone(), Need::Required),
        (layout.runs(), Need::Required),
        (layout.cache.clone(), Need::BestEffort),
        // The worker's working directory; every image has one, a local start makes it.
        (layout.app.clone(), Need::BestEffort),
    ];
    all.extend([&layout.npm_prefix, &layout.uv_cache, &layout.uv_venv].map(|path| (path.clone(), Need::BestEffort)));
    all
}

/// The agent home and the folders of the engines in it.
pub(super) fn private(wishes: &Wishes<'_>) -> Vec<PathBuf> {
    let mut all = vec![wishes.layout.agent_home.clone()];
    for path in wishes.engines().flat_map(|engine| &engine.dirs) {
        // The folders between, too: `.config` before `.config/opencode`.
        let between: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
        for part in between.into_iter().rev() {
            let full = wishes.home(part);
            if !all.contains(&full) {
                all.push(full);
            }
        }
    }
    all
}

fn folder(path: &Path, mode: u32, need: Need, seen: &Observed, plan: &mut FilesPlan) {
    let make = |plan: &mut FilesPlan, reason: &str| {
        plan.step(What::Folder, path.to_owned(), Action::MakeFolder { mode }, reason, need);
    };
    match seen.at(path) {
        Seen::Missing => make(plan, "it is missing"),
        // Tried all the same: the step's failure says it with the command that mends it.
        Seen::Failed(error) => make(plan, &format!("failed to {error}")),
        Seen::Folder(meta) => {
            // A set-group-id folder is shared on purpose (Kubernetes' fsGroup): only others are shut out.
            let wide = if meta.mode & 0o2000 == 0 { 0o077 } else { 0o007 };
            let mine = seen.uid == 0 || meta.uid == seen.uid;
            if mode == PRIVATE && mine && meta.mode & wide != 0 {
                let mode = meta.mode & !wide;
                let reason = format!("credentials lie in it and its mode is {:04o}", meta.mode);
                plan.step(What::Mode, path.to_owned(), Action::SetMode { mode }, reason, Need::BestEffort);
            }
        }
        Seen::Other(meta) if meta.kind == Kind::Link => make(plan, "a symbolic link stands there"),
        Seen::File(..) | Seen::Other(_) => make(plan, "something else stands there"),
    }
}

/// Volumes whose top folder belongs to another than the user that the services run as.
fn owners(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    let Some(owner) = wishes.owner.filter(|_| seen.uid == 0) else { return };
    let tops = volumes(wishes);
    for top in &tops {
        let Seen::Folder(meta) = seen.at(top) else { continue };
        if meta.uid == owner.uid {
            continue;
        }
        if SYSTEM.iter().any(|system| Path::new(system) == top) {
            plan.note(top.clone(), "belongs to the system and is not given away; choose a folder of its own");
            continue;
        }
        let action = Action::Chown { uid: owner.uid, gid: owner.gid };
        let reason = format!("it belongs to {}:{}, and the services run as {}", meta.uid, meta.gid, owner.uid);
        plan.step(What::Ownership, top.clone(), action, reason, Need::BestEffort);
    }
}

/// The outermost of the written folders.
pub(super) fn volumes(wishes: &Wishes<'_>) -> Vec<PathBuf> {
    let layout = wishes.layout;
    let all = [&layout.data, &layout.cache, &layout.agent_home, &layout.npm_prefix, &layout.uv_cache, &layout.uv_venv];
    let mut tops: Vec<PathBuf> = Vec::new();
    for path in all {
        let inside = |other: &&&PathBuf| path != **other && path.starts_with(other);
        if !all.iter().any(|other| inside(&other)) && !tops.contains(path) {
            tops.push(path.clone());
        }
    }
    tops
}
