//! What a registry entry is: name, config key, kind, unit, default, help.

use std::marker::PhantomData;

/// The kind of a value, with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path of the file system.
    Path,
    /// `true|false|1|0|yes|no|on|off`, any case.
    Bool,
    /// A whole number within bounds, both inclusive.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A number within bounds, both inclusive.
    Float {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
    },
    /// A span of time: `8s`, `500ms`, `2m`, `1h`; a bare number is seconds.
    Duration,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Words separated by commas or white space.
    List,
    /// A secret text: redacted everywhere; `NAME_FILE` names a file that holds it.
    Secret,
    /// `host:port` or `[v6]:port`.
    Address,
}

/// One entry of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The environment variable.
    pub env: &'static str,
    /// The dotted key of the configuration file.
    pub key: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The default, in the same spelling as the environment's; `None`: unset.
    pub default: Option<&'static str>,
    /// The unit, where there is one.
    pub unit: &'static str,
    /// The section of docs/environment.md.
    pub group: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// A typed handle on a registry entry.
#[derive(Debug)]
pub struct Key<T: 'static> {
    /// The entry.
    pub spec: &'static Spec,
    pub(crate) kind: PhantomData<fn() -> T>,
}
