//! Whose command line this is: decided by argv\[0\], before anything else in the process.

use super::{
    dumb_init, init, message,
    options::{Parsed, Stream},
    plain, tini,
};
use crate::{
    exit::Exit,
    sys::start::{self, Argv},
};

/// The init that the command line is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// `skill-init -- CMD`.
    Plain,
    /// `tini`, `tini-static`, `docker-init`.
    Tini,
    /// `dumb-init`.
    DumbInit,
}

impl Personality {
    /// `None`: not the bare mode's business, the command line parser takes over.
    pub fn of(argv: Argv) -> Option<Self> {
        let name = argv.get(0)?.to_bytes();
        match name.rsplit(|&byte| byte == b'/').next().unwrap_or(name) {
            b"tini" | b"tini-static" | b"docker-init" => Some(Self::Tini),
            b"dumb-init" => Some(Self::DumbInit),
            _ => (argv.get(1)?.to_bytes() == b"--").then_some(Self::Plain),
        }
    }

    /// Runs the command and gives its exit status.
    pub fn run(self, argv: Argv) -> Exit {
        let parsed = match self {
            Self::Plain => plain::parse(argv, start::env),
            Self::Tini => tini::parse(argv, start::env),
            Self::DumbInit => dumb_init::parse(argv, start::env),
        };
        match parsed {
            Parsed::Run(options, command) => init::run(&options, command),
            Parsed::Say(stream, text, exit) => {
                match stream {
                    Stream::Out => message::out(&text),
                    Stream::Err => message::err(&text),
                }
                exit
            }
        }
    }
}
