//! The contract of the old container start as an oracle: prepared volumes, the real binary, the expected tree
//! with content and mode. Wanted differences from the old start are named in docs/compat.md by the words that the tests'
//! names use.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary")]
#![allow(missing_docs, reason = "a test")]

mod hostile;
mod import;
mod layout;
#[path = "../skips/mod.rs"]
mod skips;
mod trust;
#[path = "../volume/mod.rs"]
mod volume;

use volume::Volume;

const CODEX: &str = "cli_auth_credentials_store = \"file\"\n";
const GEMINI: &str =
    "{\n  \"security\": {\n    \"auth\": {\n      \"selectedType\": \"oauth-personal\"\n    }\n  }\n}\n";
const IFLOW: &str = "{\n  \"selectedAuthType\": \"oauth-iflow\",\n  \"baseUrl\": \"https://apis.iflow.cn/v1\"\n}\n";
const KEY: &str = "{\"OPENAI_API_KEY\":\"synthetic-1\"}";

fn trust(volume: &Volume) -> String {
    format!("\n[projects.\"{0}\"]\ntrust_level = \"trusted\"\n", volume.runs())
}
fn gemini_trust(volume: &Volume) -> String {
    format!("{{\n  \"{}\": \"TRUST_FOLDER\"\n}}\n", volume.runs())
}
