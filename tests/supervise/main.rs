//! The real binary supervises real processes, as a subreaper in a folder of its own. Every wait is for an event.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics, and tests are not PID 1"
)]

mod cgroup;
mod fixture;
mod life;
mod orphans;
mod output;
mod probes;
mod resize;
mod signals;
#[path = "../skips/mod.rs"]
mod skips;
mod stop;
mod surroundings;
