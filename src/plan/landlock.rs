//! `LANDLOCK_ENABLED`: the operator's word, else the probe's, unless the sandbox of the engine that the variable speaks of
//! (`landlock = true` in the engine table) says no.
#![forbid(unsafe_code)]

use crate::{
    probe::sandbox::Landlock,
    settings::{Origin, Settings, keys},
};
use serde::Serialize;

/// What the engine's own sandbox did with a harmless command, where the engine of this name is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnSandbox<'a> {
    /// The flag that the variable stands for exists, and the sandbox ran.
    Works(&'a str),
    /// The flag is gone, or the sandbox refused.
    Fails(&'a str),
    /// The engine is not installed, or was not asked.
    Unknown,
}

/// The decision, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What `LANDLOCK_ENABLED` will be.
    pub enabled: bool,
    /// In words: who decided, and on what.
    pub reason: String,
}

/// An operator's value wins, with a word where the probe disagrees. Else Landlock must be usable, and the engine, if it was
/// asked, must agree: a 1 that is not true of it makes every run of it fail.
pub fn landlock_enabled(settings: &Settings, landlock: &Landlock, own: OwnSandbox<'_>) -> Verdict {
    if let Some(enabled) = settings.get_opt(&keys::LANDLOCK_ENABLED) {
        let origin = settings.origin(&keys::LANDLOCK_ENABLED);
        let set_by = if origin == Origin::Default { "default".to_owned() } else { origin.to_string() };
        let doubt = match (enabled, landlock.usable) {
            (true, false) => format!("; the probe disagrees: {}", landlock.reason),
            (false, true) => format!("; the probe found it usable: {}", landlock.reason),
            _ => String::new(),
        };
        return Verdict { enabled, reason: format!("set by the operator ({set_by}){doubt}") };
    }
    match (landlock.usable, own) {
        (false, _) => Verdict { enabled: false, reason: landlock.reason.clone() },
        (true, OwnSandbox::Fails(engine)) => Verdict {
            enabled: false,
            reason: format!("Landlock works ({}), but {engine}'s own sandbox does not", landlock.reason),
        },
        (true, OwnSandbox::Works(engine)) => {
            Verdict { enabled: true, reason: format!("{}; {engine}'s own sandbox works", landlock.reason) }
        }
        (true, OwnSandbox::Unknown) => Verdict { enabled: true, reason: landlock.reason.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probe::Reading, settings::Environment};

    fn landlock(usable: bool) -> Landlock {
        let reason = if usable { "ABI 7" } else { "ENOSYS" }.to_owned();
        Landlock { usable, reason, abi: Reading::Value(7), abi_errno: None, child: None }
    }

    fn settings(value: &str) -> Settings {
        Settings::load(&Environment([("LANDLOCK_ENABLED".to_owned(), value.to_owned())].into())).unwrap()
    }

    #[test]
    fn the_operators_value_wins_and_the_doubt_is_told() {
        let on = landlock_enabled(&settings("1"), &landlock(false), OwnSandbox::Fails("codex"));
        assert!(on.enabled && on.reason.contains("disagrees: ENOSYS"), "{}", on.reason);
        let off = landlock_enabled(&settings("0"), &landlock(true), OwnSandbox::Works("codex"));
        assert!(!off.enabled && off.reason.contains("env:LANDLOCK_ENABLED"), "{}", off.reason);
        // An empty value counts as unset.
        assert!(landlock_enabled(&settings(""), &landlock(true), OwnSandbox::Unknown).enabled);
    }

    #[test]
    fn the_engine_can_only_turn_it_off() {
        let unset = settings("");
        for (usable, own, want) in [
            (true, OwnSandbox::Unknown, true),
            (true, OwnSandbox::Works("codex"), true),
            (true, OwnSandbox::Fails("codex"), false),
            (false, OwnSandbox::Works("codex"), false),
            (false, OwnSandbox::Unknown, false),
        ] {
            assert_eq!(landlock_enabled(&unset, &landlock(usable), own).enabled, want, "{usable} {own:?}");
        }
    }
}
