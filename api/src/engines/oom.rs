//! Was an engine that died by SIGKILL the OOM killer's victim? The kernel's counter of the worker's cgroup says it.
//!
//! One [`Oom`] for the worker, one [`Watch`] for each engine process. While any watch is held the counter is read every
//! few seconds, so that a kill is known with its time: one of an agent's tool, an hour ago, is no reason of a death now.
//! Each kill explains one death.

use skill_init::{
    control::render,
    layout::Root,
    probe::{UsagePaths, oom::Ledger},
};
use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two looks at the counter. The kernel counts before it kills, so a death is always looked at in time.
const LOOK: Duration = Duration::from_secs(5);

/// The counter, and who has died of it.
#[derive(Debug)]
pub struct Oom {
    usage: UsagePaths,
    since: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    watches: usize,
    ledger: Ledger,
}

/// One kill of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomKill {
    /// The tightest limit of the worker's cgroups in bytes; `None`: they have none, the machine was full.
    pub limit: Option<u64>,
    /// There is no memory cgroup: the counter is the machine's, and the victim may have been another process.
    pub of_machine: bool,
}

impl fmt::Display for OomKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.of_machine, self.limit) {
            (true, _) => f.write_str("probably killed by the kernel: the machine ran out of memory"),
            (false, Some(limit)) => {
                write!(f, "killed by the kernel: out of memory (limit {})", render::bytes(limit))
            }
            (false, None) => f.write_str("killed by the kernel: out of memory (the machine's: there is no limit)"),
        }
    }
}

impl Oom {
    /// Of the cgroup that this process is in. Reads a few small files.
    pub fn of(root: &Root) -> Arc<Self> {
        Arc::new(Self { usage: UsagePaths::find(root), since: Instant::now(), state: Mutex::default() })
    }

    /// Before an engine starts; held until its end is known.
    pub async fn watch(self: &Arc<Self>) -> Watch {
        let counter = self.counter().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.watches += 1;
        if let Some(counter) = counter {
            if state.watches == 1 {
                state.ledger.skip(counter);
            } else {
                state.ledger.counted(counter, self.since.elapsed());
            }
        }
        Watch(Arc::clone(self))
    }

    async fn counter(self: &Arc<Self>) -> Option<u64> {
        let oom = Arc::clone(self);
        tokio::task::spawn_blocking(move || oom.usage.oom_kills()).await.ok().flatten()
    }
}

/// Of one engine process.
#[derive(Debug)]
pub struct Watch(Arc<Oom>);

impl Watch {
    /// Looks at the counter until it is dropped.
    pub async fn look(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(counter) = self.0.counter().await {
                let now = self.0.since.elapsed();
                self.0.state.lock().unwrap_or_else(PoisonError::into_inner).ledger.counted(counter, now);
            }
        }
    }

    /// The engine has just died by a SIGKILL that was not ours: the kill that explains it, which explains no other death.
    pub async fn claim(&self) -> Option<OomKill> {
        let counter = self.0.counter().await?;
        let now = self.0.since.elapsed();
        let claimed = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ledger.counted(counter, now);
            state.ledger.claim(now)
        };
        if !claimed {
            return None;
        }
        let oom = Arc::clone(&self.0);
        let limit = tokio::task::spawn_blocking(move || oom.usage.memory_limit().value().copied());
        Some(OomKill { limit: limit.await.ok().flatten(), of_machine: self.0.usage.oom_is_the_hosts() })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).watches -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The files of a container with cgroup v2 whose counter stands at this.
    fn v2(kills: u64, limit: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        fs::create_dir_all(dir.path().join("sys/fs/cgroup")).unwrap();
        fs::write(dir.path().join("proc/self/cgroup"), "0::/\n").unwrap();
        let mount = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        fs::write(dir.path().join("proc/self/mountinfo"), mount).unwrap();
        fs::write(dir.path().join("sys/fs/cgroup/memory.current"), "1000\n").unwrap();
        fs::write(dir.path().join("sys/fs/cgroup/memory.max"), limit).unwrap();
        count(&dir, kills);
        dir
    }

    fn count(dir: &tempfile::TempDir, kills: u64) {
        let text = format!("low 0\nhigh 0\nmax 9\noom {kills}\noom_kill {kills}\noom_group_kill 0\n");
        fs::write(dir.path().join("sys/fs/cgroup/memory.events"), text).unwrap();
    }

    #[tokio::test]
    async fn a_kill_that_was_counted_during_the_run_explains_one_death_and_names_the_limit() {
        let dir = v2(4, "536870912\n");
        let oom = Oom::of(&Root::at(dir.path()));
        let (one, other) = (oom.watch().await, oom.watch().await);
        assert_eq!(one.claim().await, None, "what was counted before the run explains nothing");
        count(&dir, 5);
        let kill = one.claim().await.unwrap();
        assert_eq!(kill, OomKill { limit: Some(512 << 20), of_machine: false });
        assert_eq!(kill.to_string(), "killed by the kernel: out of memory (limit 512.0 MiB)");
        assert_eq!(other.claim().await, None, "one kill, one victim");
    }

    #[tokio::test]
    async fn what_was_counted_between_two_runs_explains_nothing() {
        let dir = v2(0, "max\n");
        let oom = Oom::of(&Root::at(dir.path()));
        drop(oom.watch().await);
        count(&dir, 3);
        let watch = oom.watch().await;
        assert_eq!(watch.claim().await, None);
        count(&dir, 4);
        let words = watch.claim().await.unwrap().to_string();
        assert_eq!(words, "killed by the kernel: out of memory (the machine's: there is no limit)");
    }

    #[tokio::test]
    async fn a_second_run_that_starts_takes_no_kill_from_the_first() {
        let dir = v2(0, "max\n");
        let oom = Oom::of(&Root::at(dir.path()));
        let first = oom.watch().await;
        count(&dir, 1);
        let _second = oom.watch().await;
        assert!(first.claim().await.is_some());
    }

    #[tokio::test]
    async fn without_a_memory_cgroup_the_machines_counter_is_no_certainty() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/vmstat"), "oom_kill 7\n").unwrap();
        let oom = Oom::of(&Root::at(dir.path()));
        let watch = oom.watch().await;
        fs::write(dir.path().join("proc/vmstat"), "oom_kill 8\n").unwrap();
        let words = watch.claim().await.unwrap().to_string();
        assert_eq!(words, "probably killed by the kernel: the machine ran out of memory");
    }

    #[tokio::test]
    async fn where_nothing_counts_no_death_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Oom::of(&Root::at(dir.path())).watch().await;
        assert_eq!(watch.claim().await, None);
    }
}
