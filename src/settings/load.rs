//! Reads environment, file and defaults; reports every mistake at once.

use super::{
    keys,
    registry::{Key, Kind, Spec},
    service::ServiceSpec,
    value::{FromValue, Origin, Secret, Value},
};
use std::{collections::BTreeMap, fmt, time::Duration};

/// An environment as a value: the real one in `main`, a map in tests.
#[derive(Debug, Clone, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// The process's own environment; names and values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }
    /// The variable's value; an empty string counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }
}

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

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// `[service.NAME]` tables.
    pub services: Vec<ServiceSpec>,
}

impl Settings {
    /// Loads and validates; the error carries every mistake found.
    pub fn load(env: &Environment) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut values = BTreeMap::new();
        for spec in keys::ALL {
            let (text, origin) = match env.get(spec.env) {
                Some(text) => (Some(text), Origin::Env(spec.env.to_owned())),
                None => (spec.default, Origin::Default),
            };
            let value = match text.map(|text| parse(spec, text)) {
                None => Value::Unset,
                Some(Ok(value)) => value,
                Some(Err(message)) => {
                    mistakes.push(Mistake { place: format!("env {}", spec.env), message });
                    Value::Unset
                }
            };
            values.insert(spec.env, (value, origin));
        }
        if mistakes.is_empty() { Ok(Self { values, services: Vec::new() }) } else { Err(Mistakes(mistakes)) }
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
}

fn parse(spec: &Spec, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match spec.kind {
        Kind::Text | Kind::Path | Kind::Address => Ok(Value::Text(text.to_owned())),
        Kind::Secret => Ok(Value::Secret(Secret::new(text.to_owned()))),
        Kind::List => Ok(Value::List(
            text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()).map(str::to_owned).collect(),
        )),
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Value::Bool(true)),
            "0" | "false" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err(format!("\"{text}\" is not a boolean; use true or false")),
        },
        Kind::Int { min, max } => text
            .parse::<i64>()
            .ok()
            .filter(|n| (min..=max).contains(n))
            .map(Value::Int)
            .ok_or_else(|| format!("\"{text}\" is not a whole number from {min} to {max}")),
        Kind::Float { min, max } => text
            .parse::<f64>()
            .ok()
            .filter(|n| (min..=max).contains(n))
            .map(Value::Float)
            .ok_or_else(|| format!("\"{text}\" is not a number from {min} to {max}")),
        Kind::OneOf(words) => words
            .iter()
            .find(|w| w.eq_ignore_ascii_case(text))
            .map(|w| Value::Text((*w).to_owned()))
            .ok_or_else(|| format!("\"{text}\" is none of {}", words.join(", "))),
        Kind::Duration => duration(text).map(Value::Duration),
    }
}

/// `8s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!("\"{text}\" is not a span of time; use 500ms, 8s, 2m or 1h"));
        }
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|n| Duration::try_from_secs_f64(n * scale).ok())
        .filter(|d| *d <= Duration::from_secs(366 * 86400))
        .ok_or_else(|| format!("\"{text}\" is not a span of time; use 500ms, 8s, 2m or 1h"))
}
