//! Surgical edits of files that belong to the user: bytes in, bytes out, nothing else changes.
//!
//! Pure. Every edit is checked by parsing its own result: a file is only ever replaced by one that means
//! the same plus the change that was asked for.

pub mod json;
pub mod toml;
pub(crate) mod trusted;

/// Why a file cannot be edited as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a text.
    #[error("is not UTF-8 text")]
    NotText,
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// The parser's own words, without any content of the file.
    #[error("does not parse: line {line}, column {column}")]
    Syntax {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
    },
    /// JSON, but not `{...}`.
    #[error("is not a JSON object")]
    NotObject,
    /// An edit whose result would not mean what it must.
    #[error("has a form in which this entry cannot be changed")]
    Form,
}
