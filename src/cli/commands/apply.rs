//! `skill-init apply`: the preparation of a start, and nothing after it.

use crate::{
    apply::{Report, Wanted, prepare},
    cli::{Context, output},
    exit::Exit,
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init plan && skill-init apply\n  skill-init apply --json | jq '.steps[] | select(.outcome != \"done\")'\n\n\
                        Exit: 0 done or nothing to do, 1 a best-effort step failed (a start goes on), 73 a required one did,\n\
                        78 the configuration is wrong. The last apply that changed anything: DATA/bootstrap_report.json."
)]
pub struct Args {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let wanted = match wanted(context) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let report = prepare(&wanted);
    show(&report, args.json, "nothing to do: everything is as it shall be");
    exit(&report)
}

/// What the settings want of the volumes; every mistake is printed.
pub(super) fn wanted(context: &Context) -> Result<Wanted, Exit> {
    let (settings, layout) = context.load()?;
    Wanted::new(&settings, &layout).map_err(|error| {
        output::error(&error.to_string());
        Exit::CONFIG
    })
}

/// Prints a report: what was done on stdout, what was not on stderr.
pub(super) fn show(report: &Report, json: bool, nothing: &str) {
    if json {
        output::json(report);
    } else {
        report.done().iter().for_each(|line| output::line(line));
        if report.steps.is_empty() {
            output::line(nothing);
        }
    }
    report.warnings().iter().for_each(|line| output::error(line));
}

fn exit(report: &Report) -> Exit {
    match report.fatal() {
        Some(exit) => exit,
        None if report.summary.steps_not_done > 0 => Exit::FAILURE,
        None => Exit::OK,
    }
}
