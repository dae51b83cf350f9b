//! `skill-init tui`: a menu of predefined agent commands, for the web terminal and for plain ones.
//!
//! It offers what the engine table holds and nothing else: there is no prompt, no argument and no shell to get to.
//! The whole of it ends at the session's time limit, and with it whatever it started.

mod menu;
mod session;
mod terminal;
mod watch;

pub use menu::{Entry, Installed, Kind, entries};

use crate::{
    agents::{catalogue::Catalogue, run::find_in_path, sandbox},
    exit::Exit,
    layout::Layout,
    plan::environment::Variables,
    sys,
};
use session::{Outcome, Session};
use std::{
    io,
    time::{Duration, Instant},
};
use terminal::{Key, Terminal};
use watch::{Event, Watch};

/// What the menu needs to know.
#[derive(Debug)]
pub struct Config {
    /// The engines.
    pub catalogue: Catalogue,
    /// Where everything is.
    pub layout: Layout,
    /// The environment of the agents, before the terminal's own changes.
    pub environment: Variables,
    /// From the start of the menu to its end, whatever runs then.
    pub limit: Duration,
    /// How long folders with an agent's files in them are kept.
    pub keep: Duration,
}

/// How long the last words of a session that the limit ended are left to their reader.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the menu until the user leaves, the terminal goes away or the time is over.
pub fn run(config: &Config) -> io::Result<Exit> {
    // From a group of its own a child may stop itself with SIGTSTP, and nobody could continue it: there is no shell
    // here. Ignored, it stays so in every child; SIGTTOU and SIGTTIN would stop the menu on its way back to the front.
    for signal in [libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN] {
        sys::signals::ignore(signal);
    }
    // What an agent leaves behind comes back to us, and is ended with its session.
    let _ = sys::process::become_subreaper();
    let watch = Watch::new()?;
    let terminal = Terminal::new();
    let deadline = Instant::now() + config.limit;
    session::sweep(&config.layout, config.limit, config.keep);
    let path = config.environment.get("PATH").cloned().unwrap_or_default();
    loop {
        let entries = entries(&config.catalogue, sandbox::read(&config.layout).as_ref(), |engine| {
            let program = find_in_path(&engine.binary, &path)?;
            let managed = program.starts_with(&config.layout.npm_prefix);
            Some(Installed { program, managed })
        });
        let Some(entry) = choose(&terminal, &watch, &entries, deadline) else {
            terminal.say("Goodbye.");
            return Ok(Exit::OK);
        };
        let outcome = Session::begin(config, entry).and_then(|session| session.run(&terminal, &watch, deadline));
        terminal.reclaim();
        match outcome {
            Ok(Outcome::Ended(how)) => terminal.say(&format!("\n{} ended: {how}.", entry.label)),
            Ok(Outcome::TimeOver) => {
                terminal.say("\nThe session's time limit is reached.");
                // ttyd drops what it has not sent yet when its command ends.
                std::thread::sleep(LAST_WORDS);
                return Ok(Exit::OK);
            }
            Ok(Outcome::HungUp) => return Ok(Exit::OK),
            Err(error) => terminal.say(&format!("\n{} cannot start: {error}", entry.label)),
        }
    }
}

/// Shows the menu and waits for a choice; `None`: leave.
fn choose<'e>(terminal: &Terminal, watch: &Watch, entries: &'e [Entry], deadline: Instant) -> Option<&'e Entry> {
    terminal.say(&menu::text(entries, deadline.saturating_duration_since(Instant::now())));
    if !entries.iter().any(Entry::usable) {
        terminal.say("No agent is installed: skill-init agents ensure installs them.");
    }
    let raw = terminal.raw();
    let mut at: Option<usize> = None;
    let mut digits = String::new();
    terminal.prompt(menu::PROMPT);
    'keys: loop {
        let keys = match watch.wait(Some(deadline), true) {
            Event::Input => terminal.keys(),
            Event::TimeOver | Event::HungUp => break,
            Event::ChildEnded => {
                while sys::wait::reap_any().is_some() {}
                continue;
            }
        };
        for key in keys {
            match key {
                Key::Leave => break 'keys,
                Key::Up => at = menu::step(entries, at, false),
                Key::Down => at = menu::step(entries, at, true),
                Key::Digit(digit) => {
                    digits.push(digit);
                    at = menu::by_number(entries, &digits);
                }
                Key::Enter => {
                    if let Some(entry) = at.and_then(|at| entries.get(at)).filter(|entry| entry.usable()) {
                        drop(raw);
                        terminal.say("");
                        return Some(entry);
                    }
                }
                Key::Other => continue,
            }
            // A number that is no choice is forgotten, so that the next digit begins a new one.
            if !matches!(key, Key::Digit(_)) || at.is_none() {
                digits.clear();
            }
        }
        match at.and_then(|at| entries.get(at)) {
            Some(entry) => terminal.prompt(&format!("{}{}", menu::PROMPT, entry.line())),
            None => terminal.prompt(menu::PROMPT),
        }
    }
    drop(raw);
    terminal.say("");
    None
}
