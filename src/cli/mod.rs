//! The command line: parse, load the settings once, run one command, return its exit code.
//!
//! Every subcommand is a prefix of `probe -> plan -> apply -> supervise`, a question to a running init, or
//! a tool for the agent CLIs. Data goes to stdout, words to stderr.
#![forbid(unsafe_code)]

pub mod ask;
pub mod commands;
mod context;
mod examination;
pub mod output;
mod start;

pub use context::Context;

use crate::exit::Exit;
use clap::{CommandFactory, Parser, Subcommand};
use commands::*;
use std::ffi::OsString;

/// PID 1 for AI-agent containers: probe, plan, apply, supervise.
#[derive(Debug, Parser)]
#[command(
    name = "skill-init",
    version,
    about,
    after_help = "skill-init -- CMD [ARG...] runs CMD under the bare init: no preparation, no runtime.\n\
                  Called as tini, docker-init or dumb-init it takes their options.\n\n\
                  Examples:\n  skill-init local                 everything under one folder, no root\n  \
                  skill-init entrypoint            the container start\n  \
                  skill-init entrypoint CMD...     prepare, then run a command in the foreground\n  \
                  skill-init plan                  what a start would change, and why\n  \
                  skill-init status                what runs now\n\n\
                  Exit codes and settings: docs/exit-codes.md, docs/environment.md, skill-init config."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe, plan, apply, supervise: the container start; with a command, run that in the foreground instead
    Entrypoint(entrypoint::Args),
    /// The same start with everything under one local folder
    Local(local::Args),
    /// What the machine allows: kernel, Landlock, cgroup limits, capabilities, paths
    Probe(probe::Args),
    /// What a start would change, and why; changes nothing
    Plan(plan::Args),
    /// Do what the plan says, then stop
    Apply(apply::Args),
    /// Every setting with its value and origin; secrets redacted
    Config(config::Args),
    /// What runs now: services, readiness, concurrency and what binds it
    Status(status::Args),
    /// Start a service
    Start(service::StartArgs),
    /// Stop a service
    Stop(service::StopArgs),
    /// Restart a service
    Restart(service::RestartArgs),
    /// Re-read the configuration, import credentials, replan
    Reload(reload::Args),
    /// Wait until something is so
    Wait(wait::Args),
    /// Exit 0 if healthy, 1 if not: for HEALTHCHECK and exec probes
    Health(health::Args),
    /// Serve /livez, /readyz, /startupz, /metrics and the terminal (run by the supervisor)
    Gateway(gateway::Args),
    /// The menu of agent commands behind the web terminal
    Tui(tui::Args),
    /// Agent CLIs: check, auth, ensure, upgrade, rollback, import, list, sandbox
    Agents(agents::Args),
    /// Trust entries of run folders, for the engines that keep such a list
    Trust(trust::Args),
    /// Import credentials into the agent home
    Import(import::Args),
    /// Run every check, say what is wrong and what to do
    Doctor(doctor::Args),
}

/// The whole command line, for the man page and the completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses `args` (argv, argv[0] included) and runs the command.
pub fn main(args: Vec<OsString>) -> Exit {
    // On every service's way to its exec: no parser for this one.
    if args.get(1).is_some_and(|arg| arg == "exec-stage") {
        return crate::supervise::exec_stage::run(args.into_iter().skip(2));
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let help = !error.use_stderr();
            // Nothing is left to do if the terminal is gone.
            let _ = error.print();
            return if help { Exit::OK } else { Exit::USAGE };
        }
    };
    let context = Context::of_process();
    // Their exit says something else than what they print.
    let reports = !matches!(
        cli.command,
        Command::Entrypoint(_) | Command::Local(_) | Command::Gateway(_) | Command::Tui(_) | Command::Health(_)
    );
    let exit = match cli.command {
        Command::Entrypoint(args) => entrypoint::run(args, &context),
        Command::Local(args) => local::run(args, &context),
        Command::Probe(args) => probe::run(args, &context),
        Command::Plan(args) => plan::run(args, &context),
        Command::Apply(args) => apply::run(args, &context),
        Command::Config(args) => config::run(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::Start(args) => service::start(args, &context),
        Command::Stop(args) => service::stop(args, &context),
        Command::Restart(args) => service::restart(args, &context),
        Command::Reload(args) => reload::run(args, &context),
        Command::Wait(args) => wait::run(args, &context),
        Command::Health(args) => health::run(args, &context),
        Command::Gateway(args) => gateway::run(args, &context),
        Command::Tui(args) => tui::run(args, &context),
        Command::Agents(args) => agents::run(args, &context),
        Command::Trust(args) => trust::run(args, &context),
        Command::Import(args) => import::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
    };
    if reports { output::whole(exit) } else { exit }
}
