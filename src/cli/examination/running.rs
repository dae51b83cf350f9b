//! Checks on a running init, from its own status. Pure.

use super::finding::Finding;
use crate::control::protocol::{Gauge, ServiceState, ServiceStatus, Status};

/// What the status says.
pub(super) fn status(status: &Status) -> Vec<Finding> {
    let mut out = Vec::new();
    let version = env!("CARGO_PKG_VERSION");
    let state = format!("skill-init {} runs as pid {}, {}", status.version, status.pid, status.state.name());
    if status.version != version {
        let what = format!("{state}; this program is {version}");
        out.push(Finding::warning("init", what, "restart the container, so that both are the same"));
    } else if status.ready || !status.startup_done {
        out.push(Finding::right("init", state));
    } else {
        let why = status.ready_reasons.join("; ");
        out.push(Finding::wrong(
            "init",
            format!("{state}, not ready: {why}"),
            "see the services below, and the container's log",
        ));
    }
    out.extend(status.warnings.iter().map(|what| Finding::warning("init", what.clone(), "see the container's log")));
    if status.oom_kills > 0 {
        let what = format!("{} OOM kills since the start", status.oom_kills);
        let remedy = "raise the memory limit, or lower SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP";
        out.push(Finding::warning("limits", what, remedy));
    }
    out.extend(used("pids", &status.usage.pids));
    out.extend(used("memory", &status.usage.memory));
    out.extend(status.services.iter().map(service));
    let orphans = status.orphans.live.len();
    if orphans > 0 {
        let names: Vec<String> =
            status.orphans.live.iter().take(3).map(|o| format!("{} ({})", o.command, o.pid)).collect();
        let what = format!("{orphans} live orphans: {}", names.join(", "));
        out.push(Finding::warning("orphans", what, "set SKILL_INIT_ORPHANS=end to end them by age and pressure"));
    }
    if let Some(zombies) = status.orphans.zombies.filter(|zombies| *zombies > 100) {
        let what = format!("{zombies} zombies");
        out.push(Finding::warning(
            "orphans",
            what,
            "a service does not wait for its children; `ps -eo ppid,stat` names it",
        ));
    }
    out
}

fn used(name: &str, gauge: &Gauge) -> Option<Finding> {
    let percent = gauge.percent()?;
    Some(if percent >= 90 {
        Finding::warning(
            "limits",
            format!("{percent} % of the {name} limit is used"),
            format!("raise the {name} limit, or run less at once"),
        )
    } else {
        Finding::right("limits", format!("{percent} % of the {name} limit is used"))
    })
}

fn service(service: &ServiceStatus) -> Finding {
    let name = &service.name;
    let why = if service.last_reason.is_empty() { String::new() } else { format!(": {}", service.last_reason) };
    let what = format!("{name} is {}{why}", service.state.name());
    match service.state {
        ServiceState::Ready | ServiceState::Done => Finding::right("services", what),
        ServiceState::Waiting
        | ServiceState::Starting
        | ServiceState::Stopping
        | ServiceState::Killing
        | ServiceState::Stopped => Finding::note("services", what),
        ServiceState::Unready => Finding::warning(
            "services",
            what,
            format!("its readiness probe fails; see its output in the log, then: skill-init restart {name}"),
        ),
        ServiceState::Backoff => Finding::warning("services", what, "it keeps ending; see its output in the log"),
        ServiceState::Failed => Finding::wrong(
            "services",
            what,
            format!("see its output in the log, mend it, then: skill-init start {name}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn running() -> Status {
        Status { version: env!("CARGO_PKG_VERSION").to_owned(), ready: true, startup_done: true, ..Status::default() }
    }

    #[test]
    fn a_ready_init_without_services_is_right() {
        assert!(status(&running()).iter().all(|found| found.level == Level::Right));
    }

    #[test]
    fn a_failed_service_is_wrong_and_the_remedy_names_it() {
        let failed = ServiceStatus {
            name: "api".to_owned(),
            state: ServiceState::Failed,
            last_reason: "exit 3".to_owned(),
            ..Default::default()
        };
        let found = status(&Status { services: vec![failed], ..running() });
        let found = found.iter().find(|found| found.level == Level::Wrong).unwrap();
        assert!(found.what.contains("exit 3") && found.remedy.contains("skill-init start api"), "{found:?}");
    }

    #[test]
    fn not_ready_after_the_start_is_wrong_and_during_it_is_not() {
        let not = Status { ready: false, ready_reasons: vec!["api: starting".to_owned()], ..running() };
        assert!(status(&not).iter().any(|found| found.level == Level::Wrong));
        assert!(status(&Status { startup_done: false, ..not }).iter().all(|found| found.level == Level::Right));
    }
}
