//! The state table of a service, made by asking the machine itself: the source of docs/states.md.

use super::{
    cause::Cause,
    schedule::Now,
    service::{Effect, Input, Service, State, Why},
};
use crate::{
    settings::{
        Defaults,
        service::{Backoff, Essential, Restart, RestartBudget, ServiceKind, ServiceSpec},
    },
    sys::wait::ExitStatus,
};
use std::time::Duration;

/// One pair: in this state, this happens; then it is in that state and these things are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The state before.
    pub state: &'static str,
    /// What happens.
    pub input: &'static str,
    /// The state after; the same if nothing changes.
    pub next: &'static str,
    /// What is done: `spawn`, `stop signal`, `kill`, `gone`.
    pub effects: Vec<&'static str>,
}

const NOW: Now = Now::from_secs(1000);
const LATER: Now = Now::from_secs(2000);

/// Every pair of state and input, for an essential daemon that is always restarted after one second.
pub fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    for state in states() {
        for (input, happens) in inputs() {
            let mut service = Service::new(spec(), 1);
            service.state = state.clone();
            let effects = service.step(happens, false, NOW);
            rows.push(Row {
                state: state.name(),
                input,
                next: service.state.name(),
                effects: effects.iter().map(name).collect(),
            });
        }
    }
    rows
}

/// The table as Markdown: a row per state, a column per input; `·` where nothing happens.
pub fn markdown() -> String {
    let names: Vec<&str> = inputs().iter().map(|(name, _)| *name).collect();
    let mut out = format!("| state | {} |\n|---{}|\n", names.join(" | "), "|---".repeat(names.len()));
    let rows = table();
    for line in rows.chunks(names.len()) {
        let Some(first) = line.first() else { continue };
        let cells: Vec<String> = line
            .iter()
            .map(|row| match (row.next == row.state, row.effects.is_empty()) {
                (true, true) => "·".to_owned(),
                (false, true) => row.next.to_owned(),
                (_, false) => format!("{} ({})", row.next, row.effects.join(", ")),
            })
            .collect();
        out.push_str(&format!("| **{}** | {} |\n", first.state, cells.join(" | ")));
    }
    out
}

fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Spawn => "spawn",
        Effect::StopSignal => "stop signal",
        Effect::Kill => "kill",
        Effect::Gone(_) => "gone",
    }
}

fn states() -> Vec<State> {
    vec![
        State::Waiting,
        State::Starting { deadline: Some(LATER) },
        State::Ready,
        State::Unready,
        State::Stopping { why: Why::Operator, kill_at: LATER },
        State::Killing { why: Why::Operator },
        State::Backoff { until: LATER },
        State::Done,
        State::Stopped,
        State::Failed,
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    let ended = Cause::Status(ExitStatus::Exited(1));
    vec![
        ("start", Input::Start),
        ("stop", Input::Stop),
        ("restart", Input::Restart),
        ("unblocked", Input::Unblocked),
        ("ended", Input::Ended(ended)),
        ("became ready", Input::BecameReady),
        ("became unready", Input::BecameUnready("no".to_owned())),
        ("not alive", Input::NotAlive("no".to_owned())),
        ("deadline", Input::Deadline),
        ("shutdown", Input::Shutdown { kill_at: LATER }),
        ("force", Input::Force),
    ]
}

fn spec() -> ServiceSpec {
    let second = Duration::from_secs(1);
    let defaults = Defaults {
        restart: Restart::Always,
        backoff: Backoff { initial: second, max: second, jitter: 0.0, reset_after: second },
        budget: RestartBudget { restarts: 10, window: second },
        stop_grace: second,
    };
    let mut spec = ServiceSpec::new("x", vec!["x".to_owned()], &defaults);
    spec.kind = ServiceKind::Daemon;
    spec.essential = Essential::Yes;
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, input: &str) -> Row {
        table().into_iter().find(|row| row.state == state && row.input == input).unwrap()
    }

    #[test]
    fn every_state_has_a_row_for_every_input() {
        assert_eq!(table().len(), states().len() * inputs().len());
    }

    #[test]
    fn a_ready_service_that_ends_backs_off_and_one_being_stopped_does_not_come_back() {
        assert_eq!(row("ready", "ended").next, "backoff");
        assert_eq!(row("stopping", "ended").next, "stopped");
        assert_eq!(row("stopping", "deadline").effects, ["kill"]);
    }

    #[test]
    fn a_process_exists_in_no_state_in_which_a_stop_sends_no_signal() {
        for row in table().iter().filter(|row| row.input == "stop") {
            let signalled = row.effects.contains(&"stop signal");
            assert_eq!(signalled, ["starting", "ready", "unready"].contains(&row.state), "{row:?}");
        }
    }
}
