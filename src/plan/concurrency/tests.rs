//! The plan of concurrency against hand-made facts, and against any.

use super::*;
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

fn policy() -> Policy {
    Policy::new(&Settings::load(&crate::settings::Environment::default()).unwrap())
}

fn value<T>(value: T, from: &str) -> Bound<T> {
    Bound::new(Reading::Value(value), from)
}

fn unknown<T>() -> Bound<T> {
    Bound::new(Reading::unknown("not there"), "")
}

/// A large machine without limits.
fn large() -> Inputs {
    Inputs {
        cpus: value(64, "/sys/devices/system/cpu/online"),
        memory_limit: value(256 * GIB, "/proc/meminfo"),
        memory_available: value(250 * GIB, "/proc/meminfo"),
        nofile_soft: value(1_048_576, "/proc/self/limits"),
        nofile_hard: value(1_048_576, "/proc/self/limits"),
        tasks_limit: value(4_194_304, "/proc/sys/kernel/pid_max"),
        tasks_available: value(4_190_000, "/proc/sys/kernel/pid_max"),
        nproc: Bound::new(Reading::Unlimited, "/proc/self/limits"),
    }
}

#[test]
fn the_table_of_machines() {
    let cgroup = |file: &str| format!("/sys/fs/cgroup/{file}");
    let cases: Vec<(&str, Inputs, u64, Resource)> = vec![
        ("a large machine reaches the hard cap", large(), 16, Resource::HardCap),
        (
            "a container of 1 GiB on it runs one, not sixteen",
            Inputs {
                memory_limit: value(GIB, &cgroup("memory.max")),
                memory_available: value(GIB, &cgroup("memory.max")),
                ..large()
            },
            1,
            Resource::Memory,
        ),
        (
            "8 GiB less the reserve is seven",
            Inputs { memory_available: value(8 * GIB, &cgroup("memory.max")), ..large() },
            7,
            Resource::Memory,
        ),
        ("half a CPU is one run", Inputs { cpus: value(1, &cgroup("cpu.max")), ..large() }, 1, Resource::Cpu),
        ("eight CPUs are six runs", Inputs { cpus: value(8, &cgroup("cpu.max")), ..large() }, 6, Resource::Cpu),
        (
            "512 pids are six runs of 64 after the reserve",
            Inputs { tasks_available: value(512, &cgroup("pids.max")), ..large() },
            6,
            Resource::Pids,
        ),
        (
            "fewer pids than the reserve still run one",
            Inputs { tasks_available: value(100, &cgroup("pids.max")), ..large() },
            1,
            Resource::Pids,
        ),
        (
            "RLIMIT_NPROC counts where it is tighter",
            Inputs { nproc: value(256, "/proc/self/limits"), ..large() },
            2,
            Resource::Pids,
        ),
        (
            "a hard descriptor limit that is too low binds",
            Inputs {
                nofile_soft: value(512, "/proc/self/limits"),
                nofile_hard: value(512, "/proc/self/limits"),
                ..large()
            },
            4,
            Resource::Descriptors,
        ),
        (
            "one unknown input does not bind",
            Inputs { memory_available: unknown(), memory_limit: unknown(), cpus: value(4, "x"), ..large() },
            3,
            Resource::Cpu,
        ),
        (
            "nothing known is the fallback",
            Inputs {
                cpus: unknown(),
                memory_limit: unknown(),
                memory_available: unknown(),
                nofile_soft: unknown(),
                nofile_hard: unknown(),
                tasks_limit: unknown(),
                tasks_available: unknown(),
                nproc: unknown(),
            },
            2,
            Resource::Fallback,
        ),
    ];
    for (name, inputs, want, binding) in cases {
        let found = concurrency(&inputs, &policy());
        assert_eq!((found.max_concurrent, found.binding), (want, binding), "{name}: {}", found.summary());
    }
}

#[test]
fn the_summary_names_the_file_and_what_to_change() {
    let inputs = Inputs { tasks_available: value(512, "/sys/fs/cgroup/pids.max"), ..large() };
    assert_eq!(
        concurrency(&inputs, &policy()).summary(),
        "6 concurrent runs; pids binds: 512 tasks left (/sys/fs/cgroup/pids.max), SKILL_RUNNER_PID_RESERVE = 128, \
         SKILL_RUNNER_ESTIMATED_PID_PER_RUN = 64; for more: raise the container's pids limit (docker --pids-limit, the \
         kubelet's podPidsLimit), or lower SKILL_RUNNER_PID_RESERVE or SKILL_RUNNER_ESTIMATED_PID_PER_RUN"
    );
}

#[test]
fn a_limit_below_one_run_is_a_warning() {
    let found = concurrency(&Inputs { tasks_available: value(100, "/x/pids.max"), ..large() }, &policy());
    assert_eq!(found.warnings().len(), 1, "{:?}", found.warnings());
    assert!(found.warnings()[0].starts_with("pids is too small for even one run"));
    assert_eq!(concurrency(&large(), &policy()).warnings(), Vec::<String>::new());
}

#[test]
fn equal_terms_are_all_named() {
    let found = concurrency(&Inputs { cpus: value(1, "x"), memory_available: value(GIB, "y"), ..large() }, &policy());
    assert!(found.advice().ends_with("; so does cpu"), "one change alone would change nothing: {}", found.advice());
    assert_eq!((found.binding, found.also_binding), (Resource::Memory, vec![Resource::Cpu]));
}

#[test]
fn a_soft_descriptor_limit_is_raised_as_far_as_needed_and_allowed() {
    let limits = |soft, hard| Inputs { nofile_soft: value(soft, "l"), nofile_hard: Bound::new(hard, "l"), ..large() };
    // 16 runs need 256 + 16 * 64.
    let found = concurrency(&limits(1024, Reading::Value(524_288)), &policy());
    assert_eq!((found.max_concurrent, found.raise_nofile), (16, Some(RaiseNofile { from: 1024, to: 1280 })));
    let found = concurrency(&limits(1024, Reading::Unlimited), &policy());
    assert_eq!(found.raise_nofile.map(|raise| raise.to), Some(1280));
    let found = concurrency(&limits(256, Reading::Value(640)), &policy());
    assert_eq!((found.max_concurrent, found.raise_nofile), (6, Some(RaiseNofile { from: 256, to: 640 })));
    assert_eq!(concurrency(&limits(4096, Reading::Value(524_288)), &policy()).raise_nofile, None);
    assert_eq!(concurrency(&limits(1024, Reading::unknown("x")), &policy()).raise_nofile, None);
}

#[test]
fn the_worker_is_told_in_both_variables() {
    let found = concurrency(&Inputs { cpus: value(4, "x"), ..large() }, &policy()).environment();
    assert_eq!(
        found.map(|(name, value)| format!("{name}={value}")),
        ["SKILL_RUNNER_MAX_CONCURRENT=3", "SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP=3", "SKILL_RUNNER_MAX_QUEUE_SIZE=128"]
    );
}

#[test]
fn root_ignores_rlimit_nproc() {
    let root = crate::layout::Root::at("/nonexistent");
    let env = crate::settings::Environment::default();
    let calls = crate::probe::Calls {
        nproc: Some(crate::probe::calls::SoftHard { soft: Some(256), hard: Some(256) }),
        ..Default::default()
    };
    let facts = crate::probe::assemble(&root, &env, &calls, Vec::new());
    assert_eq!(Inputs::new(&facts, false).nproc.reading, Reading::Value(256));
    assert_eq!(Inputs::new(&facts, true).nproc.reading, Reading::Unlimited);
}

/// Facts of a v2 container with these limits and this use.
fn facts(memory_max: u64, memory_used: u64, pids_max: u64, pids_used: u64) -> (tempfile::TempDir, Facts) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("proc/self/cgroup", "0::/\n".to_owned()),
        ("proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".to_owned()),
        ("proc/meminfo", "MemTotal: 67108864 kB\nMemAvailable: 67108864 kB\n".to_owned()),
        ("sys/fs/cgroup/memory.max", memory_max.to_string()),
        ("sys/fs/cgroup/memory.current", memory_used.to_string()),
        ("sys/fs/cgroup/pids.max", pids_max.to_string()),
        ("sys/fs/cgroup/pids.current", pids_used.to_string()),
    ] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = crate::layout::Root::at(dir.path());
    let facts =
        crate::probe::assemble(&root, &crate::settings::Environment::default(), &Default::default(), Vec::new());
    (dir, facts)
}

#[test]
fn a_replan_sees_new_limits_but_not_what_the_runs_have_taken() {
    let runs = |facts: &Facts| {
        let inputs = Inputs { cpus: value(64, "x"), ..Inputs::new(facts, true) };
        concurrency(&inputs, &policy()).max_concurrent
    };
    let (_a, start) = facts(9 * GIB, 0, 1024, 0);
    assert_eq!(runs(&start), 8);
    // Busy, same limits: the same result.
    let (busy, _) = facts(9 * GIB, 8 * GIB, 1024, 700);
    assert_eq!(runs(&start.under_todays_limits(&crate::layout::Root::at(busy.path()))), 8);
    // Resized in place, down and up.
    let (smaller, _) = facts(5 * GIB, 4 * GIB, 1024, 700);
    assert_eq!(runs(&start.under_todays_limits(&crate::layout::Root::at(smaller.path()))), 4);
    let (larger, _) = facts(13 * GIB, 4 * GIB, 1024, 700);
    assert_eq!(runs(&start.under_todays_limits(&crate::layout::Root::at(larger.path()))), 12);
}

fn reading() -> impl Strategy<Value = Reading<u64>> {
    prop_oneof![
        4 => (0..=u64::MAX).prop_map(Reading::Value),
        2 => (0..4096_u64).prop_map(Reading::Value),
        1 => Just(Reading::Unlimited),
        1 => Just(Reading::unknown("x")),
    ]
}

prop_compose! {
    fn inputs()(a in reading(), b in reading(), c in reading(), d in reading(), e in reading(), f in reading()) -> Inputs {
        let bound = |reading: Reading<u64>| Bound::new(reading, "f");
        Inputs {
            cpus: Bound::new(a.map(|n| u32::try_from(n).unwrap_or(u32::MAX)), "f"),
            memory_limit: bound(Reading::unknown("x")), memory_available: bound(b),
            nofile_soft: bound(c), nofile_hard: bound(d),
            tasks_limit: bound(Reading::unknown("x")), tasks_available: bound(e), nproc: bound(f),
        }
    }
}

prop_compose! {
    fn policies()(cap in 0..2000_u64, factor in 0.01..64.0_f64, n in prop::array::uniform7(prop_oneof![0..300_u64, 0..=u64::MAX])) -> Policy {
        let [mem_reserve, mem_per_run, fd_reserve, fd_per_run, pid_reserve, pid_per_run, fallback] = n;
        Policy { hard_cap: cap, queue: 0, cpu_factor: factor, mem_reserve, mem_per_run, fd_reserve, fd_per_run, pid_reserve, pid_per_run, fallback }
    }
}

proptest! {
    #[test]
    fn never_zero_and_never_above_the_cap(inputs in inputs(), policy in policies()) {
        let found = concurrency(&inputs, &policy);
        prop_assert!(found.max_concurrent >= 1 && found.max_concurrent <= policy.hard_cap.max(1));
        prop_assert!(found.queue >= 1);
        prop_assert!(found.binding_term().is_some_and(|term| term.runs == Reading::Value(found.max_concurrent)));
        if let Some(raise) = found.raise_nofile {
            prop_assert!(raise.to > raise.from);
            prop_assert!(inputs.nofile_hard.value().is_none_or(|hard| raise.to <= *hard));
        }
    }

    #[test]
    fn more_of_anything_never_gives_less(inputs in inputs(), policy in policies(), which in 0..6_u8, more in 0..=u64::MAX) {
        let grow = |bound: &Bound<u64>| Bound::new(bound.reading.clone().map(|n| n.saturating_add(more)), "f");
        let mut grown = inputs.clone();
        match which {
            0 => grown.cpus.reading = inputs.cpus.reading.clone().map(|n| n.saturating_add(more as u32)),
            1 => grown.memory_available = grow(&inputs.memory_available),
            2 => grown.nofile_soft = grow(&inputs.nofile_soft),
            3 => grown.nofile_hard = grow(&inputs.nofile_hard),
            4 => grown.tasks_available = grow(&inputs.tasks_available),
            _ => grown.nproc = grow(&inputs.nproc),
        }
        prop_assert!(concurrency(&grown, &policy).max_concurrent >= concurrency(&inputs, &policy).max_concurrent);
    }

    #[test]
    fn a_higher_cap_never_gives_less(inputs in inputs(), policy in policies(), more in 0..1000_u64) {
        let higher = Policy { hard_cap: policy.hard_cap + more, ..policy };
        prop_assert!(concurrency(&inputs, &higher).max_concurrent >= concurrency(&inputs, &policy).max_concurrent);
    }
}
