//! The only unsafe code: thin wrappers over system calls, no policy.
//!
//! One file per family; each `unsafe` block has a SAFETY line and names its man page.
#![allow(unsafe_code)]

pub mod affinity;
pub mod early;
pub mod flock;
pub mod fs;
pub mod identity;
pub mod landlock;
pub mod limits;
pub mod namespaces;
pub mod pidfd;
pub mod process;
pub mod readiness;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod start;
pub mod terminal;
mod throwaway;
pub mod utc;
pub mod volume;
pub mod wait;
