//! `skill-init wait --ready`: until the container is ready, also while its init is still to come.

use crate::{
    cli::{
        Context,
        ask::{self, Target},
        output,
    },
    control::{
        client::ClientError,
        protocol::{ErrorCode, Request, Response},
    },
    exit::Exit,
};
use std::time::{Duration, Instant};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: skill-init wait --ready --timeout 2m\n\n\
                        Exit: 0 ready, 1 not ready in time, 69 when nobody answered in time.")]
pub struct Args {
    /// Until every essential service is ready (the only thing to wait for, and the default)
    #[arg(long)]
    ready: bool,
    /// At most this long
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = ask::span)]
    timeout: Duration,
    #[command(flatten)]
    target: Target,
}

/// How often to look for an init that is not there yet.
const KNOCK: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let end = Instant::now() + args.timeout;
    let client = args.target.client(context);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        // PID 1 keeps the deadline; ours is a little later, for the case that it does not.
        let asked = client.ask(&Request::WaitReady { timeout_ms }, left + Duration::from_secs(1));
        let again = match &asked {
            Ok(Response::Health(health)) if health.ok => return Exit::OK,
            Ok(Response::Done { .. }) => return Exit::OK,
            Err(
                ClientError::NobodyThere { .. }
                | ClientError::Io { .. }
                | ClientError::Answer { code: ErrorCode::Busy, .. },
            ) => true,
            _ => false,
        };
        if again && Instant::now() + KNOCK < end {
            std::thread::sleep(KNOCK);
            continue;
        }
        return match asked {
            Err(error) => ask::failed(&error),
            Ok(other) => {
                output::error(&format!("not ready: {other:?}"));
                Exit::FAILURE
            }
        };
    }
}
