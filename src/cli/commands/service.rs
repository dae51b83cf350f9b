//! `skill-init start|stop|restart SERVICE`.

use crate::{
    cli::{Context, output},
    exit::Exit,
};

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// The service's name
    service: String,
}
/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// The service's name
    service: String,
}
/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    /// The service's name
    service: String,
}

/// Starts a service.
pub fn start(args: StartArgs, _context: &Context) -> Exit {
    output::error(&format!("start {}: not built into this binary", args.service));
    Exit::FAILURE
}
/// Stops a service.
pub fn stop(args: StopArgs, _context: &Context) -> Exit {
    output::error(&format!("stop {}: not built into this binary", args.service));
    Exit::FAILURE
}
/// Restarts a service.
pub fn restart(args: RestartArgs, _context: &Context) -> Exit {
    output::error(&format!("restart {}: not built into this binary", args.service));
    Exit::FAILURE
}
