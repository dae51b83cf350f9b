//! A status as Prometheus metrics (OpenMetrics text). Pure: status in, text out.
//!
//! docs/metrics.md and docs/grafana-dashboard.json name these; a test compares them. Counters start at zero when
//! the container does.

use super::protocol::{ServiceState, State, Status};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Float = Gauge<f64, AtomicU64>;

/// What the gateway itself has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Terminal clients now.
    pub terminal_clients: u64,
    /// Terminal sessions since the gateway started.
    pub terminal_sessions: u64,
    /// Refused terminal requests since then: credentials, host, origin.
    pub terminal_refused: u64,
}

/// The text; `None`: PID 1 did not answer, and all that is known is just that.
pub fn text(status: Option<&Status>, counts: Counts) -> String {
    let mut exposition = Exposition(Registry::default());
    exposition.gauge("up", "1 if the init answers", u64::from(status.is_some()));
    exposition.gauge("terminal_clients", "Terminal clients connected now", counts.terminal_clients);
    exposition.counter("terminal_sessions", "Terminal sessions since the gateway started", counts.terminal_sessions);
    exposition.counter(
        "terminal_refused",
        "Terminal requests refused for credentials, host or origin since the gateway started",
        counts.terminal_refused,
    );
    if let Some(status) = status {
        exposition.container(status);
        exposition.services(status);
    }
    let mut text = String::new();
    // A write to a String cannot fail.
    let _ = encode(&mut text, &exposition.0);
    text
}

struct Exposition(Registry);

impl Exposition {
    fn name(name: &str) -> String {
        format!("skill_init_{name}")
    }
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        let gauge: Gauge<i64> = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.0.register(Self::name(name), help, gauge);
    }
    fn seconds(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Float::default();
        gauge.set(value);
        self.0.register(Self::name(name), help, gauge);
    }
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(Self::name(name), help, counter);
    }
    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Gauge<i64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.0.register(Self::name(name), help, family);
    }

    fn container(&mut self, status: &Status) {
        self.gauges("info", "Version of the init", [(vec![("version", status.version.clone())], 1)]);
        self.seconds("uptime_seconds", "Seconds since the init started", status.uptime_ms as f64 / 1000.0);
        self.gauge("start_time_seconds", "When the init started, seconds since the epoch", status.started_at);
        self.gauges(
            "state",
            "State of the container: 1 for the current one",
            State::ALL.map(|state| (vec![("state", state.name().to_owned())], u64::from(state == status.state))),
        );
        self.gauge("live", "1 if /livez says yes", u64::from(status.live));
        self.gauge("ready", "1 if /readyz says yes", u64::from(status.ready));
        self.gauge("started", "1 if /startupz says yes", u64::from(status.startup_done));
        self.gauge("warnings", "Warnings that do not make it unready", status.warnings.len() as u64);
        self.gauge("max_concurrent_runs", "Runs at once", status.concurrency.max_concurrent);
        self.gauge("max_queued_runs", "Queued runs before the API answers 429", status.concurrency.max_queue);
        if !status.concurrency.binds.is_empty() {
            let binds = vec![("resource", status.concurrency.binds.clone())];
            self.gauges("concurrency_bound_by", "The resource that binds the concurrency", [(binds, 1)]);
        }
        for (name, help, value) in [
            ("pids_used", "Pids (threads) in use", status.usage.pids.used),
            ("pids_limit", "Limit of pids; absent where there is none", status.usage.pids.limit),
            ("memory_used_bytes", "Memory in use", status.usage.memory.used),
            ("memory_limit_bytes", "Memory limit; absent where there is none", status.usage.memory.limit),
            (
                "memory_pressure_percent",
                "Share of the last 10 s in which some task waited for memory; absent where the kernel does not say",
                status.usage.memory_pressure,
            ),
            ("zombies", "Zombies seen by the last slow tick", status.orphans.zombies),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, value);
            }
        }
        self.gauge("orphans", "Orphans adopted by the init that still run", status.orphans.live.len() as u64);
        self.gauge(
            "orphans_memory_bytes",
            "Resident memory of the orphans that still run",
            status.orphans.live.iter().map(|orphan| orphan.rss).fold(0, u64::saturating_add),
        );
        self.counter("orphans_reaped", "Orphans reaped", status.orphans.reaped_total);
        self.counter("orphans_ended", "Orphans ended by rule", status.orphans.ended_total);
        self.counter("oom_kills", "OOM kills in this cgroup since the init started", status.oom_kills);
        self.counter("restarts", "Restarts of all services", status.restarts_total);
        let phases = Family::<Labels, Float>::default();
        for phase in &status.phases {
            phases.get_or_create(&vec![("phase", phase.name.clone())]).set(phase.microseconds as f64 / 1e6);
        }
        self.0.register(Self::name("phase_duration_seconds"), "What each phase of the start took", phases);
    }

    fn services(&mut self, status: &Status) {
        let label = |name: &str| vec![("service", name.to_owned())];
        self.gauges(
            "service_ready",
            "1 if the service is ready",
            status.services.iter().map(|service| (label(&service.name), u64::from(service.ready))),
        );
        self.gauges(
            "service_state",
            "State of the service: 1 for the current one",
            status.services.iter().flat_map(|service| {
                ServiceState::ALL.map(|state| {
                    let mut labels = label(&service.name);
                    labels.push(("state", state.name().to_owned()));
                    (labels, u64::from(state == service.state))
                })
            }),
        );
        let uptime = Family::<Labels, Float>::default();
        for service in &status.services {
            uptime.get_or_create(&label(&service.name)).set(service.uptime_ms.unwrap_or_default() as f64 / 1000.0);
        }
        self.0.register(
            Self::name("service_uptime_seconds"),
            "Seconds since its last start; 0: it does not run",
            uptime,
        );
        let restarts = Family::<Labels, Counter>::default();
        for service in &status.services {
            restarts.get_or_create(&label(&service.name)).inc_by(service.restarts);
        }
        self.0.register(Self::name("service_restarts"), "Restarts of the service", restarts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Concurrency, Gauge, Orphans, Phase, ServiceStatus, Usage};
    use std::collections::BTreeSet;

    /// A status in which everything is known, so that every metric appears.
    fn full() -> Status {
        let known = Gauge { used: Some(1), limit: Some(2) };
        Status {
            concurrency: Concurrency { binds: "cpu".into(), ..Concurrency::default() },
            usage: Usage { pids: known.clone(), memory: known, memory_pressure: Some(12) },
            orphans: Orphans { zombies: Some(0), ..Orphans::default() },
            phases: vec![Phase { name: "probe".into(), microseconds: 1 }],
            services: vec![ServiceStatus { name: "api".into(), ..ServiceStatus::default() }],
            ..Status::default()
        }
    }

    fn exposed() -> BTreeSet<String> {
        let text = text(Some(&full()), Counts::default());
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
    }

    fn named(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.filter(|word| word.starts_with("skill_init_")).map(str::to_owned).collect()
    }

    #[test]
    fn the_documented_metrics_are_exactly_those_that_exist() {
        assert_eq!(named(include_str!("../../docs/metrics.md")), exposed());
    }

    #[test]
    fn the_dashboard_shows_no_metric_that_does_not_exist() {
        let dashboard = include_str!("../../docs/grafana-dashboard.json");
        serde_json::from_str::<serde_json::Value>(dashboard).unwrap();
        let (shown, exposed) = (named(dashboard), exposed());
        assert!(shown.len() > 15, "{shown:?}");
        assert_eq!(shown.difference(&exposed).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn hostile_names_are_escaped() {
        let status = Status {
            services: vec![ServiceStatus { name: "a\"} 1\nevil 2".into(), ..ServiceStatus::default() }],
            ..Status::default()
        };
        assert!(text(Some(&status), Counts::default()).lines().all(|line| !line.starts_with("evil")));
    }

    #[test]
    fn without_an_answer_up_is_zero_and_nothing_is_invented() {
        let text = text(None, Counts::default());
        assert!(text.contains("\nskill_init_up 0\n"), "{text}");
        assert!(!text.contains("skill_init_ready"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn counters_end_in_total_and_absent_limits_are_absent() {
        let status = Status {
            restarts_total: 7,
            usage: Usage { pids: Gauge { used: Some(5), limit: None }, ..Usage::default() },
            phases: vec![Phase { name: "probe".into(), microseconds: 1500 }],
            ..Status::default()
        };
        let text = text(Some(&status), Counts::default());
        for line in [
            "skill_init_restarts_total 7",
            "skill_init_pids_used 5",
            "skill_init_phase_duration_seconds{phase=\"probe\"} 0.0015",
            "skill_init_state{state=\"starting\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in:\n{text}");
        }
        assert!(!text.contains("pids_limit"));
    }
}
