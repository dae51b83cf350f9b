//! The subcommands that change something: ensure, upgrade, rollback.

use super::{Scene, progress};
use crate::{
    agents::{
        check::Checked,
        install::{Action, Installer, Report, Wanted},
        status,
    },
    cli::output,
    exit::Exit,
    settings::keys,
};
use serde_json::{Map, Value, json};
use std::time::Instant;

impl Scene<'_> {
    pub(super) fn ensure(&self, names: &[String]) -> Exit {
        let engines = match names {
            [] => self.selected(),
            names => match self.catalogue.select(names) {
                Ok(engines) => engines,
                Err(reason) => {
                    output::error(&reason);
                    return Exit::USAGE;
                }
            },
        };
        let words = if names.is_empty() { &self.words } else { names };
        let start = Instant::now();
        // The truth is there before npm is: behind a black hole that takes minutes per engine.
        let reported = self.reported();
        let before = self.check_all(&reported);
        let first = self.write_status(&before);
        let reports = self.with_installer(&before, |installer| installer.ensure(&engines));
        let untouched = |r: &Report| matches!(r.action, Action::AlreadyPresent | Action::Unavailable);
        let (checked, verdicts, written) = if reports.iter().all(untouched) {
            let (verdicts, written) = self.judge(&reported, &before, false);
            (before, verdicts, first.and(written))
        } else {
            self.publish(&self.reported(), false)
        };
        let report = status::bootstrap(&reports, &checked, &self.catalogue, words, start.elapsed());
        let written = written.and(self.write(&self.layout.data.join("agent_bootstrap_report.json"), &report));
        progress::warn(&verdicts);
        if self.json {
            output::json(&report);
        }
        self.verdict(&reports, !names.is_empty(), written)
    }

    pub(super) fn upgrade(&self, names: &[String]) -> Exit {
        let wanted = match names {
            [] => Ok(self.selected().into_iter().map(|engine| Wanted { engine, version: None }).collect()),
            names => names.iter().map(|name| self.wanted(name)).collect::<Result<Vec<_>, _>>(),
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(exit) => return exit,
        };
        let reports = self.with_installer(&[], |installer| installer.upgrade(&wanted));
        self.finish(&reports, !names.is_empty())
    }

    pub(super) fn rollback(&self, name: &str) -> Exit {
        let wanted = match self.wanted(name) {
            Ok(wanted) => wanted,
            Err(exit) => return exit,
        };
        let report = self.with_installer(&[], |installer| installer.rollback(wanted.engine));
        self.finish(&[report], true)
    }

    fn finish(&self, reports: &[Report], named: bool) -> Exit {
        let (_, verdicts, written) = self.publish(&self.reported(), false);
        progress::warn(&verdicts);
        if self.json {
            let all: Map<String, Value> = reports
                .iter()
                .map(|r| {
                    let entry = json!({
                        "outcome": r.action.word(), "version": r.version, "present": r.present.1,
                        "reason": r.reason, "exit_code": r.npm_status, "duration_ms": r.elapsed.as_millis() as u64,
                    });
                    (r.engine.clone(), entry)
                })
                .collect();
            output::json(&Value::Object(all));
        }
        self.verdict(reports, named, written)
    }

    fn with_installer<T>(&self, known: &[Checked], work: impl FnOnce(&mut Installer<'_>) -> T) -> T {
        let mut progress = progress::Progress::new();
        let mut news = |news: crate::agents::install::News<'_>| progress.tell(news);
        work(&mut Installer {
            around: self.around(),
            known,
            npm_deadline: self.settings.get(&keys::NPM_TIMEOUT),
            news: &mut news,
        })
    }
}
