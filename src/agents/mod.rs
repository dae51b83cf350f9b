//! Agent CLIs: what they are, whether they run, how they are installed, switched and rolled back.
//!
//! `catalogue` is data; `run` runs one program under a deadline; `probe` asks each CLI for its version;
//! `prefix` knows the generations of an npm prefix and switches between them; `install` stages, proves
//! and switches; `sandbox` finds out what confinement really works here; `status` writes what the
//! contract promises.
#![forbid(unsafe_code)]

pub mod auth;
pub mod catalogue;
pub mod check;
pub mod credentials;
pub mod edit;
pub mod environment;
pub mod install;
pub mod lock;
pub mod npm;
pub mod prefix;
pub mod run;
pub mod sandbox;
pub mod status;
pub mod trust;
