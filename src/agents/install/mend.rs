//! Mending without npm: from a kept generation, from a package that lost its link, from what a killed npm had moved aside.

use super::{InstallError, Installer, News};
use crate::agents::{
    catalogue::Engine,
    check::{self, Answer},
    npm,
    prefix::{self, Current, Generation, Place},
};
use std::fs;

impl Installer<'_> {
    /// Mends what an interrupted install left, without npm: the newest kept generation that runs, else what an
    /// interrupted npm had moved aside. `None`: there is nothing to mend it with.
    pub(super) fn repair(&mut self, engine: &Engine) -> Result<Option<Answer>, InstallError> {
        self.sweep(engine)?;
        let place = Place { prefix: &self.around.layout.npm_prefix, engine };
        let mut candidates = place.generations();
        // A package that is whole but has lost its command's link.
        if let Some(generation) = self.whole_but_unlinked(place)? {
            candidates.insert(0, generation);
        }
        for generation in &candidates {
            if self.mend_with(place, generation)?
                && let Some(answer) = self.answer(engine)
            {
                self.tidy(engine)?;
                return Ok(Some(answer));
            }
        }
        if !npm::at_work() {
            for retired in place.retired() {
                if let Some(generation) = place.rescue(&retired)? {
                    if self.mend_with(place, &generation)?
                        && let Some(answer) = self.answer(engine)
                    {
                        self.tidy(engine)?;
                        return Ok(Some(answer));
                    }
                    place.discard(&generation.dir)?;
                }
            }
        }
        Ok(None)
    }

    fn whole_but_unlinked(&self, place: Place<'_>) -> Result<Option<Generation>, InstallError> {
        let whole = place.current() == Current::Plain
            && prefix::program_in(place.prefix, place.engine)
                .is_some_and(|program| check::version(place.engine, &program, self.patient()).is_ok());
        if whole { Ok(place.adopt()?) } else { Ok(None) }
    }

    fn mend_with(&mut self, place: Place<'_>, generation: &Generation) -> Result<bool, InstallError> {
        if self.prove(place.engine, generation).is_err() {
            return Ok(false);
        }
        let words = format!("mending it with the kept generation {}", generation.version);
        (self.news)(News::Note(&place.engine.name, &words));
        place.switch(generation)?;
        Ok(true)
    }

    /// Is there anything that an interrupted command left?
    pub(super) fn litter(&self, engine: &Engine) -> bool {
        let place = self.place(engine);
        let store = prefix::store(place.prefix);
        let filled = |dir: &str| fs::read_dir(store.join(dir)).is_ok_and(|mut d| d.next().is_some());
        filled("staging")
            || filled("trash")
            || !place.retired().is_empty()
            || !place.retired_links().is_empty()
            || place.generations().len() > 2
    }

    fn sweep(&mut self, engine: &Engine) -> Result<(), InstallError> {
        let swept = prefix::sweep(&self.around.layout.npm_prefix)?;
        if swept > 0 {
            (self.news)(News::Note(&engine.name, &format!("removed {swept} leftovers of an interrupted command")));
        }
        Ok(())
    }

    /// Removes what interrupted commands left beside a CLI that runs.
    pub(super) fn tidy(&mut self, engine: &Engine) -> Result<(), InstallError> {
        self.sweep(engine)?;
        let place = self.place(engine);
        place.collect()?;
        if !npm::at_work() {
            for dir in place.retired() {
                place.discard(&dir)?;
            }
            for link in place.retired_links() {
                place.discard(&link)?;
            }
        }
        Ok(())
    }
}
