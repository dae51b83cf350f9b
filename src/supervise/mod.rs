//! The loop: one machine that decides, one driver that does, one owner of children.
#![forbid(unsafe_code)]

pub mod cause;
pub mod machine;
pub mod probing;
pub mod schedule;
pub mod service;
