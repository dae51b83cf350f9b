//! `skill-init doctor`: every probe and check; what is right, what is wrong, what to do.

use crate::{
    cli::{
        Context,
        ask::Target,
        examination::{
            bundle,
            examine::{self, Examination},
            finding::Level,
        },
        output,
    },
    exit::Exit,
};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init doctor                      what is wrong, and what to do\n  \
                  skill-init doctor --all                what is right as well\n  \
                  skill-init doctor --no-agents          without running the agent CLIs\n  \
                  docker exec CONTAINER skill-init doctor --bundle - > bundle.json   for support; holds no secret\n\n\
                  Exit: 0 if nothing is wrong (warnings are not), 1 otherwise.")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show what is right as well
    #[arg(long)]
    all: bool,
    /// Do not run the agent CLIs
    #[arg(long)]
    no_agents: bool,
    /// Write everything that was examined into one JSON file without secrets; -: to stdout
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    bundle: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let context = &args.target.context(context);
    let found = examine::examine(context, &args.target, !args.no_agents);
    let exit = if found.is_wrong() { Exit::FAILURE } else { Exit::OK };
    match &args.bundle {
        Some(path) if path.as_os_str() == "-" => output::json(&bundle::bundle(context, &found)),
        Some(path) => {
            if let Err(error) = bundle::write(path, &bundle::bundle(context, &found)) {
                output::error(&format!("failed to {error}"));
                return Exit::CANT_CREATE;
            }
            output::error(&format!(
                "the bundle is in {}; it holds no secrets, but look before you send it",
                path.display()
            ));
        }
        None if args.json => output::json(&json!({
            "ok": !found.is_wrong(),
            "wrong": found.count(Level::Wrong),
            "warnings": found.count(Level::Warning),
            "findings": found.findings,
        })),
        None => output::text(&text(&found, args.all)),
    }
    exit
}

/// The worst first within the order of the checks; remedies on a line of their own.
fn text(found: &Examination, all: bool) -> String {
    let mut out = String::new();
    for finding in found.findings.iter().filter(|finding| all || finding.level > Level::Note) {
        out.push_str(&format!("{:5}  {:10}  {}\n", finding.level.word(), finding.area, finding.what));
        if !finding.remedy.is_empty() {
            out.push_str(&format!("{:17}  -> {}\n", "", finding.remedy));
        }
    }
    let (wrong, warnings) = (found.count(Level::Wrong), found.count(Level::Warning));
    let right = found.count(Level::Right);
    out.push_str(&format!("{wrong} wrong, {warnings} warnings, {right} right"));
    out.push_str(if all { "\n" } else { " (--all shows them)\n" });
    out
}
