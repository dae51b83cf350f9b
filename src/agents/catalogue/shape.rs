//! What a credential file must hold, as data: fields, their kinds, what tells its age, and how several in one file are
//! told apart. `credentials::shape` reads a file by it; a new engine's files need no code.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a field must be, where it is there and not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A string.
    Text,
    /// A number.
    Number,
    /// An array.
    List,
    /// An object.
    Object,
    /// A string of three parts with dots between them.
    Jwt,
}

impl Kind {
    /// The word of the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::List => "list",
            Self::Object => "object",
            Self::Jwt => "token of three parts",
        }
    }
}

/// The shape of a credential file; the default takes any JSON object. Fields are dotted paths (`tokens.id_token`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// One of these is there and not empty.
    pub any: Vec<String>,
    /// One of these is there, be it null.
    pub keys: Vec<String>,
    /// Kinds of fields that may be missing or null.
    pub fields: BTreeMap<String, Kind>,
    /// Fields that are there with one of these numbers.
    pub values: BTreeMap<String, Vec<u64>>,
    /// Fields that say how fresh it is: milliseconds, or RFC 3339; the first that is there counts.
    pub fresh: Vec<String>,
    /// When the access token ends, in milliseconds.
    pub expiry: Option<String>,
    /// What renews it then.
    pub refresh: Option<String>,
    /// A field that makes it good without an end.
    pub lasting: Option<String>,
    /// It belongs to the engine's other files: imported from the same side as they are.
    pub follows: bool,
    /// It holds several credentials, which are compared and merged one by one.
    pub entries: Option<Entries>,
}

/// Several credentials in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entries {
    /// The field with the list of them; absent: every member of the file is one, named by its key.
    pub list: Option<String>,
    /// In a list, the secret field that identifies an entry; every entry must have it.
    pub id: Option<String>,
    /// By the entry's `type`, the fields that it must have; empty: any object will do.
    pub types: BTreeMap<String, BTreeMap<String, Kind>>,
    /// Fields that say how fresh an entry is; the greatest counts.
    pub fresh: Vec<String>,
    /// When an entry's access token ends, in milliseconds.
    pub expiry: Option<String>,
    /// What renews it then.
    pub refresh: Option<String>,
}
