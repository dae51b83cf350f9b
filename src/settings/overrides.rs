//! A `[service.NAME]` table as written: every field optional, so that it can tune a built-in service or,
//! over the defaults, make one of its own.

use super::{
    keys,
    load::Settings,
    service::{Backoff, Essential, Limit, Probe, ProbeKind, Restart, RestartBudget, ServiceKind, ServiceSpec},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// What a table may say of the back-off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackoffOverride {
    /// Delay before the first restart.
    pub initial: Option<Duration>,
    /// Greatest delay.
    pub max: Option<Duration>,
    /// Share of the delay that is random.
    pub jitter: Option<f64>,
    /// Good health after which the delay is the first again.
    pub reset_after: Option<Duration>,
}

/// What a table may say of the restart budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetOverride {
    /// Restarts.
    pub restarts: Option<u32>,
    /// The window.
    pub window: Option<Duration>,
}

/// What a table may say of a probe. Without a kind it tunes the probe that a built-in service has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeOverride {
    /// How it asks.
    pub kind: Option<ProbeKind>,
    /// Failures do not count before this long after the start.
    pub start_period: Option<Duration>,
    /// Between two questions.
    pub interval: Option<Duration>,
    /// Deadline of one question.
    pub timeout: Option<Duration>,
    /// Successes in a row that make it true.
    pub success_threshold: Option<u32>,
    /// Failures in a row that make it false.
    pub failure_threshold: Option<u32>,
}

/// A `[service.NAME]` table. The fields are those of `ServiceSpec`.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is ServiceSpec's field of that name")]
pub struct ServiceOverride {
    pub name: String,
    /// 1-based line of the table in the file.
    pub line: usize,
    /// `Some(false)`: leave the service out.
    pub enabled: Option<bool>,
    pub kind: Option<ServiceKind>,
    pub command: Option<Vec<String>>,
    pub cwd: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    pub secrets: Option<Vec<String>>,
    pub user: Option<String>,
    pub restart: Option<Restart>,
    pub backoff: BackoffOverride,
    pub budget: BudgetOverride,
    pub essential: Option<Essential>,
    pub after: Option<Vec<String>>,
    pub stop_signal: Option<i32>,
    pub stop_grace: Option<Duration>,
    pub limits: Vec<Limit>,
    pub oom_score_adj: Option<i32>,
    pub readiness: Option<ProbeOverride>,
    pub liveness: Option<ProbeOverride>,
    pub start_timeout: Option<Duration>,
}

/// What a service gets where its table says nothing: the "Supervision" settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// Restart policy of a daemon.
    pub restart: Restart,
    /// Delay between restarts.
    pub backoff: Backoff,
    /// Restarts before a service is given up.
    pub budget: RestartBudget,
    /// From stop signal to SIGKILL.
    pub stop_grace: Duration,
}

impl Defaults {
    /// From the settings.
    pub fn of(settings: &Settings) -> Self {
        let restart = match settings.get(&keys::RESTART).as_str() {
            "never" => Restart::Never,
            "on-failure" => Restart::OnFailure,
            _ => Restart::Always,
        };
        Self {
            restart,
            backoff: Backoff {
                initial: settings.get(&keys::BACKOFF),
                max: settings.get(&keys::BACKOFF_MAX),
                jitter: 0.1,
                reset_after: Duration::from_secs(60),
            },
            budget: RestartBudget {
                restarts: u32::try_from(settings.get(&keys::RESTART_BUDGET)).unwrap_or(u32::MAX),
                window: settings.get(&keys::RESTART_WINDOW),
            },
            stop_grace: Duration::from_secs(5).min(settings.get(&keys::STOP_GRACE)),
        }
    }
}

impl ServiceSpec {
    /// A daemon with the defaults: not essential, after nothing, SIGTERM, no probes.
    pub fn new(name: impl Into<String>, command: Vec<String>, defaults: &Defaults) -> Self {
        Self {
            name: name.into(),
            kind: ServiceKind::Daemon,
            command,
            cwd: None,
            env: BTreeMap::new(),
            secrets: Vec::new(),
            user: None,
            restart: defaults.restart,
            backoff: defaults.backoff,
            budget: defaults.budget,
            essential: Essential::No,
            after: Vec::new(),
            stop_signal: libc::SIGTERM,
            stop_grace: defaults.stop_grace,
            limits: Vec::new(),
            oom_score_adj: None,
            readiness: None,
            liveness: None,
            start_timeout: None,
        }
    }

    /// A service of the user's own: the defaults, and on top of them the table.
    pub fn from_override(table: &ServiceOverride, defaults: &Defaults) -> Self {
        let mut spec = Self::new(table.name.clone(), Vec::new(), defaults);
        if table.kind == Some(ServiceKind::Oneshot) {
            spec.restart = Restart::OnFailure;
        }
        spec.tune(table);
        spec
    }

    /// Takes over what the table says; the rest stays.
    pub fn tune(&mut self, table: &ServiceOverride) {
        fn set<T: Clone>(place: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        set(&mut self.kind, &table.kind);
        set(&mut self.command, &table.command);
        set(&mut self.secrets, &table.secrets);
        set(&mut self.restart, &table.restart);
        set(&mut self.essential, &table.essential);
        set(&mut self.after, &table.after);
        set(&mut self.stop_signal, &table.stop_signal);
        set(&mut self.stop_grace, &table.stop_grace);
        set(&mut self.backoff.initial, &table.backoff.initial);
        set(&mut self.backoff.max, &table.backoff.max);
        set(&mut self.backoff.jitter, &table.backoff.jitter);
        set(&mut self.backoff.reset_after, &table.backoff.reset_after);
        set(&mut self.budget.restarts, &table.budget.restarts);
        set(&mut self.budget.window, &table.budget.window);
        self.env.extend(table.env.clone());
        self.cwd = table.cwd.clone().or(self.cwd.take());
        self.user = table.user.clone().or(self.user.take());
        self.oom_score_adj = table.oom_score_adj.or(self.oom_score_adj);
        self.start_timeout = table.start_timeout.or(self.start_timeout);
        for limit in &table.limits {
            self.limits.retain(|known| known.name != limit.name);
            self.limits.push(limit.clone());
        }
        self.readiness = tuned(self.readiness.take(), table.readiness.as_ref(), &READINESS);
        self.liveness = tuned(self.liveness.take(), table.liveness.as_ref(), &LIVENESS);
    }
}

/// Times and thresholds of a probe that says nothing about them.
struct Times {
    start_period: Duration,
    interval: Duration,
    timeout: Duration,
}

/// Readiness is asked often: other services wait for it.
const READINESS: Times =
    Times { start_period: Duration::ZERO, interval: Duration::from_secs(1), timeout: Duration::from_secs(1) };
/// Liveness is asked seldom, and not of a service that still starts.
const LIVENESS: Times =
    Times { start_period: Duration::from_secs(10), interval: Duration::from_secs(10), timeout: Duration::from_secs(2) };

fn tuned(base: Option<Probe>, table: Option<&ProbeOverride>, times: &Times) -> Option<Probe> {
    let Some(table) = table else { return base };
    let base = match (base, &table.kind) {
        // Another kind of question keeps the base's times.
        (Some(base), Some(kind)) => Probe { kind: kind.clone(), ..base },
        (Some(base), None) => base,
        (None, Some(kind)) => Probe {
            kind: kind.clone(),
            start_period: times.start_period,
            interval: times.interval,
            timeout: times.timeout,
            success_threshold: 1,
            failure_threshold: 3,
        },
        (None, None) => return None,
    };
    Some(Probe {
        start_period: table.start_period.unwrap_or(base.start_period),
        interval: table.interval.unwrap_or(base.interval),
        timeout: table.timeout.unwrap_or(base.timeout),
        success_threshold: table.success_threshold.unwrap_or(base.success_threshold),
        failure_threshold: table.failure_threshold.unwrap_or(base.failure_threshold),
        kind: base.kind,
    })
}
