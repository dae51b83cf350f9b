//! `skill-init local`: the same start with everything under one folder, no root, no container.

use crate::{
    cli::{Context, output, start},
    exit::Exit,
};
use std::{path::PathBuf, time::Instant};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init local\n  skill-init local --dir ./runner\n  PORT=9000 skill-init local --dir ./runner"
)]
pub struct Args {
    /// The folder for data, cache, agent home and skills (SKILL_RUNNER_LOCAL_ROOT, ~/.local/share/skill-runner)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prepares and supervises under the folder.
pub fn run(args: Args, context: &Context) -> Exit {
    let mut context = context.clone();
    if let Some(dir) = args.dir {
        match std::path::absolute(&dir) {
            Ok(dir) => context.local_dir = Some(dir),
            Err(error) => {
                output::error(&format!("--dir {}: {error}", dir.display()));
                return Exit::USAGE;
            }
        }
    }
    // Also without --dir it is local, whatever markers of a container there are.
    context.env.0.entry("SKILL_RUNNER_RUNTIME_MODE".to_owned()).or_insert_with(|| "local".to_owned());
    match start::prepare(&context, Instant::now()) {
        Err(exit) => exit,
        Ok(prepared) => start::supervise(&context, prepared),
    }
}
