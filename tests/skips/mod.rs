//! What a test says that cannot run on this machine. It passes, and runners hide what a passing test prints, so the line also
//! goes to the file that `TEST_SKIPS` names: scripts/test.sh shows and counts them, .ci/run fails for some. (The name is not
//! in the init's own space: there it takes what it does not know for a mistake.)
#![allow(clippy::expect_used, reason = "a skip that cannot be written down fails the test")]

use std::{env, fmt::Display, fs::OpenOptions, io::Write};

/// The test that runs now was skipped, or a part of it.
pub(crate) fn skip(reason: impl Display) {
    // Both runners give a thread the name of its test; nextest tells it to the process as well.
    let told = env::var_os("NEXTEST_TEST_NAME").map(|name| name.to_string_lossy().into_owned());
    let test = told.or_else(|| std::thread::current().name().map(str::to_owned));
    skip_of(test.as_deref().unwrap_or("?"), reason);
}

/// The same for a test of this name: one line `PROGRAM::TEST: REASON`.
pub(crate) fn skip_of(test: &str, reason: impl Display) {
    let reason = reason.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("SKIPPED: {test}: {reason}");
    let Some(path) = env::var_os("TEST_SKIPS").filter(|path| !path.is_empty()) else { return };
    // Tests are processes at the same time: one write per line, each at the end (open(2), O_APPEND).
    let line = format!("{}::{test}: {reason}\n", env!("CARGO_CRATE_NAME"));
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("TEST_SKIPS can be written");
    file.write_all(line.as_bytes()).expect("a line of TEST_SKIPS");
}
