//! Credential files of the agent CLIs: read by their shape, compared, imported three-way. Pure.
//!
//! No value of a credential is ever part of a message, an error or a status. Whether an engine is ready to
//! run is the question of `agents::auth`.

mod merge;
mod shape;
mod three_way;

pub use shape::{Bad, Entry, check, entries};
pub use three_way::{Decision, Input, Remembered, Side, State, Write, decide};

/// No CLI writes a credential file larger than this.
pub const MAX_CREDENTIAL: u64 = 1 << 20;

#[cfg(test)]
pub(crate) mod testing {
    use crate::agents::catalogue::{Catalogue, Shape};
    use std::sync::{Arc, LazyLock};

    static TABLE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

    /// A shape of the built-in table.
    pub(crate) fn shape(name: &str) -> Arc<Shape> {
        TABLE.shapes[name].clone()
    }
}
