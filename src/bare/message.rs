//! One write per message; a stream that is closed or broken is no reason to stop.

use std::io::{self, Write};

/// Data to standard output.
pub(super) fn out(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
    let _ = io::stdout().flush();
}

/// Words to standard error.
pub(super) fn err(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
