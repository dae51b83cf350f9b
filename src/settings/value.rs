//! A setting's value, its origin, and secrets that cannot be printed.

use std::{fmt, path::PathBuf, time::Duration};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The registry's default.
    Default,
    /// The configuration file, with its 1-based line where known.
    File {
        /// 1-based line, 0 when unknown.
        line: usize,
    },
    /// An environment variable of this name (`X` or `X_FILE`).
    Env(String),
    /// Found out by the probe.
    Probed,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line: 0 } => f.write_str("file"),
            Self::File { line } => write!(f, "file:{line}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Probed => f.write_str("probed"),
        }
    }
}

/// A secret: its `Debug` and `Display` print `[redacted]`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(inner: T) -> Self {
        Self(inner)
    }
    /// The secret itself; call it only where the secret is used.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A typed value, already validated against its `Kind`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, paths and one-of values.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A span of time.
    Duration(Duration),
    /// A list of words.
    List(Vec<String>),
    /// A secret text.
    Secret(Secret<String>),
    /// Not set and without a default.
    Unset,
}

impl Value {
    /// The value in the environment's spelling; `None` where it is unset. A secret is not redacted here.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bool(word) => Some(word.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Duration(span) => Some(super::duration_text(*span)),
            Self::List(words) => Some(words.join(",")),
            Self::Secret(secret) => Some(secret.expose().clone()),
            Self::Unset => None,
        }
    }
}

/// Conversion out of a validated `Value`; never fails on a value of the key's own kind.
pub trait FromValue: Sized {
    /// `None` where the value is unset (or of another kind, which the registry's test excludes).
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($ty:ty: $pattern:pat => $out:expr),+ $(,)?) => {$(
        impl FromValue for $ty {
            fn from_value(value: &Value) -> Option<Self> {
                match value { $pattern => Some($out), _ => None }
            }
        }
    )+};
}
from_value! {
    String: Value::Text(v) => v.clone(),
    PathBuf: Value::Text(v) => PathBuf::from(v),
    bool: Value::Bool(v) => *v,
    i64: Value::Int(v) => *v,
    f64: Value::Float(v) => *v,
    Duration: Value::Duration(v) => *v,
    Vec<String>: Value::List(v) => v.clone(),
    Secret<String>: Value::Secret(v) => v.clone(),
}
