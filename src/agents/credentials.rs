//! Credential files of the agent CLIs: shapes, freshness, three-way import. Pure.
//!
//! No value of a credential is ever part of a message, an error or a status. Whether an engine is ready to
//! run is the question of `agents::auth`.

mod merge;
mod shape;
mod three_way;

pub use shape::{Bad, check, freshness};
pub use three_way::{Decision, Input, Remembered, Side, State, Write, decide};

/// No CLI writes a credential file larger than this.
pub const MAX_CREDENTIAL: u64 = 1 << 20;

/// Does this file belong to another one, so that the two are imported from the same side?
pub fn follows(shape: super::catalogue::Shape) -> bool {
    use super::catalogue::Shape;
    matches!(shape, Shape::GoogleAccounts | Shape::IflowAccounts)
}
