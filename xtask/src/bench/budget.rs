//! `cargo xtask budget`: size, memory and wake-ups of the release artefact against their limits.
//!
//! None of these depends on how busy the machine is, so CI can hold them: a dependency that doubles the binary, a buffer
//! that is never given back or a timer that nobody needs fails the change that brings it. Speed is `cargo xtask bench`'s.

use super::{Plan, Readings, add, compile, gauge_once, subjects, table::median};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

const USAGE: &str = "usage: cargo xtask budget [--bin PATH]";

/// KiB on disk: small enough to copy into any image.
const INIT_FILE_KIB: f64 = 5.0 * 1024.0;
const WORKER_FILE_KIB: f64 = 16.0 * 1024.0;
/// KiB resident of `skill-init -- CMD`.
const BARE_RSS_KIB: f64 = 1536.0;
/// KiB proportional of a supervisor at rest.
const SUPERVISOR_PSS_KIB: f64 = 2048.0;

/// Measures and compares; every limit that is passed is in the error.
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let binary = match args {
        [] => root.join("target/dist/skill-init"),
        [flag, path] if flag == "--bin" => PathBuf::from(path),
        _ => return Err(USAGE.to_owned()),
    };
    let work = env::temp_dir().join(format!("skill-init-budget-{}", std::process::id()));
    fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    let rows = measure(root, &work, &binary);
    let _ = fs::remove_dir_all(&work);
    let mut over = Vec::new();
    for (what, value, limit) in rows? {
        let verdict = if value <= limit { "within" } else { "OVER" };
        eprintln!("{what}: {value:.0} of {limit:.0}: {verdict}");
        if value > limit {
            over.push(what);
        }
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over budget: {}", over.join("; "))) }
}

/// What, measured, limit.
fn measure(root: &Path, work: &Path, binary: &Path) -> Result<Vec<(&'static str, f64, f64)>, String> {
    let size = |path: &Path| {
        fs::metadata(path)
            .map(|data| data.len() as f64 / 1024.0)
            .map_err(|error| format!("{}: {error}: run cargo xtask dist first", path.display()))
    };
    let mut rows = vec![
        ("skill-init on disk, KiB", size(binary)?, INIT_FILE_KIB),
        ("skill-api on disk, KiB", size(&binary.with_file_name("skill-api"))?, WORKER_FILE_KIB),
    ];
    let gauge = work.join("gauge");
    compile(&root.join("benches/gauge.c"), &gauge)?;
    let plan = Plan::default();
    let ask = |subject: &subjects::Subject, words: &[&str], name: &str| -> Result<f64, String> {
        let mut readings = Readings::new();
        add(&mut readings, "budget", gauge_once(&gauge, &plan, subject, words)?);
        median(readings.get(&format!("budget.{name}"))).ok_or_else(|| format!("{}: no {name}", subject.name))
    };
    let bare = subjects::ours(binary);
    rows.push(("bare init resident, KiB", ask(&bare, &["memory", "1"], "rss_kib")?, BARE_RSS_KIB));
    rows.push(("bare init wake-ups in 5 s", ask(&bare, &["idle", "5"], "wakeups")?, 0.0));
    let config = subjects::fleet(work, &gauge, 1)?;
    let supervisor = subjects::entrypoint(binary, work, "supervisor", &config, &[]);
    rows.push((
        "supervisor at rest proportional, KiB",
        ask(&supervisor, &["memory", "1"], "pss_kib")?,
        SUPERVISOR_PSS_KIB,
    ));
    let quiet = subjects::without_tick(subjects::entrypoint(binary, work, "supervisor", &config, &[]));
    rows.push(("supervisor wake-ups in 5 s, slow tick off", ask(&quiet, &["idle", "5"], "wakeups")?, 0.0));
    Ok(rows)
}
