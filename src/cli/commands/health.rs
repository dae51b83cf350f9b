//! `skill-init health`: one question, one line, exit 0 or 1. For HEALTHCHECK and exec probes.

use crate::{
    cli::{Context, ask::Target, output},
    control::{
        protocol::{Health, HealthKind, Request, Response},
        render,
    },
    exit::Exit,
};
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  HEALTHCHECK CMD [\"skill-init\", \"health\"]\n  exec: { command: [skill-init, health, --live] }\n\n\
                        Exit: 0 yes, 1 no or nobody answers; never anything else."
)]
pub struct Args {
    /// Does the init's loop turn, and is no essential service given up?
    #[arg(long, group = "kind")]
    live: bool,
    /// Is every essential service ready? (default)
    #[arg(long, group = "kind")]
    ready: bool,
    /// Is the preparation done and was every essential service ready once?
    #[arg(long, group = "kind")]
    startup: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Deadline of the question (Kubernetes gives an exec probe 1 s)
    #[arg(long, value_name = "SPAN", default_value = "900ms", value_parser = crate::cli::ask::span)]
    timeout: Duration,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let (kind, word) = match (args.live, args.startup) {
        (true, _) => (HealthKind::Live, "live"),
        (_, true) => (HealthKind::Startup, "started"),
        _ => (HealthKind::Ready, "ready"),
    };
    let health = match args.target.client(context).ask(&Request::Health { kind }, args.timeout) {
        Ok(Response::Health(health)) => health,
        Ok(other) => Health { ok: false, reasons: vec![format!("unexpected answer: {other:?}")] },
        Err(error) => Health { ok: false, reasons: vec![error.to_string()] },
    };
    if args.json {
        output::json(&health);
    } else {
        output::line(&render::health(word, &health));
    }
    if health.ok { Exit::OK } else { Exit::FAILURE }
}
