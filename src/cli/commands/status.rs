//! `skill-init status`.

use crate::{
    cli::{Context, output},
    exit::Exit,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args, _context: &Context) -> Exit {
    output::error("status: not built into this binary");
    Exit::FAILURE
}
