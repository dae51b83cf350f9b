//! `skill-init reload`: what SIGHUP does.

use crate::{
    cli::{
        Context,
        ask::{self, Target},
    },
    control::protocol::Request,
    exit::Exit,
};
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Services whose definition did not change go on running. With mistakes in the configuration nothing changes.\n\n\
                        Example: docker exec CONTAINER skill-init reload\n\
                        Exit: 0 taken over, 1 refused: the mistakes are printed, 69 when nobody answers."
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    ask::change(&args.target, context, &Request::Reload, Duration::from_secs(120))
}
