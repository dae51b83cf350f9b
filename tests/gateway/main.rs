//! The gateway as a black box: the real binary, real sockets, raw bytes.
#![expect(clippy::disallowed_methods, reason = "tests start the binary under test")]

mod fixture;
mod health;
mod terminal;
mod ttyd;
