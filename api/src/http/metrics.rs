//! `GET /metrics`: how many runs there are and how many wait, in Prometheus' text format; what an autoscaler goes by.

use crate::{
    admission::Load,
    openapi::{Doc, Table},
    state::Shared,
};
use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

pub(super) fn routes(app: &Shared) -> Table<()> {
    let doc = Doc::new("core", "Running and waiting runs, for Prometheus").bytes("text/plain");
    Table::new().get("/metrics", metrics, doc).with_state(app.clone())
}

async fn metrics(State(app): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&app.admission.load()))
}

fn text(load: &Load) -> String {
    [
        ("skill_runner_jobs_running", "Runs that have a slot.", load.running),
        ("skill_runner_jobs_queued", "Runs that wait for a slot.", load.queued),
        ("skill_runner_jobs_running_limit", "Runs at once, at most.", load.limits.max_concurrent),
        ("skill_runner_jobs_queued_limit", "Waiting runs, at most.", load.limits.max_queue),
    ]
    .iter()
    .map(|(name, help, value)| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    #[test]
    fn each_number_is_a_gauge_with_a_help_line() {
        let text = text(&Load { running: 1, queued: 3, limits: Limits { max_concurrent: 2, max_queue: 128 } });
        assert!(text.contains("# TYPE skill_runner_jobs_queued gauge\nskill_runner_jobs_queued 3\n"), "{text}");
        assert!(
            text.contains("skill_runner_jobs_running_limit 2\n")
                && text.ends_with("skill_runner_jobs_queued_limit 128\n")
        );
        assert_eq!(text.matches("# HELP ").count(), 4);
    }
}
