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
    /// `IP:PORT` or `[v6]:PORT`.
    Address,
    /// An IP address, an interface or a host name.
    Host,
    /// `uid[:gid]` in numbers.
    User,
    /// A command line, split as a shell splits words.
    Command,
}

impl Kind {
    /// What a value is called in a message and in the documentation.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Text | Self::OneOf(_) => "a string",
            Self::Path => "a path (a string)",
            Self::Bool => "a boolean",
            Self::Int { .. } => "a whole number",
            Self::Float { .. } => "a number",
            Self::Duration => "a span of time (a string such as \"8s\", or seconds)",
            Self::List => "a list of strings",
            Self::Secret => "a secret (a string)",
            Self::Address => "an address (a string, IP:PORT)",
            Self::Host => "a host (a string)",
            Self::User => "UID or UID:GID",
            Self::Command => "a command line (a string, or a list of strings)",
        }
    }
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
