//! `skill-init health`: one question, one line, exit 0 or 1. For HEALTHCHECK and exec probes.
//!
//! With `--hold` one process does the work of many: it asks on until the verdict changes. So a runtime that starts a
//! process per look (Docker's HEALTHCHECK) can look often, hears of a change at once, and still starts few of them.

use crate::{
    cli::{Context, ask::Target, output},
    control::{
        protocol::{Health, HealthKind, Request, Response},
        render,
    },
    exit::Exit,
};
use std::time::{Duration, Instant};

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
    /// Ask on and answer when the verdict changes, at the latest after this span; a fresh "ready" is told at once
    #[arg(long, value_name = "SPAN", value_parser = crate::cli::ask::span)]
    hold: Option<Duration>,
    #[command(flatten)]
    target: Target,
}

/// A "ready" younger than this may not have been told to anybody yet. Longer than any sensible interval between looks.
const FRESH: Duration = Duration::from_secs(3);
/// Between two questions while the answer is no: somebody waits for the yes.
const WHILE_NO: Duration = Duration::from_millis(50);
/// Between two questions while it is yes.
const WHILE_YES: Duration = Duration::from_secs(1);

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let (kind, word) = match (args.live, args.startup) {
        (true, _) => (HealthKind::Live, "live"),
        (_, true) => (HealthKind::Startup, "started"),
        _ => (HealthKind::Ready, "ready"),
    };
    let client = args.target.client(context);
    let ask = || match client.ask(&Request::Health { kind }, args.timeout) {
        Ok(Response::Health(health)) => health,
        Ok(other) => Health { reasons: vec![format!("unexpected answer: {other:?}")], ..Health::default() },
        Err(error) => Health { reasons: vec![error.to_string()], ..Health::default() },
    };
    let end = Instant::now() + args.hold.unwrap_or_default();
    let health = held(ask, |span| {
        let left = end.saturating_duration_since(Instant::now());
        std::thread::sleep(span.min(left));
        !left.is_zero()
    });
    if args.json {
        output::json(&health);
    } else {
        output::line(&render::health(word, &health));
    }
    if health.ok { Exit::OK } else { Exit::FAILURE }
}

/// Asks until the verdict changes or `pause` says that the time is over.
fn held(mut ask: impl FnMut() -> Health, mut pause: impl FnMut(Duration) -> bool) -> Health {
    let mut health = ask();
    let first = health.ok;
    // Without an age (liveness, start-up, an init of an earlier version) nothing is held back.
    let fresh = first && health.for_ms.is_none_or(|ms| Duration::from_millis(ms) < FRESH);
    while !fresh && health.ok == first && pause(if first { WHILE_YES } else { WHILE_NO }) {
        health = ask();
    }
    health
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ok: bool, for_ms: u64) -> Health {
        Health { ok, reasons: vec![], for_ms: ok.then_some(for_ms) }
    }

    /// What is told, and how often was asked, where the questions are answered so and the time allows for `pauses`.
    fn told(answers: &[Health], mut pauses: usize) -> (bool, usize) {
        let mut asked = 0;
        let health = held(
            || {
                asked += 1;
                answers[asked - 1].clone()
            },
            |_| {
                pauses = pauses.saturating_sub(1);
                pauses > 0
            },
        );
        (health.ok, asked)
    }

    #[test]
    fn a_fresh_yes_is_told_at_once_and_so_is_every_change() {
        assert_eq!(told(&[answer(true, 2999)], 100), (true, 1));
        assert_eq!(told(&[answer(false, 0), answer(false, 0), answer(true, 0)], 100), (true, 3));
        assert_eq!(told(&[answer(true, 3000), answer(true, 4000), answer(false, 0)], 100), (false, 3));
    }

    #[test]
    fn an_old_verdict_is_told_when_the_time_is_over() {
        assert_eq!(told(&vec![answer(true, 3000); 5], 3), (true, 3));
        assert_eq!(told(&vec![answer(false, 0); 5], 3), (false, 3));
    }

    #[test]
    fn without_an_age_nothing_is_held_back() {
        assert_eq!(told(&[Health { ok: true, ..Health::default() }], 100), (true, 1));
    }
}
