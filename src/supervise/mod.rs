//! The loop: one machine that decides, one driver that does, one owner of children.
#![forbid(unsafe_code)]

mod alarm;
pub mod answer;
pub mod cause;
pub mod children;
pub mod driver;
pub mod exec_stage;
mod farewell;
pub mod health;
mod journal;
pub mod launch;
pub mod log;
pub mod machine;
pub mod notify;
pub mod orphans;
mod output;
pub mod probing;
pub mod schedule;
pub mod service;
pub mod signals;
pub mod state;
pub mod table;
pub mod watch;
mod worker;
