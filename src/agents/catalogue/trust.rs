//! Where a CLI keeps the folders that it trusts, as data: a file, the table in it, the value that trusts.
//! `agents::trust` and `agents::edit` act by it; a new engine's trust list needs no code.

use super::Format;
use serde::Deserialize;
use serde_json::Value;
use std::{ffi::OsStr, path::Path, path::PathBuf};

/// How a CLI itself locks its trust file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustLock {
    /// npm's `proper-lockfile`: a folder `FILE.lock`.
    ProperLockfile,
}

/// A trust list: a table in a file, keyed by folder, or an array of folders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Its name, the `NAME` of `[trust.NAME]`.
    #[serde(skip)]
    pub name: String,
    /// Path below the agent home.
    pub file: PathBuf,
    /// Its syntax.
    pub format: Format,
    /// The way to the table (or array) of folders; empty: the file is the table.
    #[serde(default)]
    pub table: Vec<String>,
    /// A folder's entry is a table, and this key of it holds the value; absent: the entry is the value.
    #[serde(default)]
    pub key: Option<String>,
    /// The value that trusts: a text, or true or false; absent: the folders are an array, and to be in it is to be trusted.
    #[serde(default)]
    pub value: Option<Value>,
    /// Every value that the CLI loads, `value` among them; empty: it loads any.
    #[serde(default)]
    pub values: Vec<Value>,
    /// How the CLI locks the file; absent: it does not.
    #[serde(default)]
    pub lock: Option<TrustLock>,
}

impl Trust {
    /// The CLI loads this value.
    pub fn loads(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }

    /// The folder of the file, below the agent home.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The file's name.
    pub fn file_name(&self) -> &OsStr {
        self.file.file_name().unwrap_or_default()
    }
}
