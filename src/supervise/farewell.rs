//! The reason of the exit, where Kubernetes looks for it (`terminationMessagePath`).

use crate::exit::Exit;
use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Kubernetes reads at most this much.
const MAX: usize = 4096;

/// Writes one line, if the file exists (the kubelet makes it); a failure is only logged.
pub(super) fn write(path: &Path, exit: Exit, reason: &str) {
    let mut line = format!("skill-init: exit {}: {reason}\n", exit.0);
    while line.len() > MAX {
        line.pop();
    }
    let file = OpenOptions::new().write(true).truncate(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    match file.and_then(|mut file| file.write_all(line.as_bytes())) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "termination log"),
    }
}
