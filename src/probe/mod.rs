//! What the machine allows: kernel, sandbox, limits, paths, read once into [`Facts`], and what is used of
//! the limits right now, read often and cheaply ([`usage::UsagePaths`]).
//!
//! Parsing is pure (`&str -> value`) and reading is thin and bounded, always under a `Root`, so that a tree
//! captured on another machine gives that machine's facts. Unknown is a value ([`Reading::Unknown`]): every
//! file may be missing, empty, unreadable, `max`, huge or garbage.
#![forbid(unsafe_code)]

pub mod calls;
pub mod cgroup;
pub mod container;
mod facts;
pub mod host;
pub mod kernel;
pub mod oom;
pub mod paths;
pub mod pressure;
pub mod privileges;
pub mod processes;
pub mod read;
pub mod reading;
pub mod resources;
pub mod sandbox;
pub mod usage;

pub use calls::{Asking, Calls, Depth};
pub use facts::{Facts, PressureFiles, assemble, finish, run, run_with};
pub use reading::{Bound, Reading};
pub use usage::{Usage, UsagePaths, Used};
