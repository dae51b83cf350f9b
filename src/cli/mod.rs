//! The command line.
#![forbid(unsafe_code)]
pub mod commands;
