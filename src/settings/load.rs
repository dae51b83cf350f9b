//! Loading: environment and files in, validated settings or every mistake out.

use super::{
    check,
    file::{self, Node},
    files::{FileProblem, Files, NoFiles},
    keys,
    mistake::{Ledger, Mistake, Mistakes},
    overrides::ServiceOverride,
    registry::{Key, Kind, Spec},
    resolve::{self, Flat},
    service::ServiceSpec,
    tables, unknown,
    value::{FromValue, Origin, Secret, Value},
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// An environment as a value: the real one in `main`, a map in tests.
#[derive(Debug, Clone, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// The process's own environment; what is not UTF-8 is left out, except for the value of a setting, which is
    /// a mistake to report.
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let value = match value.into_string() {
                Ok(value) => value,
                Err(bytes) if unknown::is_ours(&name) => bytes.to_string_lossy().into_owned(),
                Err(_) => return None,
            };
            Some((name, value))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The variable's value; an empty string counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) values: BTreeMap<&'static str, (Value, Origin)>,
    /// The configuration file, where there is one.
    pub file: Option<PathBuf>,
    /// `[service.NAME]` tables of the user's own services, enabled ones only.
    pub services: Vec<ServiceSpec>,
    /// `[service.NAME]` tables that tune a built-in service, by its name.
    pub overrides: BTreeMap<String, ServiceOverride>,
    /// What is odd but does not stop a start.
    pub warnings: Vec<Mistake>,
}

impl Settings {
    /// Loads and validates the environment alone: no file is read, also none that a variable names.
    pub fn load(env: &Environment) -> Result<Self, Mistakes> {
        let mut env = env.clone();
        env.0.remove(keys::CONFIG.spec.env);
        Self::load_from(&env, &NoFiles)
    }

    /// Loads and validates environment, configuration file and secret files; the error carries every
    /// mistake found.
    pub fn load_from(env: &Environment, files: &dyn Files) -> Result<Self, Mistakes> {
        let (mut settings, ledger) = Self::collect(env, files);
        if !ledger.mistakes.is_empty() {
            return Err(Mistakes(ledger.mistakes));
        }
        settings.warnings = ledger.warnings;
        Ok(settings)
    }

    /// What can be used of environment and files, whatever is wrong with the rest; the mistakes are among the
    /// warnings. For commands that ask a running init: it must answer while somebody edits its file.
    pub fn load_tolerant(env: &Environment, files: &dyn Files) -> Self {
        let (mut settings, ledger) = Self::collect(env, files);
        settings.warnings = ledger.mistakes;
        settings.warnings.extend(ledger.warnings);
        settings
    }

    fn collect(env: &Environment, files: &dyn Files) -> (Self, Ledger) {
        let mut ledger = Ledger::default();
        let config = config_file(env, files, &mut ledger);
        let (flat, service_tables) = match &config {
            Some((path, root)) => resolve::flatten(path, root, &mut ledger),
            None => (Flat::default(), Vec::new()),
        };
        let values = resolve::resolve(env, files, &flat, &mut ledger);
        unknown::variables(env, &mut ledger);
        let mut settings = Self {
            values,
            file: config.as_ref().map(|(path, _)| path.clone()),
            services: Vec::new(),
            overrides: BTreeMap::new(),
            warnings: Vec::new(),
        };
        check::check(&settings, is_child(env), &mut ledger);
        if let Some((path, _)) = &config {
            if let Some(mode) = files.mode(path) {
                check::file_mode(path, mode, &flat, &mut ledger);
            }
            tables::services(path, &service_tables, &mut settings, &mut ledger);
        }
        (settings, ledger)
    }

    /// The value of a key that may be unset.
    pub fn get_opt<T: FromValue>(&self, key: &Key<T>) -> Option<T> {
        self.values.get(key.spec.env).and_then(|(value, _)| T::from_value(value))
    }

    /// The value of a key that has a default.
    pub fn get<T: FromValue + Default>(&self, key: &Key<T>) -> T {
        self.get_opt(key).unwrap_or_default()
    }

    /// Where the value came from.
    pub fn origin<T>(&self, key: &Key<T>) -> Origin {
        self.values.get(key.spec.env).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Value and origin by entry, for `skill-init config`.
    pub fn lookup(&self, spec: &Spec) -> Option<&(Value, Origin)> {
        self.values.get(spec.env)
    }

    /// Variables that a child needs because the value did not come from a variable of that name: it stands
    /// in the configuration file, or in a `NAME_FILE`. Secrets are not among them (see `secrets`).
    pub fn exports(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.set_elsewhere().filter_map(|(spec, value)| match spec.kind {
            Kind::Secret => None,
            _ => value.text().map(|text| (spec.env, text)),
        })
    }

    /// Every secret that is set, by its variable: for the services whose `secrets` name it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, Secret<String>)> + '_ {
        keys::ALL.iter().filter_map(|spec| match self.lookup(spec) {
            Some((Value::Secret(secret), _)) => Some((spec.env, secret.clone())),
            _ => None,
        })
    }

    fn set_elsewhere(&self) -> impl Iterator<Item = (&'static Spec, &Value)> {
        keys::ALL.iter().filter_map(|spec| match self.lookup(spec) {
            Some((value, Origin::File { .. })) => Some((*spec, value)),
            Some((value, Origin::Env(name))) if name != spec.env => Some((*spec, value)),
            _ => None,
        })
    }
}

/// Does this process run under a skill-init, as one of its services or below one?
///
/// Such a process gets the settings in its environment, and of the secrets only those that it needs; the
/// files that hold them may be closed to its user. For it neither is a mistake.
pub(super) fn is_child(env: &Environment) -> bool {
    env.get("SKILL_INIT_SERVICE").is_some()
}

/// The parsed configuration file. A missing default file is fine; a missing named one is a mistake.
fn config_file(env: &Environment, files: &dyn Files, ledger: &mut Ledger) -> Option<(PathBuf, Node)> {
    let spec = keys::CONFIG.spec;
    let named = env.get(spec.env).map(str::trim);
    let path = Path::new(named.or(spec.default)?);
    if !path.is_absolute() {
        return None; // reported where the variable is parsed
    }
    let place = path.display().to_string();
    match files.read(path, file::MAX_CONFIG) {
        Err(FileProblem::Missing) if named.is_none() => None,
        Err(FileProblem::Denied) if is_child(env) => None,
        Err(problem) => {
            let origin = if named.is_some() { format!("env {}", spec.env) } else { place.clone() };
            ledger.mistake(origin, format!("cannot read the configuration file {place}: {problem}"));
            None
        }
        Ok(bytes) => match file::parse(&bytes) {
            Ok(root) => Some((path.to_owned(), root)),
            Err(problem) => {
                let place = if problem.line == 0 { place } else { format!("{place}:{}", problem.line) };
                ledger.mistake(place, problem.message);
                None
            }
        },
    }
}
