//! Reads everything once and runs every check on it.

use super::{
    agents, configuration,
    finding::{Finding, Level},
    machine, running,
    scrub::Scrub,
    secrets,
};
use crate::{
    agents::catalogue::Catalogue,
    cli::{Context, ask::Target, start},
    control::{client::ClientError, protocol::Status},
    layout::Layout,
    plan::Plan,
    probe::{self, Depth, Facts},
    settings::{Mistakes, Settings, SystemFiles, keys},
};
use serde_json::Value;
use std::time::Duration;

/// How long a running init may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// What was read, and what was found.
#[derive(Debug)]
pub(in crate::cli) struct Examination {
    pub(super) settings: Settings,
    pub(super) layout: Layout,
    pub(super) facts: Facts,
    pub(super) plan: Plan,
    pub(super) status: Option<Status>,
    pub(in crate::cli) findings: Vec<Finding>,
    /// What must be taken out of everything that is shown; the findings have been through it.
    pub(super) scrub: Scrub,
}

impl Examination {
    /// Does anything not work?
    pub(in crate::cli) fn is_wrong(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Wrong)
    }
    pub(in crate::cli) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Examines everything; `with_agents` runs the agent CLIs as well, which takes seconds.
pub(in crate::cli) fn examine(context: &Context, target: &Target, with_agents: bool) -> Examination {
    let files = SystemFiles::at(context.root.join("/"));
    let mut findings = Vec::new();
    let settings = match Settings::load_from(&context.env, &files) {
        Ok(settings) => {
            findings.extend(configuration::settings(&settings));
            settings
        }
        Err(mistakes) => {
            findings.extend(configuration::mistakes(&Mistakes(mistakes.0)));
            // The rest is examined with what can be used.
            Settings::load_tolerant(&context.env, &files)
        }
    };
    let layout = context.layout(&settings);
    let facts = probe::run_with(&context.root, &layout, &context.env, Depth::Full);
    // A table that is not understood is a finding of `agents`; the plan is examined with the built-in one.
    let catalogue =
        Catalogue::load(settings.get_opt(&keys::CATALOGUE).as_deref()).unwrap_or_else(|_| Catalogue::built_in());
    let plan = start::make_plan(context, &settings, &layout, &facts, &catalogue);
    let uid = facts.privileges.uid.value().copied();
    findings.extend(machine::privileges(&facts, &settings));
    findings.extend(machine::paths(&facts.paths, uid));
    findings.extend(machine::limits(&facts, &plan));
    findings.extend(machine::sandbox(&facts, &plan));
    findings.push(machine::worker(&plan));
    let status = match target.client(context).status(DEADLINE) {
        Ok(status) => {
            findings.extend(running::status(&status));
            Some(status)
        }
        Err(ClientError::NobodyThere { .. }) => {
            findings.push(Finding::note("init", "no skill-init runs here; what only a running one knows is left out"));
            findings.extend(configuration::ports(&settings));
            None
        }
        Err(error) => {
            let remedy =
                "run doctor as root or as the uid that skill-init runs as; if it hangs, see the container's log";
            findings.push(Finding::wrong("init", error.to_string(), remedy));
            None
        }
    };
    findings.extend(last_start(&layout));
    if with_agents {
        findings.extend(agents::agents(context, &settings, &layout));
    }
    let scrub = secrets::scrub(&context.env, &settings, &layout, &plan.services);
    for finding in &mut findings {
        (finding.what, finding.remedy) = (scrub.text(&finding.what), scrub.text(&finding.remedy));
    }
    Examination { settings, layout, facts, plan, status, findings, scrub }
}

/// What the last preparation could not do, from its report.
fn last_start(layout: &Layout) -> Vec<Finding> {
    let path = layout.bootstrap_report();
    let Some(report) = read_json(&path) else {
        return vec![Finding::note("start", format!("{} is not there: nothing was prepared yet", path.display()))];
    };
    steps(&report)
}

/// A JSON file of at most 4 MiB; `None` where there is none that parses.
pub(super) fn read_json(path: &std::path::Path) -> Option<Value> {
    use crate::settings::Files;
    let bytes = SystemFiles::at("/").read(path, 4 << 20).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn steps(report: &Value) -> Vec<Finding> {
    let text = |step: &Value, name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let steps = report.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let failed: Vec<Finding> = steps
        .iter()
        .filter(|step| !matches!(text(step, "outcome").to_lowercase().as_str(), "done" | "ok" | "unchanged" | ""))
        .map(|step| {
            let what = format!("{} {}: {}", text(step, "path"), text(step, "outcome"), text(step, "detail"));
            let mend = text(step, "mend");
            let required = text(step, "need") == "required";
            let remedy = if mend.is_empty() { "mend it, then: skill-init apply".to_owned() } else { mend };
            if required { Finding::wrong("start", what, remedy) } else { Finding::warning("start", what, remedy) }
        })
        .collect();
    if failed.is_empty() {
        return vec![Finding::right("start", format!("the last preparation did all of its {} steps", steps.len()))];
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failed_step_of_the_last_start_is_named_with_what_mends_it() {
        let step = |need: &str| json!({"path": "/data/runs", "outcome": "failed", "detail": "EROFS", "need": need, "mend": "mount it"});
        let found = steps(&json!({"steps": [step("required"), step("best_effort"), {"outcome": "done"}]}));
        assert_eq!(found.iter().map(|f| f.level).collect::<Vec<_>>(), [Level::Wrong, Level::Warning]);
        assert!(found[0].what.contains("/data/runs") && found[0].remedy == "mount it");
        assert_eq!(steps(&json!({"steps": []}))[0].level, Level::Right);
        assert_eq!(steps(&json!(3))[0].level, Level::Right);
    }
}
