//! Checks on the agent CLIs: do they run, are their credentials there, is npm.

use super::finding::Finding;
use crate::{
    agents::{
        auth,
        catalogue::{Catalogue, CatalogueError, Engine},
        check::{self, Checked, Surroundings},
        environment, run, sandbox,
        status::Readiness,
    },
    cli::Context,
    layout::Layout,
    settings::{Settings, keys},
    sys::utc::Utc,
};
use std::path::Path;

/// Runs every wanted CLI once (`--version`) and looks at its credentials.
pub(super) fn agents(context: &Context, settings: &Settings, layout: &Layout) -> Vec<Finding> {
    let (catalogue, words) = match Catalogue::of(settings) {
        Ok(found) => found,
        Err(error @ CatalogueError::Engines { .. }) => {
            return vec![Finding::wrong("agents", error.to_string(), "set it to some of the names that are known")];
        }
        Err(error) => {
            return vec![Finding::wrong("agents", error.to_string(), "mend the file that SKILL_INIT_CATALOGUE names")];
        }
    };
    let engines = catalogue.select(&words).unwrap_or_default();
    let deadline = settings.get(&keys::CHECK_TIMEOUT);
    let around = Surroundings { env: &context.env, layout, deadline, interrupt: None };
    let now = Utc::now().0;
    let mut out = tools(context, settings, layout);
    let checked = check::all(&engines, around);
    for (engine, checked) in engines.iter().zip(&checked) {
        out.push(engine_finding(engine, checked, &auth::readiness(engine, checked, layout, now)));
    }
    out.extend(confinement(layout));
    out
}

/// npm and what the CLIs expect beside them.
fn tools(context: &Context, settings: &Settings, layout: &Layout) -> Vec<Finding> {
    let path = environment::path(&context.env, layout);
    let find = |name: &str| run::find_in_path(name, &path);
    let mut out = Vec::new();
    let shown = |path: &Path| path.display().to_string();
    match find("npm") {
        Some(npm) => out.push(Finding::right("agents", format!("npm: {}", shown(&npm)))),
        None if settings.get(&keys::ENSURE) == "off" => {
            out.push(Finding::note("agents", "no npm: agent CLIs cannot be installed"))
        }
        None => out.push(Finding::warning(
            "agents",
            "no npm on PATH: agent CLIs cannot be installed",
            "install Node.js with npm in the image, or set SKILL_INIT_ENSURE=off",
        )),
    }
    let missing: Vec<&str> = ["node", "git", "rg"].into_iter().filter(|name| find(name).is_none()).collect();
    if !missing.is_empty() {
        let what = format!("not on PATH: {}", missing.join(", "));
        out.push(Finding::warning("agents", what, "install them in the image: the agent CLIs use them"));
    }
    if settings.get(&keys::TTYD) != "off" {
        let ttyd = settings.get_opt(&keys::TTYD_PATH).or_else(|| find("ttyd"));
        let level = settings.get(&keys::TTYD);
        match ttyd.filter(|path| run::is_executable(path)) {
            Some(path) => out.push(Finding::right("terminal", format!("ttyd: {}", shown(&path)))),
            None if level == "on" => out.push(Finding::wrong(
                "terminal",
                "SKILL_INIT_TTYD=on, and there is no ttyd",
                "install ttyd, or set SKILL_RUNNER_TTYD_PATH",
            )),
            None => out.push(Finding::note("terminal", "no ttyd: no terminal in the browser")),
        }
    }
    out
}

fn engine_finding(engine: &Engine, checked: &Checked, readiness: &Readiness) -> Finding {
    let name = &engine.name;
    let notes = if readiness.notes.is_empty() { String::new() } else { format!(" ({})", readiness.notes.join("; ")) };
    match (checked.effective(), &engine.unavailable) {
        (Some((path, answer, source)), _) if readiness.ready => {
            Finding::right("agents", format!("{name} {} runs, {source}, {}{notes}", answer.line, path.display()))
        }
        (Some((_, answer, _)), _) => {
            let what =
                format!("{name} {} runs but is not logged in: {}{notes}", answer.line, readiness.reasons.join("; "));
            Finding::warning(
                "agents",
                what,
                format!("log {name} in through the terminal, or import its credentials: skill-init agents import"),
            )
        }
        (None, Some(reason)) => Finding::note("agents", format!("{name} cannot be had: {reason}")),
        (None, None) => {
            let remedy = format!("skill-init agents ensure {name}");
            let reason = checked.reason(engine);
            let reason = reason.trim_end_matches(remedy.as_str()).trim_end_matches(": ");
            Finding::warning("agents", format!("{name}: {reason}"), remedy)
        }
    }
}

/// What the last sandbox trial said.
fn confinement(layout: &Layout) -> Vec<Finding> {
    let Some(verdicts) = sandbox::read(layout) else {
        return vec![Finding::note("sandbox", "no verdict on the CLIs' own sandboxes yet: skill-init agents sandbox")];
    };
    let finding = |(name, verdict): (&String, &sandbox::Verdict)| {
        if verdict.confined {
            let by = verdict.mechanism.as_deref().unwrap_or("its own sandbox");
            Finding::right("sandbox", format!("{name} is confined by {by}: {}", verdict.evidence))
        } else if verdict.usable {
            let what = format!("{name} runs unconfined: {}", verdict.evidence);
            Finding::warning(
                "sandbox",
                what,
                "docs/sandbox.md says what it needs; SKILL_INIT_SANDBOX=require refuses such an engine",
            )
        } else {
            Finding::wrong(
                "sandbox",
                format!("{name} cannot be confined and SKILL_INIT_SANDBOX=require: {}", verdict.evidence),
                "make its sandbox work (docs/sandbox.md), or set SKILL_INIT_SANDBOX=auto",
            )
        }
    };
    verdicts.engines.iter().map(finding).collect()
}
