//! `skill-init`: early dispatch, then the command line.
//!
//! C's `main` instead of Rust's: std's start-up would ignore SIGPIPE, reopen closed descriptors and map an
//! alternate stack before the first line of ours, and the bare mode owes its command the process as it was given.
#![no_main]

use skill_init::{
    bare::Personality,
    cli,
    sys::{early, start},
};
use std::{
    ffi::{c_char, c_int},
    io::{self, Write},
};

/// Bare mode or command line: the first decision of the process.
#[expect(unsafe_code, reason = "C's main is an unmangled symbol and gets raw pointers")]
// SAFETY: no other item of this program or of a library is called `main`.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: these are the arguments of main.
    let argv = unsafe { start::Argv::new(argc, argv) };
    if let Some(personality) = Personality::of(argv) {
        return c_int::from(personality.run(argv).0);
    }
    start::fill_standard_streams();
    start::ignore_sigpipe();
    let supervises = argv.get(1).is_some_and(|command| command == c"entrypoint" || command == c"local");
    if supervises || start::pid() == 1 {
        early::register();
    }
    let exit = cli::main(argv.to_vec());
    // Rust's own main would have done it.
    let _ = io::stdout().flush();
    c_int::from(exit.0)
}
