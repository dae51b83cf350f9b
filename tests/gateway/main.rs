//! The gateway as a black box: the real binary, real sockets, raw bytes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "tests start the binary under test")]

mod fixture;
mod health;
#[path = "../skips/mod.rs"]
mod skips;
mod terminal;
mod ttyd;
