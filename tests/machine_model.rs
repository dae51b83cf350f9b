//! The machine against a small model of the world: random lives, checked after every step.
//!
//! The model knows which processes exist (from the machine's own actions), who waits for whom, and what time it
//! is; it knows nothing of states. `MACHINE_HISTORIES` sets the number of lives (default 5,000; CI runs 100,000).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use skill_init::{
    exit::Exit,
    settings::{Defaults, Environment, Settings, service::*},
    supervise::{
        cause::Cause,
        machine::{Action, Event, Machine, Phase, ServiceId, StopPlan, Verb},
        probing::Which,
        schedule::Now,
        service::State,
    },
    sys::wait::ExitStatus,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const GRACE: Duration = Duration::from_millis(800);

#[derive(Debug, Clone)]
enum Stimulus {
    /// The process of a service ends with this status (128 and up: by a signal).
    End(usize, u8),
    /// It says that it is ready.
    Notify(usize),
    /// A pending question is answered.
    Answer(usize, bool),
    /// Time passes, in milliseconds, with ticks wherever the machine wants one.
    Wait(u64),
    Operator(usize, u8),
    Pressure(bool),
    Shutdown,
    Hurry,
    Reload(usize),
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    prop_oneof![
        4 => (0_usize..5, prop_oneof![Just(0_u8), Just(1), Just(137), Just(143)]).prop_map(|(s, c)| Stimulus::End(s, c)),
        3 => (0_usize..5).prop_map(Stimulus::Notify),
        3 => (0_usize..5, any::<bool>()).prop_map(|(s, ok)| Stimulus::Answer(s, ok)),
        4 => (0_u64..400).prop_map(Stimulus::Wait),
        2 => (0_usize..5, 0_u8..3).prop_map(|(s, v)| Stimulus::Operator(s, v)),
        1 => any::<bool>().prop_map(Stimulus::Pressure),
        1 => Just(Stimulus::Shutdown),
        1 => Just(Stimulus::Hurry),
        1 => (0_usize..5).prop_map(Stimulus::Reload),
    ]
}

fn spec() -> impl Strategy<Value = ServiceSpec> {
    (any::<bool>(), 0_u8..3, any::<bool>(), 0_u8..4, 0_u8..3, 0_u32..4, any::<bool>()).prop_map(
        |(essential, restart, oneshot, readiness, delay, budget, liveness)| {
            let probe = |kind| Probe {
                kind,
                start_period: Duration::ZERO,
                interval: Duration::from_millis(100),
                timeout: Duration::from_millis(50),
                success_threshold: 1,
                failure_threshold: 2,
            };
            let tcp = || ProbeKind::Tcp { host: "127.0.0.1".into(), port: 1 };
            ServiceSpec {
                name: String::new(),
                kind: if oneshot { ServiceKind::Oneshot } else { ServiceKind::Daemon },
                command: vec!["x".into()],
                cwd: None,
                env: BTreeMap::new(),
                secrets: vec![],
                user: None,
                restart: [Restart::Always, Restart::OnFailure, Restart::Never][restart as usize],
                backoff: Backoff {
                    initial: Duration::from_millis([0, 10, 200][delay as usize]),
                    max: Duration::from_millis(500),
                    jitter: 0.2,
                    reset_after: Duration::from_millis(300),
                },
                budget: RestartBudget { restarts: budget * 2, window: Duration::from_millis(700) },
                essential: if essential { Essential::Yes } else { Essential::No },
                after: vec![],
                stop_signal: 15,
                stop_grace: Duration::from_millis(150),
                limits: vec![],
                oom_score_adj: None,
                readiness: match readiness {
                    0 => None,
                    1 => Some(probe(ProbeKind::SdNotify)),
                    _ => Some(probe(tcp())),
                },
                liveness: liveness.then(|| probe(tcp())),
                start_timeout: (readiness == 3).then_some(Duration::from_millis(250)),
            }
        },
    )
}

/// One to five services; each may start after earlier ones.
fn specs() -> impl Strategy<Value = Vec<ServiceSpec>> {
    prop::collection::vec((spec(), any::<u8>()), 1..=5).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(i, (mut spec, mask))| {
                spec.name = format!("s{i}");
                spec.after = (0..i).filter(|j| mask & (1 << j) != 0).map(|j| format!("s{j}")).collect();
                spec
            })
            .collect()
    })
}

/// What really exists, as far as the machine's actions made it.
struct World {
    machine: Machine,
    specs: Vec<ServiceSpec>,
    now: Now,
    processes: BTreeMap<usize, u64>,
    signalled: BTreeSet<usize>,
    /// Whose process of now has said that it is ready.
    said_ready: BTreeSet<usize>,
    questions: Vec<(ServiceId, u64, Which)>,
    ready: bool,
    was_ready: bool,
    stopping_since: Option<Now>,
    hurried: bool,
    exit: Option<(Exit, Now)>,
}

impl World {
    fn new(specs: Vec<ServiceSpec>) -> Self {
        let stop = StopPlan { grace: GRACE, drain: Duration::from_millis(50) };
        Self {
            machine: Machine::new(specs.clone(), stop, 7),
            specs,
            now: Now::from_millis(1),
            processes: BTreeMap::new(),
            signalled: BTreeSet::new(),
            said_ready: BTreeSet::new(),
            questions: vec![],
            ready: false,
            was_ready: false,
            stopping_since: None,
            hurried: false,
            exit: None,
        }
    }

    fn settled(&self, name: &str) -> bool {
        self.machine.find(name).and_then(|id| self.machine.service(id)).is_none_or(|s| s.state.settled())
    }

    fn feed(&mut self, event: Event) {
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            if matches!(event, Event::Shutdown { .. }) && self.exit.is_none() {
                self.stopping_since.get_or_insert(self.now);
            }
            let over = self.exit.is_some();
            for action in self.machine.step(event, self.now) {
                assert!(!over, "an action after the exit: {action:?}");
                self.obey(action, &mut queue);
            }
        }
        self.check();
    }

    fn obey(&mut self, action: Action, queue: &mut Vec<Event>) {
        match action {
            Action::Spawn(id) => {
                let service = self.machine.service(id).unwrap();
                assert!(!self.processes.contains_key(&id.0), "a second process of {}", service.spec.name);
                for name in &service.spec.after {
                    assert!(self.settled(name), "{} started before {name} settled", service.spec.name);
                }
                self.processes.insert(id.0, service.generation);
                self.signalled.remove(&id.0);
                self.said_ready.remove(&id.0);
                queue.push(Event::Spawned(id));
            }
            Action::StopSignal(id) => {
                assert!(self.processes.contains_key(&id.0), "a signal to nobody");
                let name = &self.specs[id.0].name;
                if self.machine.phase() == Phase::Stopping {
                    for (i, other) in self.specs.iter().enumerate() {
                        let needs = other.after.contains(name) && self.processes.contains_key(&i);
                        assert!(!needs || self.hurried, "{name} is stopped while {} runs", other.name);
                    }
                }
                self.signalled.insert(id.0);
            }
            Action::Kill(id) => {
                assert!(self.processes.contains_key(&id.0), "a kill of nobody");
                let generation = self.processes.remove(&id.0).unwrap();
                let cause = Cause::Status(ExitStatus::Signaled { signal: 9, core: false });
                queue.push(Event::Ended { id, generation, cause });
            }
            Action::Ask { id, generation, which } => {
                assert_eq!(self.processes.get(&id.0), Some(&generation), "a question to nobody");
                self.questions.push((id, generation, which));
            }
            Action::Changed { .. } => {}
            Action::Readiness(ready) => {
                assert_ne!(ready, self.ready, "readiness told twice");
                self.ready = ready;
                self.was_ready |= ready;
            }
            Action::Sweep { .. } => {
                assert!(self.processes.is_empty(), "swept while services run");
                queue.push(Event::ChildrenGone);
            }
            Action::Exit { code, .. } => {
                assert!(self.exit.is_none());
                self.exit = Some((code, self.now));
            }
        }
    }

    /// What must hold between any two events.
    fn check(&self) {
        if self.exit.is_some() {
            return;
        }
        assert_eq!(self.ready, self.machine.ready());
        assert_eq!(self.ready, self.machine.unready_reasons().is_empty());
        assert_eq!(self.was_ready, self.machine.startup_done());
        for (id, service) in self.machine.services() {
            assert_eq!(
                service.state.runs(),
                self.processes.contains_key(&id.0),
                "{} {:?}",
                service.spec.name,
                service.state
            );
            if service.state == State::Ready && service.spec.readiness.is_some() {
                assert!(self.said_ready.contains(&id.0), "{} is ready and never said so", service.spec.name);
            }
            if service.state == State::Waiting && self.machine.phase() == Phase::Running {
                assert!(
                    service.spec.after.iter().any(|name| !self.settled(name)),
                    "{} waits for nothing",
                    service.spec.name
                );
            }
        }
        if !self.processes.is_empty() || self.machine.phase() != Phase::Running {
            return;
        }
        // Nobody runs: something must be due, or everything has come to its end.
        let waits = self.machine.services().any(|(_, s)| matches!(s.state, State::Backoff { .. }));
        assert_eq!(waits, self.machine.next_deadline().is_some());
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        while let Some(at) = self.machine.next_deadline().filter(|at| *at <= end && self.exit.is_none()) {
            self.now = self.now.max(at);
            self.feed(Event::Tick);
            steps += 1;
            assert!(steps < 10_000, "a deadline that never passes: {:?}", self.machine.next_deadline());
        }
        self.now = end;
    }

    fn apply(&mut self, stimulus: Stimulus) {
        let count = self.specs.len();
        match stimulus {
            Stimulus::End(s, code) => {
                let id = ServiceId(s % count);
                if let Some(generation) = self.processes.remove(&id.0) {
                    let status = match code {
                        128.. => ExitStatus::Signaled { signal: i32::from(code) - 128, core: false },
                        code => ExitStatus::Exited(code),
                    };
                    self.feed(Event::Ended { id, generation, cause: Cause::Status(status) });
                }
            }
            Stimulus::Notify(s) => {
                let id = ServiceId(s % count);
                if let Some(generation) = self.processes.get(&id.0).copied() {
                    self.said_ready.insert(id.0);
                    self.feed(Event::Notified { id, generation });
                }
            }
            Stimulus::Answer(n, ok) => {
                if !self.questions.is_empty() {
                    let (id, generation, which) = self.questions.remove(n % self.questions.len());
                    if ok && which == Which::Readiness && self.processes.get(&id.0) == Some(&generation) {
                        self.said_ready.insert(id.0);
                    }
                    let answer = if ok { Ok(()) } else { Err(Some("no".to_owned())) };
                    self.feed(Event::Probed { id, generation, which, answer });
                }
            }
            Stimulus::Wait(ms) => self.wait(Duration::from_millis(ms)),
            Stimulus::Operator(s, verb) => {
                let verb = [Verb::Start, Verb::Stop, Verb::Restart][verb as usize];
                self.feed(Event::Operator(ServiceId(s % count), verb));
            }
            Stimulus::Pressure(on) => self.feed(Event::Pressure(on.then(|| "pids".to_owned()))),
            Stimulus::Shutdown => self.feed(Event::Shutdown { exit: Exit::OK, reason: "asked".to_owned() }),
            Stimulus::Hurry => {
                self.hurried |= self.stopping_since.is_some();
                self.feed(Event::Hurry);
            }
            Stimulus::Reload(s) => {
                // Another definition of one service; the names stay, so that ids stay.
                let mut specs = self.specs.clone();
                specs[s % count].stop_grace += Duration::from_millis(1);
                self.specs.clone_from(&specs);
                self.feed(Event::Reload(specs));
            }
        }
    }
}

fn live(specs: Vec<ServiceSpec>, stimuli: Vec<Stimulus>) {
    let mut world = World::new(specs);
    world.feed(Event::Boot);
    for stimulus in stimuli {
        world.apply(stimulus);
    }
    // However it went: a stop ends within the grace, with nobody answering anything.
    world.feed(Event::Shutdown { exit: Exit(9), reason: "end".to_owned() });
    let asked = world.now;
    world.wait(GRACE);
    let (_, at) = world.exit.expect("the grace period is over and it has not left");
    assert!(at <= asked + GRACE);
    assert!(world.processes.is_empty(), "left while services run, with time enough to kill them");
}

#[test]
fn random_lives_keep_every_invariant() {
    let cases =
        std::env::vars().find(|(k, _)| k == "MACHINE_HISTORIES").and_then(|(_, v)| v.parse().ok()).unwrap_or(5_000);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    TestRunner::new(config)
        .run(&(specs(), prop::collection::vec(stimulus(), 0..60)), |(specs, stimuli)| {
            live(specs, stimuli);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_start_timeout_that_is_due_when_the_drain_ends_leaves_the_order_of_the_stop_alone() {
    let settings = Settings::load(&Environment(BTreeMap::new())).expect("the defaults are right");
    let named = |name: &str| ServiceSpec::new(name, vec!["x".to_owned()], &Defaults::of(&settings));
    let (mut first, mut second) = (named("s0"), named("s1"));
    first.readiness = Some(Probe {
        kind: ProbeKind::SdNotify,
        start_period: Duration::ZERO,
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(50),
        success_threshold: 1,
        failure_threshold: 2,
    });
    first.start_timeout = Some(Duration::from_millis(150));
    second.after = vec!["s0".to_owned()];
    // s0 is restarted while s1 runs on; its second start has 150 ms, and the stop's drain of 50 ms ends with them.
    let restarted = [Stimulus::Notify(0), Stimulus::Operator(0, 2), Stimulus::End(0, 143)];
    live(vec![first, second], restarted.into_iter().chain([Stimulus::Wait(100)]).collect());
}
