//! `/v1/skill-packages`: upload, validation, installation.
//!
//! ```text
//! upload -> unpacked in skills/.staging/<request> -> checked -> order written -> switched -> old one archived
//!                  (the old skill serves)                  |        (either the old or the new one, whole)
//!                                                     point of no return
//! ```
//!
//! Before the order is written, a crash leaves the old skill, and the request is `failed` at the next start. After it,
//! the next start carries the order out, and the request is `succeeded`. Runs copy a skill under the lock that the
//! switch takes, so no run ever sees half of two versions.

mod check;
mod queue;
mod routes;
mod switch;
mod version;

pub(crate) use check::{Package, top_folder};
pub(crate) use queue::Installs;
pub use routes::routes;
