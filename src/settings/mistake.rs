//! A mistake in the configuration, and the ledger that collects all of them.
//!
//! Loading never stops at the first mistake: a person who mends a container wants the whole list.

use std::fmt;

/// One mistake: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `env UI_SHELL_TTYD_PORT` or `/etc/skill-init/init.toml:12`.
    pub place: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} mistake(s) in the configuration; nothing was touched", .0.len())]
pub struct Mistakes(pub Vec<Mistake>);

/// Mistakes (fatal) and warnings (not) found so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

impl Ledger {
    pub(super) fn mistake(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.into(), message: message.into() });
    }
    pub(super) fn warning(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Mistake { place: place.into(), message: message.into() });
    }
}

/// A value as it may be shown in a message: quoted, control characters escaped, never longer than a line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let short: String = text.chars().take(LONGEST).collect();
    let more = if text.chars().nth(LONGEST).is_some() { "..." } else { "" };
    format!("{short:?}{more}")
}
