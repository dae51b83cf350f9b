//! Ensure, upgrade, roll back, repair.
//!
//! ```text
//! lock -> sweep -> repair -> room? -> npm into staging -> does it run, and as its package.json says?
//!      -> generation (rename) -> switch (rename) -> does it run from its place? -> collect
//! ```
//!
//! Until the switch nothing that anybody uses has been touched; the switch is one rename; after it the one
//! before is still there. Killed at any instant, the next command sweeps the staging folder, or finds a
//! proven generation and switches to it.

mod mend;
mod report;

pub use report::{Action, InstallError, News, Report};

use super::{
    catalogue::{Catalogue, Engine},
    check::{self, Answer, Checked, Fault, Found, Surroundings},
    lock::PrefixLock,
    npm::{self, Npm},
    prefix::{self, Current, Generation, Manifest, Place},
    run::{Ended, Interrupt},
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// Installs into one prefix.
pub struct Installer<'a> {
    /// The surroundings.
    pub around: Surroundings<'a>,
    /// What a check of just now found; an engine that ran then is not asked again.
    pub known: &'a [Checked],
    /// Deadline of one npm install.
    pub npm_deadline: Duration,
    /// Who hears of it.
    pub news: &'a mut dyn FnMut(News<'_>),
}

/// Engine and, where asked for, version: `codex` or `codex@0.164.0`.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The version; `None`: the newest that fits.
    pub version: Option<String>,
}

impl<'a> Wanted<'a> {
    /// Parses `ENGINE[@VERSION]`; the error says which names are known.
    pub fn parse(text: &str, catalogue: &'a Catalogue) -> Result<Self, String> {
        let (name, version) = text.split_once('@').map_or((text, None), |(n, v)| (n, Some(v)));
        let engine = catalogue.select(&[name])?.into_iter().next();
        let version = version.filter(|v| !v.is_empty()).map(str::to_owned);
        if let Some(bad) =
            version.as_deref().filter(|v| v.contains(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c))))
        {
            return Err(format!("\"{bad}\" is not a version or tag"));
        }
        engine.map(|engine| Self { engine, version }).ok_or_else(|| format!("\"{name}\" is not one engine"))
    }
}

impl Installer<'_> {
    /// Makes each of these engines run, if it can be done; one after another.
    pub fn ensure(&mut self, engines: &[&Engine]) -> Vec<Report> {
        self.each(engines.iter().map(|engine| Wanted { engine, version: None }), Self::ensure_one)
    }
    /// Brings each to the newest (or the given) version.
    pub fn upgrade(&mut self, wanted: &[Wanted<'_>]) -> Vec<Report> {
        self.each(wanted.iter().cloned(), Self::upgrade_one)
    }
    /// Goes back to the generation before.
    pub fn rollback(&mut self, engine: &Engine) -> Report {
        let wanted = Wanted { engine, version: None };
        self.each([wanted].into_iter(), Self::rollback_one).pop().unwrap_or_else(|| self.blank(engine))
    }

    fn each<'e>(
        &mut self,
        wanted: impl Iterator<Item = Wanted<'e>>,
        mut step: impl FnMut(&mut Self, &Wanted<'e>, &mut Report) -> Result<Action, InstallError>,
    ) -> Vec<Report> {
        let mut reports = Vec::new();
        for wanted in wanted {
            let start = Instant::now();
            let mut report = self.blank(wanted.engine);
            if self.around.interrupt.is_some_and(Interrupt::happened) {
                report.reason = vec!["stopped before its turn".to_owned()];
            } else {
                match step(self, &wanted, &mut report) {
                    Ok(action) => report.action = action,
                    Err(error) => {
                        report.reason = vec![error.to_string()];
                        if let InstallError::Npm { words, .. } | InstallError::Unproven { words, .. } = &error {
                            report.reason.extend(words.iter().cloned());
                        }
                        if let InstallError::Npm { status, .. } = error {
                            report.npm_status = Some(status);
                        }
                        let now = self.answer(wanted.engine);
                        report.present.1 = now.is_some();
                        report.version = now.map(|a| a.line).unwrap_or_default();
                    }
                }
            }
            report.elapsed = start.elapsed();
            (self.news)(News::Done(&report));
            reports.push(report);
        }
        reports
    }

    fn blank(&self, engine: &Engine) -> Report {
        Report {
            engine: engine.name.clone(),
            package: engine.package.clone(),
            action: Action::Failed,
            version: String::new(),
            reason: Vec::new(),
            npm_status: None,
            present: (false, false),
            elapsed: Duration::ZERO,
        }
    }

    fn ensure_one(&mut self, wanted: &Wanted<'_>, report: &mut Report) -> Result<Action, InstallError> {
        let engine = wanted.engine;
        let known = self.known.iter().find(|checked| checked.engine == engine.name);
        let before = match known {
            Some(checked) => checked.managed.answer().cloned(),
            None => check::managed(engine, self.around).answer().cloned(),
        };
        report.present.0 = before.is_some();
        if let Some(answer) = before {
            if self.litter(engine) {
                let _lock = self.lock(engine)?;
                self.tidy(engine)?;
            }
            return Ok(done(report, answer, Action::AlreadyPresent));
        }
        if engine.unavailable.is_some() && !fs::exists(self.place(engine).package()).unwrap_or(false) {
            return Ok(unavailable(engine, report));
        }
        let mut lock = self.lock(engine)?;
        // Somebody else may have been at it while we waited, or the machine was busy.
        match check::managed(engine, self.patient()) {
            Found::Runs(_, answer) => return Ok(done(report, answer, Action::AlreadyPresent)),
            Found::Silent(_, reason) => return Err(InstallError::Silent(reason)),
            Found::Broken(..) | Found::Absent => {}
        }
        if let Some(answer) = self.repair(engine)? {
            return Ok(done(report, answer, Action::Repaired));
        }
        if engine.unavailable.is_some() {
            return Ok(unavailable(engine, report));
        }
        let answer = self.install(wanted, &mut lock, report)?;
        Ok(done(report, answer, Action::Installed))
    }

    fn upgrade_one(&mut self, wanted: &Wanted<'_>, report: &mut Report) -> Result<Action, InstallError> {
        let engine = wanted.engine;
        let mut lock = self.lock(engine)?;
        let mut before = self.answer(engine);
        report.present.0 = before.is_some();
        if before.is_none() {
            before = self.repair(engine)?;
        } else {
            self.tidy(engine)?;
        }
        if let Some(reason) = &engine.unavailable {
            report.reason = vec![reason.clone()];
            report.version = before.map(|a| a.line).unwrap_or_default();
            return Ok(Action::Unavailable);
        }
        let installed = self.installed_version(engine);
        if let Some(answer) = &before {
            let newest = match &wanted.version {
                Some(version) => version.clone(),
                None => self.npm()?.newest(&engine.package, self.around).map_err(InstallError::Newest)?,
            };
            if installed.as_ref() == Some(&newest) {
                return Ok(done(report, answer.clone(), Action::UpToDate));
            }
            // Long before the switch, so that no start is under way in the plain folder when it comes.
            self.place(engine).adopt()?;
        }
        let answer = self.install(wanted, &mut lock, report)?;
        let action = match (before, installed) {
            (Some(_), Some(from)) if Some(&from) == self.installed_version(engine).as_ref() => Action::UpToDate,
            (Some(old), from) => Action::Upgraded { from: from.unwrap_or(old.version.to_string()) },
            (None, _) => Action::Installed,
        };
        Ok(done(report, answer, action))
    }

    fn rollback_one(&mut self, wanted: &Wanted<'_>, report: &mut Report) -> Result<Action, InstallError> {
        let engine = wanted.engine;
        let place = Place { prefix: &self.around.layout.npm_prefix, engine };
        let _lock = self.lock(engine)?;
        report.present.0 = self.answer(engine).is_some();
        self.tidy(engine)?;
        place.adopt()?;
        let from = self.installed_version(engine).unwrap_or_else(|| "nothing that runs".to_owned());
        let to = place.previous().ok_or_else(|| InstallError::NoPrevious(engine.name.clone()))?;
        if let Err(reason) = self.prove(engine, &to) {
            return Err(InstallError::PreviousBroken { version: to.version, reason });
        }
        let before = place.current();
        place.switch(&to)?;
        match self.ask(engine) {
            Ok(answer) => Ok(done(report, answer, Action::RolledBack { from })),
            Err(fault) => {
                if let Current::Generation(now) = before {
                    place.switch(&now)?;
                }
                Err(InstallError::PreviousBroken { version: to.version, reason: fault.to_string() })
            }
        }
    }

    /// npm into staging, proof, switch, proof; the one before comes back where the last proof fails.
    fn install(
        &mut self,
        wanted: &Wanted<'_>,
        lock: &mut PrefixLock,
        report: &mut Report,
    ) -> Result<Answer, InstallError> {
        let engine = wanted.engine;
        let npm = self.npm()?;
        if let Err((path, needed, free)) = npm::space(engine, self.around) {
            return Err(InstallError::Space { path, needed, free });
        }
        let place = Place { prefix: &self.around.layout.npm_prefix, engine };
        let staging = place.staging()?;
        let what =
            wanted.version.as_deref().map_or_else(|| engine.package.clone(), |v| format!("{}@{v}", engine.package));
        (self.news)(News::Note(&engine.name, &format!("installing {what}")));
        let news = &mut self.news;
        let outcome = npm.install(engine, wanted.version.as_deref(), &staging, lock, self.around, &mut |elapsed| {
            news(News::Working(&engine.name, elapsed));
        });
        let proven = outcome.map_err(InstallError::from).and_then(|outcome| {
            report.npm_status = Some(outcome.status.code());
            let words = npm.words(&outcome.stderr);
            if !outcome.success() {
                let how = match outcome.ended {
                    Ended::Deadline => format!("no end within {:.0?} (SKILL_INIT_NPM_TIMEOUT)", self.npm_deadline),
                    _ => outcome.how(),
                };
                return Err(InstallError::Npm { how, status: outcome.status.code(), words });
            }
            self.prove_staging(engine, &staging).map_err(|fault| InstallError::of(fault, words))
        });
        let version = match proven {
            Ok(version) => version,
            Err(error) => {
                place.discard(&staging)?;
                return Err(error);
            }
        };
        // The version that is there already and runs: nothing to switch.
        if self.installed_version(engine).as_ref() == Some(&version)
            && matches!(place.current(), Current::Generation(_))
            && let Some(answer) = self.answer(engine)
        {
            place.discard(&staging)?;
            return Ok(answer);
        }
        let (before, noted) = (place.current(), place.noted());
        let generation = place.promote(&staging, &version)?;
        place.switch(&generation)?;
        let answer = self.ask(engine).map_err(|fault| {
            let back = match before {
                Current::Generation(old) => place.switch_back(&old, noted.as_ref()).and_then(|()| match fault {
                    Fault::Wrong(_) => place.discard(&generation.dir),
                    // It may well run, and somebody may have started it meanwhile: it goes with the next command.
                    Fault::Silent(_) => Ok(()),
                }),
                Current::Absent | Current::Plain | Current::Foreign => Ok(()),
            };
            back.map_or_else(InstallError::from, |()| InstallError::of(fault, Vec::new()))
        })?;
        place.collect()?;
        Ok(answer)
    }

    fn place<'e>(&self, engine: &'e Engine) -> Place<'e>
    where
        Self: 'e,
    {
        Place { prefix: &self.around.layout.npm_prefix, engine }
    }

    fn npm(&self) -> Result<Npm, InstallError> {
        Npm::find(self.around, self.npm_deadline).ok_or(InstallError::NoNpm)
    }

    /// Does what npm staged run, and does it print the version that its package.json has?
    fn prove_staging(&self, engine: &Engine, staging: &std::path::Path) -> Result<String, Fault> {
        let wrong = Fault::Wrong;
        let manifest = Manifest::read(&prefix::package_in(staging, engine))
            .ok_or_else(|| wrong(format!("there is no {} in what was installed", engine.package)))?;
        let program = prefix::program_in(staging, engine)
            .ok_or_else(|| wrong(format!("{} has no command {}", engine.package, engine.binary)))?;
        let answer = check::version(engine, &program, self.patient())?;
        if answer.line.contains(&manifest.version) {
            Ok(manifest.version)
        } else {
            Err(wrong(format!("it prints \"{}\" but its package.json says {}", answer.line, manifest.version)))
        }
    }

    fn prove(&self, engine: &Engine, generation: &Generation) -> Result<Answer, String> {
        let program = generation.program(engine).ok_or("it has no package.json with this command")?;
        check::version(engine, &program, self.patient()).map_err(|fault| fault.to_string())
    }

    /// The managed CLI's answer, else what it does instead.
    fn ask(&self, engine: &Engine) -> Result<Answer, Fault> {
        match check::managed(engine, self.patient()) {
            Found::Runs(_, answer) => Ok(answer),
            Found::Silent(_, reason) => Err(Fault::Silent(reason)),
            Found::Broken(_, reason) => Err(Fault::Wrong(reason)),
            Found::Absent => Err(Fault::Wrong("its command is missing".to_owned())),
        }
    }

    fn answer(&self, engine: &Engine) -> Option<Answer> {
        self.ask(engine).ok()
    }

    /// The proofs of an install wait four times as long as a check does: on a busy machine a CLI just unpacked may
    /// take minutes to start, and throwing it away for that would download it again.
    fn patient(&self) -> Surroundings<'_> {
        Surroundings { deadline: self.around.deadline * 4, ..self.around }
    }

    fn installed_version(&self, engine: &Engine) -> Option<String> {
        Manifest::read(&self.place(engine).package()).map(|manifest| manifest.version)
    }

    fn lock(&mut self, engine: &Engine) -> Result<PrefixLock, InstallError> {
        let path = prefix::lock_file(&self.around.layout.npm_prefix);
        let wait = self.npm_deadline + Duration::from_secs(30);
        let news = &mut self.news;
        let tell = &mut |words: &str| news(News::Note(&engine.name, words));
        Ok(PrefixLock::take(&path, wait, self.around.interrupt, tell)?)
    }
}

fn done(report: &mut Report, answer: Answer, action: Action) -> Action {
    report.present.1 = true;
    report.version = answer.line;
    action
}

fn unavailable(engine: &Engine, report: &mut Report) -> Action {
    report.reason = engine.unavailable.iter().cloned().collect();
    Action::Unavailable
}
