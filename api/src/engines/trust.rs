//! The run's entry in the engine's trust store: there before the launch, gone after it whatever happened.
//!
//! A parent's entry does not help codex (it trusts the exact folder), so each run has its own.

use skill_init::{
    agents::{catalogue::Engine, trust::Store},
    layout::Layout,
};
use std::path::Path;

/// Trusts the folder for an engine; `false` where the engine keeps no trust. Blocking.
pub fn register(layout: &Layout, engine: &Engine, folder: &Path) -> Result<bool, String> {
    let Some(how) = &engine.trust else { return Ok(false) };
    Store::of(layout).add(how, folder).map(|_| true).map_err(|error| error.to_string())
}

/// Removes the entry; that it is not there counts as success. Blocking.
pub fn remove(layout: &Layout, engine: &Engine, folder: &Path) -> Result<(), String> {
    let Some(how) = &engine.trust else { return Ok(()) };
    Store::of(layout).remove(how, folder).map(|_| ()).map_err(|error| error.to_string())
}
