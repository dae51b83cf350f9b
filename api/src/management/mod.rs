//! `/v1/management`: reads for front ends, and the two writes that a run page needs.

mod files;
mod routes;

pub(crate) use files::{preview, tree};
pub use routes::routes;
