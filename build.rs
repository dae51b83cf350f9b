//! The built-in table of engines as JSON, made of `src/agents/catalogue/engines.toml` at build time.
//!
//! Every start reads the table, and reading TOML with its comments and positions was a visible part of it. The TOML file stays
//! the source; a test compares the two.

use std::{env, error::Error, fs, path::Path};

const TABLE: &str = "src/agents/catalogue/engines.toml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let table: serde_json::Value =
        toml_edit::de::from_str(&fs::read_to_string(TABLE)?).map_err(|error| format!("{TABLE}: {error}"))?;
    let folder = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&folder).join("engines.json"), serde_json::to_string(&table)?)?;
    Ok(())
}
