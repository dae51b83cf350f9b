//! The run's entry in the engine's trust store: there before the launch, gone after it whatever happened.

use skill_init::layout::Layout;
use std::path::Path;

/// Trusts the folder for an engine; `false` where the engine keeps no trust. Blocking.
pub fn register(_layout: &Layout, _engine: &str, _folder: &Path) -> Result<bool, String> {
    Ok(false)
}

/// Removes the entry; that it is not there counts as success. Blocking.
pub fn remove(_layout: &Layout, _engine: &str, _folder: &Path) -> Result<(), String> {
    Ok(())
}
