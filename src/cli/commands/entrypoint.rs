//! `skill-init entrypoint [CMD...]`: the container start.

use crate::{
    cli::{Context, start},
    exit::Exit,
};
use std::time::Instant;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init entrypoint\n  skill-init entrypoint sh -lc 'npm install -g opencode-ai'"
)]
pub struct Args {
    /// Run this in the foreground after the preparation, instead of the services; its exit status is the container's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Prepares, then supervises or becomes the command's bare init.
pub fn run(args: Args, context: &Context) -> Exit {
    match start::prepare(context, Instant::now()) {
        Err(exit) => exit,
        Ok(prepared) if args.command.is_empty() => start::supervise(context, prepared),
        Ok(prepared) => start::foreground(prepared, args.command),
    }
}
