//! Talking to PID 1: the unix control socket, its client, and the processes that speak HTTP for it.
//!
//! PID 1 parses nothing but bounded lines from local peers whose credentials the kernel vouches for. HTTP is
//! served by `skill-init gateway`, a supervised process that asks over this socket.
#![forbid(unsafe_code)]

pub mod client;
pub mod gateway;
pub mod linger;
pub mod metrics;
pub mod notify;
pub mod peer;
pub mod protocol;
pub mod render;
pub mod rundir;
pub mod server;
pub mod status;
pub mod terminal;
