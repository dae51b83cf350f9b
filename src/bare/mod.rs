//! The bare init: one command, every signal, every orphan; no preparation, no runtime, no argument parser.
//!
//! ```text
//! block all signals -> spawn (own group, the terminal's foreground, mask and dispositions as inherited)
//!                   -> sigwaitinfo: CHLD = drain the dead, anything else = forward
//!                   -> the command ended: deal with what it left, exit with its status
//! ```
//!
//! `skill-init -- CMD [ARG...]` is the plain form. Called as `tini`, `tini-static`, `docker-init` or `dumb-init`
//! the program takes that one's options and variables ([`personality`]). What each does is a value,
//! [`options::Options`]; [`init`] is the only loop.
//!
//! Invariants: no timer runs unless a deadline was asked for, so an idle init never wakes up; nothing is
//! opened, so closed standard streams reach the command closed; signals that arrive before the command
//! exists stay pending and are forwarded as soon as it does. One inherited thing is undone: an ignored
//! SIGCHLD, which would make the kernel throw exit statuses away (POSIX leaves its inheritance open).
//!
//! Exit status: the command's; 128+n where signal n ended it; 127 not found; 126 found but not executable.
#![forbid(unsafe_code)]

mod dumb_init;
mod getopt;
mod init;
mod leftovers;
mod message;
mod options;
mod personality;
mod plain;
mod program;
mod tini;

pub use personality::Personality;
