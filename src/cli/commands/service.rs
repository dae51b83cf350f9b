//! `skill-init start|stop|restart SERVICE`.

use crate::{
    cli::{
        Context,
        ask::{self, Target},
    },
    control::protocol::Request,
    exit::Exit,
};
use std::time::Duration;

/// A stop may take the service's whole grace.
const DEADLINE: Duration = Duration::from_secs(120);

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: skill-init start ttyd\nExit: 0, 1 when refused, 69 when there is no such service or nobody answers."
)]
pub struct StartArgs {
    /// The service's name, as skill-init status shows it
    service: String,
    #[command(flatten)]
    target: Target,
}
/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It stays stopped until started again; the container goes on, also without an essential service.\n\n\
                        Example: skill-init stop ttyd\nExit: 0, 1 when refused, 69 when there is no such service or nobody answers."
)]
pub struct StopArgs {
    /// The service's name, as skill-init status shows it
    service: String,
    #[command(flatten)]
    target: Target,
}
/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: docker exec CONTAINER skill-init restart api\nExit: 0, 1 when refused, 69 when there is no such service or nobody answers."
)]
pub struct RestartArgs {
    /// The service's name, as skill-init status shows it
    service: String,
    #[command(flatten)]
    target: Target,
}

/// Starts a service.
pub fn start(args: StartArgs, context: &Context) -> Exit {
    ask::change(&args.target, context, &Request::Start { service: args.service }, DEADLINE)
}
/// Stops a service.
pub fn stop(args: StopArgs, context: &Context) -> Exit {
    ask::change(&args.target, context, &Request::Stop { service: args.service }, DEADLINE)
}
/// Restarts a service.
pub fn restart(args: RestartArgs, context: &Context) -> Exit {
    ask::change(&args.target, context, &Request::Restart { service: args.service }, DEADLINE)
}
