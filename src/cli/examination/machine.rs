//! Checks on the facts: paths, limits, sandbox, privileges. Pure.

use super::finding::Finding;
use crate::{
    plan::{Plan, services::Worker},
    probe::{Facts, Reading, paths::PathFact},
    settings::{Settings, keys},
};

/// Below this a volume is nearly full: one CLI's installation takes more.
const LITTLE_ROOM: u64 = 512 << 20;
/// Below this many inodes an npm installation fails although there is room.
const FEW_INODES: u64 = 20_000;

/// Every folder of the layout.
pub(super) fn paths(facts: &[PathFact], uid: Option<u32>) -> Vec<Finding> {
    facts.iter().map(|fact| path(fact, uid)).collect()
}

fn path(fact: &PathFact, uid: Option<u32>) -> Finding {
    let read_only = matches!(fact.name, "app" | "skills" | "import");
    let name = format!("{} {}", fact.name, fact.path);
    if read_only {
        return match (fact.exists, fact.name) {
            (true, _) => Finding::right("paths", name),
            (false, "import") => Finding::note("paths", format!("{name} is not there: no credentials are imported")),
            (false, "skills") => Finding::warning(
                "paths",
                format!("{name} is not there: no skill is served"),
                "mount the skills folder there, or set SKILL_RUNNER_SKILLS_DIR",
            ),
            (false, _) => Finding::warning(
                "paths",
                format!("{name} is not there"),
                "set SKILL_INIT_APP_DIR to the application's folder",
            ),
        };
    }
    if !fact.writable {
        let why = fact.why_not.clone().unwrap_or_else(|| "the reason is not known".to_owned());
        return Finding::wrong("paths", format!("{name} cannot be written: {why}"), mend(fact, &why, uid));
    }
    let fs = fact.fs_type.clone().unwrap_or_else(|| "unknown file system".to_owned());
    if let Some(free) = fact.free_bytes.filter(|free| *free < LITTLE_ROOM) {
        let remedy = format!(
            "free room on {fs} of {} (an agent CLI takes 100 to 500 MiB), or give the volume more",
            fact.looked_at
        );
        return Finding::warning("paths", format!("{name} has only {} MiB free", free >> 20), remedy);
    }
    if let Some(free) = fact.free_inodes.filter(|free| *free < FEW_INODES) {
        let remedy = format!("remove files on {fs} of {}: an agent CLI takes thousands", fact.looked_at);
        return Finding::warning("paths", format!("{name} has only {free} inodes free"), remedy);
    }
    let lasting = matches!(fact.name, "data" | "cache") && fs == "overlay";
    if lasting {
        let what = format!("{name} is in the container's own layer: gone with the container");
        return Finding::warning("paths", what, format!("mount a volume on {}", fact.path));
    }
    Finding::right("paths", name)
}

fn mend(fact: &PathFact, why: &str, uid: Option<u32>) -> String {
    // What was looked at is the nearest folder that there is; the root is nobody's to give or to mount over.
    let root = fact.looked_at == "/";
    let place = if root { &fact.path } else { &fact.looked_at };
    match why {
        "EACCES" | "EPERM" if root => {
            let uid = uid.map_or_else(|| "UID".to_owned(), |uid| uid.to_string());
            format!("mount a volume on {place}, or as root: install -d -o {uid} {place}")
        }
        "read-only file system" | "EROFS" => {
            format!("mount {place} writable (without :ro, readOnlyRootFilesystem needs a volume there)")
        }
        "EACCES" | "EPERM" => {
            let uid = uid.map_or_else(|| "UID".to_owned(), |uid| uid.to_string());
            format!(
                "as root on the volume: chown -R {uid}:{uid} {place} (owner now {}), or start as root with SKILL_INIT_USER={uid}",
                fact.owner.as_deref().unwrap_or("unknown")
            )
        }
        "ENOSPC" | "EDQUOT" => format!("free room on the file system of {place}"),
        _ if why.contains("not a folder") => format!("remove or rename what stands in the way of {}", fact.path),
        _ => format!("look at {place}: ls -ld {place}; mount | grep {place}"),
    }
}

/// CPU, memory, pids, descriptors, and what they allow.
pub(super) fn limits(facts: &Facts, plan: &Plan) -> Vec<Finding> {
    let mut out = vec![Finding::right("limits", plan.concurrency.summary())];
    out.extend(plan.concurrency.warnings().into_iter().map(|what| {
        Finding::warning(
            "limits",
            what,
            "raise the limit, or lower what one run is taken to need (docs/environment.md, Concurrency)",
        )
    }));
    if facts.tasks.cgroup.reading == Reading::Unlimited && facts.container.is_container() {
        let remedy =
            "set --pids-limit (Docker) or podPidsLimit (Kubernetes): a fork storm of one agent takes the host with it";
        out.push(Finding::warning("limits", "no pids limit", remedy));
    }
    let least_memory = facts.memory.limit.value().filter(|bytes| **bytes < 1 << 30);
    if let Some(bytes) = least_memory {
        let what = format!("the memory limit is {} MiB ({})", bytes >> 20, facts.memory.limit.from);
        out.push(Finding::warning("limits", what, "give the container at least 1 GiB: one agent CLI takes that much"));
    }
    if facts.pressure.cgroup.is_none() && facts.pressure.system.is_none() {
        out.push(Finding::note("limits", "no pressure information (PSI): limits are only watched by the slow tick"));
    }
    out
}

/// Landlock, user namespaces, seccomp.
pub(super) fn sandbox(facts: &Facts, plan: &Plan) -> Vec<Finding> {
    let mut out = Vec::new();
    let switch = if plan.landlock.enabled { "LANDLOCK_ENABLED=1" } else { "LANDLOCK_ENABLED=0" };
    if facts.landlock.usable {
        out.push(Finding::right(
            "sandbox",
            format!("Landlock works: {}; {switch} ({})", facts.landlock.reason, plan.landlock.reason),
        ));
    } else {
        let remedy = match facts.landlock.abi_errno.as_deref() {
            Some("EPERM" | "EACCES") => {
                "the engine's seccomp profile denies it: use a current Docker or containerd, or a profile that allows landlock_create_ruleset"
            }
            Some("EOPNOTSUPP") => "boot the host with landlock in lsm= (CONFIG_LSM)",
            _ => "use a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK; until then agents run without this sandbox",
        };
        out.push(Finding::warning("sandbox", format!("no Landlock: {}; {switch}", facts.landlock.reason), remedy));
    }
    let userns = &facts.user_namespaces;
    match userns.usable.value() {
        Some(true) => out.push(Finding::right("sandbox", format!("user namespaces work: {}", userns.reason))),
        Some(false) => out.push(Finding::warning(
            "sandbox",
            format!("no user namespaces: {}", userns.reason),
            "bubblewrap, which agent CLIs confine themselves with, needs them; docs/sandbox.md names what to allow",
        )),
        None => out.push(Finding::note("sandbox", format!("user namespaces: {}", userns.reason))),
    }
    out
}

/// Who this is, and where.
pub(super) fn privileges(facts: &Facts, settings: &Settings) -> Vec<Finding> {
    let mut out = Vec::new();
    let uid = facts.privileges.uid.value().copied();
    match (uid, settings.get_opt(&keys::USER)) {
        (Some(0), None) if facts.container.is_container() => out.push(Finding::warning(
            "privileges",
            "the services run as root",
            "set SKILL_INIT_USER=10001:10001: the start repairs the volumes' ownership, then gives up root",
        )),
        (Some(0), Some(user)) => {
            out.push(Finding::right("privileges", format!("starts as root, runs services as {user}")))
        }
        (Some(uid), Some(user)) => {
            if user.split(':').next().and_then(|word| word.parse().ok()) != Some(uid) {
                let what = format!("SKILL_INIT_USER={user} has no effect: this is uid {uid}, not root");
                out.push(Finding::warning("privileges", what, "start the container as root, or unset SKILL_INIT_USER"));
            }
        }
        (Some(uid), None) => out.push(Finding::right("privileges", format!("uid {uid}"))),
        (None, _) => out.push(Finding::note("privileges", "the uid is not known")),
    }
    out
}

/// Is there a worker to run?
pub(super) fn worker(plan: &Plan) -> Finding {
    match plan.worker {
        Worker::Custom => Finding::right("services", "API worker: SKILL_INIT_API_COMMAND"),
        Worker::Python => Finding::right("services", "API worker: the Python worker in the application folder"),
        Worker::Embedded => Finding::right("services", "API worker: skill-api"),
        Worker::Off => Finding::note("services", "no API worker: SKILL_INIT_API is off"),
        Worker::None => Finding::wrong(
            "services",
            "no API worker was found",
            "put skill-api beside skill-init, or server/main.py into the application folder and uvicorn on PATH, or set SKILL_INIT_API_COMMAND",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn fact(name: &'static str) -> PathFact {
        PathFact {
            name,
            path: "/data".to_owned(),
            exists: true,
            looked_at: "/data".to_owned(),
            writable: true,
            why_not: None,
            fs_type: Some("ext4".to_owned()),
            free_bytes: Some(10 << 30),
            free_inodes: Some(1 << 20),
            owner: Some("0:0".to_owned()),
            mode: Some("0755".to_owned()),
        }
    }

    #[test]
    fn an_unwritable_folder_is_wrong_and_the_remedy_names_the_command() {
        let denied = PathFact { writable: false, why_not: Some("EACCES".to_owned()), ..fact("data") };
        let found = path(&denied, Some(10001));
        assert_eq!(found.level, Level::Wrong);
        assert!(found.remedy.contains("chown -R 10001:10001 /data"), "{found:?}");
        let read_only = PathFact { why_not: Some("read-only file system".to_owned()), ..denied.clone() };
        assert!(path(&read_only, None).remedy.contains("writable"));
        // The nearest folder that there is is the root: it is nobody's to give away or to mount over.
        let nowhere = PathFact { looked_at: "/".to_owned(), exists: false, ..denied };
        assert_eq!(path(&nowhere, Some(7)).remedy, "mount a volume on /data, or as root: install -d -o 7 /data");
        let nowhere = PathFact { looked_at: "/".to_owned(), ..read_only };
        assert!(path(&nowhere, None).remedy.starts_with("mount /data writable"));
    }

    #[test]
    fn a_volume_that_fills_up_or_goes_with_the_container_is_a_warning() {
        for fact in [
            PathFact { free_bytes: Some(1 << 20), ..fact("cache") },
            PathFact { free_inodes: Some(5), ..fact("cache") },
            PathFact { fs_type: Some("overlay".to_owned()), ..fact("cache") },
        ] {
            let found = path(&fact, Some(0));
            assert_eq!(found.level, Level::Warning, "{found:?}");
            assert!(!found.remedy.is_empty());
        }
        assert_eq!(path(&fact("cache"), Some(0)).level, Level::Right);
    }

    #[test]
    fn a_missing_import_folder_is_only_worth_a_note() {
        assert_eq!(path(&PathFact { exists: false, ..fact("import") }, None).level, Level::Note);
        assert_eq!(path(&PathFact { exists: false, ..fact("skills") }, None).level, Level::Warning);
    }
}
