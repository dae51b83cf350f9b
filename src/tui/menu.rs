//! The menu as data: what can be chosen, and how it reads. Pure.
//!
//! One line per entry, printed once; a choice is a number or the arrow keys, and Enter. Nothing is redrawn but the
//! line of the choice, so that a screen reader reads what changed and nothing else.

use crate::agents::{
    catalogue::{Catalogue, Engine},
    sandbox::Verdicts,
};
use crate::control::render::clean;
use std::{path::PathBuf, time::Duration};

/// What the line of the choice begins with.
pub(super) const PROMPT: &str = "Choice, then Enter (q leaves): ";

/// An engine's program, where it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its path.
    pub program: PathBuf,
    /// In the managed prefix.
    pub managed: bool,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An agent session in a folder of its own.
    Agent,
    /// A login of the engine, in the agent home.
    Login,
}

/// One line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: usize,
    /// `codex`, `codex login`.
    pub label: String,
    /// The engine, as the table holds it.
    pub engine: Engine,
    /// Agent or login.
    pub kind: Kind,
    /// The program and its arguments; `Err`: why it cannot be chosen.
    pub command: Result<(PathBuf, Vec<String>), String>,
    /// Arguments to try once more with, where the first attempt ends at once.
    pub second: Option<Vec<String>>,
    /// What the first attempt's arguments promise: the engine's own sandbox.
    pub sandbox: bool,
    note: String,
}

impl Entry {
    /// Can it be chosen?
    pub fn usable(&self) -> bool {
        self.command.is_ok()
    }
    /// Its line, without the number where it cannot be chosen.
    pub(super) fn line(&self) -> String {
        let mark = if self.usable() { self.number.to_string() } else { "-".to_owned() };
        format!("{mark:>2}  {:<16} {}", clean(&self.label), clean(&self.note)).trim_end().to_owned()
    }
}

/// Every entry: per engine the agent, then its login where it has a command of its own. Optional engines are shown
/// where they are installed.
pub fn entries(
    catalogue: &Catalogue,
    verdicts: Option<&Verdicts>,
    installed: impl Fn(&Engine) -> Option<Installed>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for engine in &catalogue.engines {
        let found = installed(engine);
        if found.is_none() && engine.optional {
            continue;
        }
        let verdict = verdicts.and_then(|verdicts| verdicts.engines.get(&engine.name));
        let refused =
            verdict.filter(|verdict| !verdict.usable).map(|verdict| format!("not usable: {}", verdict.evidence));
        // Where the engine's sandbox is known not to work, asking for it would only make the start fail.
        let free = engine.terminal_free.clone().filter(|_| verdict.is_some_and(|verdict| !verdict.confined));
        let sandbox = free.is_none() && engine.terminal_free.is_some();
        let command = |arguments: &[String]| match (&found, &refused) {
            (_, Some(reason)) => Err(reason.clone()),
            (None, None) => Err(match &engine.unavailable {
                Some(_) => "not available any more".to_owned(),
                None => "not installed".to_owned(),
            }),
            (Some(found), None) => Ok((found.program.clone(), arguments.to_vec())),
        };
        let place = found.as_ref().map_or("", |found| if found.managed { "managed" } else { "global" });
        let mut push = |label: String, kind, arguments: &[String], second: Option<Vec<String>>, sandbox| {
            let command = command(arguments);
            let note = match &command {
                Ok(_) => place.to_owned(),
                Err(reason) => reason.clone(),
            };
            entries.push(Entry {
                number: entries.len() + 1,
                label,
                engine: engine.clone(),
                kind,
                command,
                second,
                sandbox,
                note,
            });
        };
        let second = engine.terminal_free.clone().filter(|_| sandbox);
        push(engine.name.clone(), Kind::Agent, free.as_deref().unwrap_or(&engine.terminal_args), second, sandbox);
        if let Some(login) = engine.login.as_ref().filter(|login| !login.is_empty() && found.is_some()) {
            push(format!("{} login", engine.name), Kind::Login, login, None, false);
        }
    }
    entries
}

/// The menu's text.
pub(super) fn text(entries: &[Entry], left: Duration) -> String {
    let minutes = left.as_secs().div_ceil(60);
    let mut text = format!("Agents. This session ends in {minutes} minutes at the latest.\n");
    for entry in entries {
        text.push_str(&entry.line());
        text.push('\n');
    }
    text
}

/// The next entry that can be chosen, in either direction, round the ends.
pub(super) fn step(entries: &[Entry], at: Option<usize>, down: bool) -> Option<usize> {
    let usable: Vec<usize> = (0..entries.len()).filter(|i| entries.get(*i).is_some_and(Entry::usable)).collect();
    let found = if down {
        usable.iter().find(|i| at.is_none_or(|at| **i > at)).or(usable.first())
    } else {
        usable.iter().rev().find(|i| at.is_none_or(|at| **i < at)).or(usable.last())
    };
    found.copied()
}

/// The entry of this number, if it can be chosen.
pub(super) fn by_number(entries: &[Entry], digits: &str) -> Option<usize> {
    let number: usize = digits.parse().ok()?;
    entries.iter().position(|entry| entry.number == number && entry.usable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::sandbox::{Facts, Mode, Verdict};

    fn installed(names: &'static [&'static str]) -> impl Fn(&Engine) -> Option<Installed> {
        move |engine| {
            let found = Installed { program: format!("/npm/bin/{}", engine.binary).into(), managed: true };
            names.contains(&engine.name.as_str()).then_some(found)
        }
    }

    fn arguments(entries: &[Entry], label: &str) -> String {
        let entry = entries.iter().find(|entry| entry.label == label).unwrap();
        entry.command.as_ref().unwrap().1.join(" ")
    }

    #[test]
    fn the_predefined_commands_and_no_others() {
        let entries = entries(&Catalogue::built_in(), None, installed(&["codex", "gemini", "opencode", "iflow"]));
        let labels: Vec<&str> = entries.iter().map(|entry| entry.label.as_str()).collect();
        assert_eq!(labels, ["codex", "codex login", "gemini", "iflow", "opencode", "opencode login"]);
        assert_eq!(
            arguments(&entries, "codex"),
            "--sandbox workspace-write --ask-for-approval never -c features.shell_tool=false -c features.unified_exec=false"
        );
        assert_eq!(arguments(&entries, "gemini"), "--sandbox --approval-mode default");
        assert_eq!(arguments(&entries, "opencode"), "");
        assert_eq!(arguments(&entries, "iflow"), "");
        assert_eq!(arguments(&entries, "codex login"), "login");
    }

    #[test]
    fn what_is_not_installed_is_shown_and_cannot_be_chosen() {
        let entries = entries(&Catalogue::built_in(), None, installed(&["gemini"]));
        let text = text(&entries, Duration::from_secs(1800));
        assert!(text.contains(" -  codex            not installed\n"), "{text}");
        assert!(text.contains(" -  iflow            not available any more\n"), "{text}");
        assert!(text.contains(" 2  gemini           managed\n"), "{text}");
        assert!(text.contains("30 minutes"), "{text}");
        assert!(!text.contains("claude"), "{text}");
        assert_eq!(by_number(&entries, "1"), None);
        assert_eq!(by_number(&entries, "2"), Some(1));
        assert_eq!(step(&entries, None, true), Some(1));
        assert_eq!(step(&entries, Some(1), true), Some(1));
        assert_eq!(step(&[], None, false), None);
    }

    #[test]
    fn a_sandbox_known_not_to_work_is_not_asked_for_and_a_required_one_refuses() {
        let verdict = |usable| Verdict {
            version: "1".into(),
            program: String::new(),
            identity: String::new(),
            confined: false,
            usable,
            mechanism: None,
            evidence: "no docker".into(),
            flags: vec![],
            resume_flags: vec![],
            full_auto: false,
            raw: vec![],
            settled: true,
        };
        let verdicts = |usable| Verdicts {
            mode: Mode::Auto,
            facts: Facts::default(),
            engines: [("gemini".to_owned(), verdict(usable)), ("codex".to_owned(), verdict(usable))].into(),
        };
        let open = entries(&Catalogue::built_in(), Some(&verdicts(true)), installed(&["codex", "gemini"]));
        assert_eq!(arguments(&open, "gemini"), "--approval-mode default");
        assert!(arguments(&open, "codex").starts_with("--sandbox workspace-write"));
        assert!(open.iter().all(|entry| entry.second.is_none() && !entry.sandbox));
        let closed = entries(&Catalogue::built_in(), Some(&verdicts(false)), installed(&["gemini"]));
        assert_eq!(
            closed.iter().find(|e| e.label == "gemini").unwrap().command,
            Err("not usable: no docker".to_owned())
        );
    }
}
