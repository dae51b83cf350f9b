//! The loop: one machine that decides, one driver that does, one owner of children.
#![forbid(unsafe_code)]

pub mod cause;
pub mod children;
pub mod exec_stage;
pub mod health;
pub mod launch;
pub mod machine;
pub mod notify;
pub mod probing;
pub mod schedule;
pub mod service;
pub mod signals;
