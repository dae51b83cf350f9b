//! `skill-init plan`: what a start would change, and why. Changes nothing.

use super::apply;
use crate::{
    apply::preview,
    cli::{
        Context,
        examination::{scrub::Scrub, secrets},
        output, start,
    },
    exit::Exit,
    plan::{
        Plan,
        files::{FilesPlan, Need},
    },
    probe,
    settings::service::{Essential, ServiceKind, ServiceSpec},
};
use serde_json::json;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init plan\n  skill-init plan --json | jq '.files.steps[].path'\n\n\
                        After skill-init apply the plan is empty. Exit: 0, or 78 if the configuration is wrong.")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let wanted = match apply::wanted(context) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let files = preview(&wanted);
    let (settings, layout) = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let facts = probe::run(&context.root, &layout, &context.env);
    let plan = start::make_plan(context, &settings, &layout, &facts, wanted.catalogue());
    // Commands are the operator's, and an argument may be a secret.
    let scrub = secrets::scrub(&context.env, &settings, &layout, &plan.services);
    if args.json {
        let services: Vec<_> = plan.services.iter().map(|spec| scrub.value(service(spec))).collect();
        // Names only: a value may be somebody's secret under a name that we do not know.
        let environment: Vec<&String> = plan.environment.keys().collect();
        output::json(&json!({
            "files": files,
            "concurrency": plan.concurrency,
            "landlock": plan.landlock,
            "environment": environment,
            "services": services,
            "warnings": plan.warnings(),
        }));
    } else {
        output::text(&text(&files));
        output::text(&words(&plan, &scrub));
    }
    Exit::OK
}

fn text(files: &FilesPlan) -> String {
    let mut out = String::new();
    if files.is_empty() {
        out.push_str("files: nothing would change\n");
    } else {
        let mut rows = vec![["CHANGE", "PATH", "WHY"].map(str::to_owned).to_vec()];
        rows.extend(files.steps.iter().map(|step| {
            let need = if step.need == Need::Required { " (required)" } else { "" };
            vec![step.action.words(), step.path.display().to_string(), format!("{}{need}", step.reason)]
        }));
        out.push_str(&output::table(&rows));
    }
    for note in &files.notes {
        out.push_str(&format!("left alone: {}: {}\n", note.path.display(), note.message));
    }
    out
}

fn service(spec: &ServiceSpec) -> serde_json::Value {
    json!({
        "name": spec.name,
        "kind": if spec.kind == ServiceKind::Oneshot { "oneshot" } else { "daemon" },
        "command": spec.command,
        "cwd": spec.cwd,
        "user": spec.user,
        "essential": spec.essential == Essential::Yes,
        "after": spec.after,
        "secrets": spec.secrets,
        "stop_signal": spec.stop_signal,
        "stop_grace_ms": u64::try_from(spec.stop_grace.as_millis()).unwrap_or(u64::MAX),
        "restart": spec.restart.name(),
        "readiness": spec.readiness.as_ref().map(|probe| probe.kind.as_in_the_file()),
        "liveness": spec.liveness.as_ref().map(|probe| probe.kind.as_in_the_file()),
    })
}

fn words(plan: &Plan, scrub: &Scrub) -> String {
    let mut out = format!("\nconcurrency: {}\n", plan.concurrency.summary());
    for term in &plan.concurrency.terms {
        out.push_str(&format!("  {}: {} ({})\n", term.resource, term.runs, term.inputs));
    }
    let landlock = if plan.landlock.enabled { "1" } else { "0" };
    out.push_str(&format!("LANDLOCK_ENABLED={landlock}: {}\n\n", plan.landlock.reason));
    let mut rows = vec![["SERVICE", "AFTER", "COMMAND"].map(str::to_owned).to_vec()];
    rows.extend(plan.services.iter().map(|spec| {
        let star = if spec.essential == Essential::Yes { " *" } else { "" };
        vec![format!("{}{star}", spec.name), spec.after.join(","), scrub.text(&spec.command.join(" "))]
    }));
    out.push_str(&output::table(&rows));
    out.push_str("* its end ends the container\n");
    for warning in plan.warnings() {
        out.push_str(&format!("warning: {warning}\n"));
    }
    out
}
