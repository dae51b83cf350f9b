//! `skill-init entrypoint [CMD...]`: the container start.

use crate::{
    cli::{Context, output, start},
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
    if let Some(option) = args.command.first().filter(|word| word.starts_with('-')) {
        output::error(&format!(
            "\"{option}\" is no command, and entrypoint has no options but --help; a program of that name needs its path"
        ));
        return Exit::USAGE;
    }
    match start::prepare(context, Instant::now()) {
        Err(exit) => exit,
        Ok(prepared) if args.command.is_empty() => start::supervise(context, prepared),
        Ok(prepared) => start::foreground(prepared, args.command),
    }
}
