//! One file per subcommand.

pub mod agents;
pub mod apply;
pub mod config;
pub mod doctor;
pub mod entrypoint;
pub mod gateway;
pub mod health;
pub mod import;
pub mod local;
pub mod plan;
pub mod probe;
pub mod reload;
pub mod service;
pub mod status;
pub mod trust;
pub mod tui;
pub mod wait;
