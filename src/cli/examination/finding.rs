//! A finding: what was looked at, how it is, and what to do.

use serde::Serialize;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Level {
    /// As it should be.
    Right,
    /// Worth knowing; nothing to do.
    Note,
    /// Works, but something is missing or will run out.
    Warning,
    /// Does not work.
    Wrong,
}

impl Level {
    /// `ok`, `note`, `warn`, `WRONG`: as wide as a table wants it.
    pub(in crate::cli) const fn word(self) -> &'static str {
        match self {
            Self::Right => "ok",
            Self::Note => "note",
            Self::Warning => "warn",
            Self::Wrong => "WRONG",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Finding {
    /// `settings`, `paths`, `limits`, `sandbox`, `init`, `services`, `agents`, `start`.
    pub(in crate::cli) area: &'static str,
    /// How it is.
    pub(in crate::cli) level: Level,
    /// What was found.
    pub(in crate::cli) what: String,
    /// What to do about it; empty where there is nothing to do.
    pub(in crate::cli) remedy: String,
}

impl Finding {
    pub(super) fn right(area: &'static str, what: impl Into<String>) -> Self {
        Self { area, level: Level::Right, what: what.into(), remedy: String::new() }
    }
    pub(super) fn note(area: &'static str, what: impl Into<String>) -> Self {
        Self { area, level: Level::Note, what: what.into(), remedy: String::new() }
    }
    pub(super) fn warning(area: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, level: Level::Warning, what: what.into(), remedy: remedy.into() }
    }
    pub(super) fn wrong(area: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, level: Level::Wrong, what: what.into(), remedy: remedy.into() }
    }
}
