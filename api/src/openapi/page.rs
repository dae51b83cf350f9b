//! `/docs` and `/redoc`: one page over the document, whole in this file's neighbour; nothing comes from elsewhere.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The page.
pub(super) const PAGE: &str = include_str!("page.html");

/// What the page's content security policy allows: this style, this script, and nothing else.
pub(super) static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash("<style>", "</style>"));
/// The script.
pub(super) static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| hash("<script>", "</script>"));

fn hash(open: &str, close: &str) -> String {
    let inner = PAGE.split_once(open).and_then(|(_, rest)| rest.split_once(close)).map(|(inner, _)| inner);
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inner.unwrap_or_default())))
}
