//! `skill-init`: PID 1 for AI-agent containers.
//!
//! ```text
//! probe  ->  plan  ->  apply  ->  supervise
//! (read)    (pure)    (write)     (one loop)
//! ```
//!
//! Rooms, top to bottom; a room imports only rooms below it: `cli`, `tui`, `supervise`, `control`, `apply`,
//! `plan`, `agents`, `probe`, `settings`, `layout`, `exit`, `sys`. `bare` stands beside them and uses
//! `sys` and `exit` only. See ARCHITECTURE.md.

pub mod agents;
pub mod apply;
pub mod bare;
pub mod cli;
pub mod control;
pub mod exit;
pub mod layout;
pub mod plan;
pub mod probe;
pub mod settings;
#[cfg(test)]
#[path = "../tests/skips/mod.rs"]
mod skips;
pub mod supervise;
pub mod sys;
pub mod tui;
