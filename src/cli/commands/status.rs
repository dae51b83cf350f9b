//! `skill-init status`: what runs now.

use crate::{
    cli::{
        Context,
        ask::{self, Target},
        examination::{scrub::Scrub, secrets},
        output,
    },
    control::{
        protocol::Status,
        render::{self, Style},
    },
    exit::Exit,
    settings::{Settings, SystemFiles},
};
use std::{io::IsTerminal, time::Duration};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init status\n  skill-init status --json | jq -r '.services[] | select(.ready | not) | .name'\n  \
                        skill-init status --watch\n  docker exec CONTAINER skill-init status\n\n\
                        Exit: 0, or 69 when nobody answers."
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Again and again, until interrupted; every 2 s, or as often as said
    #[arg(long, short, value_name = "EVERY", num_args = 0..=1, default_missing_value = "2s", value_parser = ask::span)]
    watch: Option<Duration>,
}

/// One question may take this long.
const DEADLINE: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let client = args.target.client(context);
    let terminal = std::io::stdout().is_terminal();
    let dumb = context.env.get("NO_COLOR").is_some() || context.env.get("TERM") == Some("dumb");
    let style = if terminal && !dumb { Style::Colour } else { Style::Plain };
    let scrub = scrub(&args.target.context(context));
    loop {
        match client.status(DEADLINE) {
            Ok(status) => show(&clean(status, &scrub), &args, style, terminal && !dumb),
            Err(error) => return ask::failed(&error),
        }
        match args.watch {
            None => return Exit::OK,
            // `| head` has gone: nobody would ever end this.
            Some(_) if output::refused() => return Exit::OK,
            Some(every) => std::thread::sleep(every.max(Duration::from_millis(100))),
        }
    }
}

/// Services say what they like in `STATUS=`, and a left-over process has an argument list.
fn scrub(context: &Context) -> Scrub {
    let settings = Settings::load_tolerant(&context.env, &SystemFiles::at(context.root.join("/")));
    secrets::scrub(&context.env, &settings, &context.layout(&settings), &settings.services)
}

fn clean(status: Status, scrub: &Scrub) -> Status {
    let cleaned = serde_json::to_value(&status).map(|value| scrub.value(value));
    // It was a status before.
    cleaned.and_then(serde_json::from_value).unwrap_or(status)
}

fn show(status: &Status, args: &Args, style: Style, clear: bool) {
    match (args.json, args.watch) {
        (true, None) => output::json(status),
        (true, Some(_)) => output::line(&serde_json::to_string(status).unwrap_or_default()),
        (false, None) => output::text(&render::status(status, style)),
        (false, Some(_)) => {
            let clear = if clear { "\u{1b}[H\u{1b}[2J" } else { "\n" };
            output::text(&format!("{clear}{}", render::status(status, style)));
        }
    }
}
