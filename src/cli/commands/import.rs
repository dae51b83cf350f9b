//! `skill-init import`: credentials from a folder into the agent home.

use super::apply;
use crate::{
    apply::import,
    cli::{Context, output},
    exit::Exit,
};
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init import                      from SKILL_INIT_IMPORT_DIR (/opt/config)\n  \
                        skill-init import ./agent_config\n  skill-init import ./agent_config --force\n\n\
                        A token that the CLI renewed since the last import is kept; docs/credentials.md has the rules.\n\
                        Exit: 0 imported or nothing to do, 1 a file was refused or not written."
)]
pub struct Args {
    /// The folder to import from [default: SKILL_INIT_IMPORT_DIR]
    dir: Option<PathBuf>,
    /// Import also where the present credential is fresher; it is kept beside
    #[arg(long)]
    force: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    import_from(args.dir, args.force, args.json, context)
}

/// The same, for `agents import`.
pub(super) fn import_from(dir: Option<PathBuf>, force: bool, json: bool, context: &Context) -> Exit {
    let wanted = match apply::wanted(context) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    if let Some(dir) = &dir
        && !dir.is_dir()
    {
        output::error(&format!("{} is no folder: nothing to import", dir.display()));
        return Exit::FAILURE;
    }
    let report = import(&wanted.import_from(dir, force));
    apply::show(&report, json, "nothing to import: every credential is as it shall be");
    if report.summary.steps_not_done > 0 || !report.notes.is_empty() { Exit::FAILURE } else { Exit::OK }
}
