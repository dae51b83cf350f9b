//! `skill-init tui`: the menu of agent commands.

use crate::{
    agents::catalogue::Catalogue,
    cli::{Context, output},
    exit::Exit,
    plan::environment::{self, Verdicts},
    settings::keys,
    supervise::log,
    tui::{self, Config},
};
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The web terminal runs this; it works in any terminal: docker exec -it CONTAINER skill-init tui.\n\
                        Settings: UI_SHELL_HARD_TTL_SECONDS, SKILL_INIT_TERMINAL_KEEP, SKILL_INIT_CATALOGUE.\n\n\
                        Exit: 0 when left or at the time limit, 78 when the configuration is wrong."
)]
pub struct Args {
    /// End after this long, if that is sooner than UI_SHELL_HARD_TTL_SECONDS
    #[arg(long, value_name = "SPAN", value_parser = crate::cli::ask::span)]
    limit: Option<Duration>,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let (settings, layout) = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    log::init(&settings);
    let catalogue = match Catalogue::load(settings.get_opt(&keys::CATALOGUE).as_deref()) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            output::error(&error.to_string());
            return Exit::CONFIG;
        }
    };
    // Under the init this is what we were given already; by hand (docker exec) it is made from the settings.
    let landlock = settings.get_opt(&keys::LANDLOCK_ENABLED).unwrap_or(false);
    let verdicts = Verdicts { landlock, concurrency: Vec::new() };
    let environment = environment::base(&context.env.0, &layout, &settings, &verdicts);
    let limit = Duration::from_secs(u64::try_from(settings.get(&keys::TERMINAL_TTL)).unwrap_or(1800));
    let limit = args.limit.map_or(limit, |asked| asked.min(limit));
    let keep = settings.get(&keys::TERMINAL_KEEP);
    match tui::run(&Config { catalogue, layout, environment, limit, keep }) {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&format!("the menu cannot run: {error}"));
            Exit::OS
        }
    }
}
