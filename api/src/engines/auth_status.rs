//! Which engine is logged in: init's own rules over the files, without asking a CLI. Blocking.

use super::{Engines, Status};
use crate::time::now_ms;
use serde_json::{Map, Value};
use skill_init::agents::{
    auth::readiness,
    catalogue::{Engine, Version},
    check::{Answer, Checked, Found},
    environment, run, status,
};
use std::{path::PathBuf, time::Duration};

impl Engines {
    /// The structure of `agent_auth_status.json`, with the reasons beside it.
    pub(crate) fn auth_status(&self, known: &Status) -> Map<String, Value> {
        let engines: Vec<&Engine> = self.names().iter().filter_map(|name| self.get(name)).collect();
        let checked: Vec<Checked> = engines.iter().map(|engine| self.checked(engine, known)).collect();
        let ready: Vec<_> =
            engines.iter().zip(&checked).map(|(e, c)| readiness(e, c, self.layout(), now_ms())).collect();
        let mut out = match status::auth(&engines, &checked, &ready, self.layout()) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        for (engine, ready) in engines.iter().zip(ready) {
            if let Some(Value::Object(entry)) = out.get_mut(&engine.name) {
                entry.insert("reasons".to_owned(), ready.reasons.into());
                entry.insert("notes".to_owned(), ready.notes.into());
            }
        }
        out
    }

    /// What init found, put beside what lies on disk now.
    fn checked(&self, engine: &Engine, known: &Status) -> Checked {
        let seen = known.0.get(&engine.name).filter(|one| one.present);
        let found = |path: Option<PathBuf>| match (path, seen) {
            (None, _) => Found::Absent,
            (Some(path), Some(one)) => Found::Runs(
                path,
                Answer {
                    line: one.version.clone(),
                    version: Version::find(&one.version).unwrap_or(Version(0, 0, 0)),
                    elapsed: Duration::ZERO,
                },
            ),
            (Some(path), None) => {
                Found::Broken(path, "skill-init has not seen it run: skill-init agents check".to_owned())
            }
        };
        let prefix = self.layout().npm_prefix.display();
        Checked {
            engine: engine.name.clone(),
            managed: found(run::find_in_path(&engine.binary, &format!("{prefix}/bin:{prefix}"))),
            global: found(run::find_in_path(&engine.binary, &environment::outer_path(self.env(), self.layout()))),
        }
    }
}
