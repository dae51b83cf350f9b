//! `cargo xtask budget`: size, memory and wake-ups of the release artefact against their limits.
//!
//! None of these depends on how busy the machine is, so CI can hold them: a dependency that doubles the binary, a buffer
//! that is never given back or a timer that nobody needs fails the change that brings it. Speed is `cargo xtask bench`'s.

use super::{Plan, Readings, add, compile, gauge_once, subjects, table::median};
use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
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
    rows.push(("init beside its real worker and gateway, proportional, KiB", whole(binary, work)?, SUPERVISOR_PSS_KIB));
    Ok(rows)
}

/// The init's own proportional set, three seconds after it, the embedded worker and the gateway are ready.
#[expect(clippy::disallowed_methods, reason = "a developer task has no supervisor: it just waits for its children")]
fn whole(binary: &Path, work: &Path) -> Result<f64, String> {
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
        listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
    };
    let (port, gateway) = (free()?.to_string(), format!("127.0.0.1:{}", free()?));
    let ours = |word: &str| {
        let mut command = Command::new(binary);
        command.arg(word).arg("--dir").arg(work.join("whole")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let settings = [("PORT", port.as_str()), ("SKILL_INIT_HTTP_ADDR", &gateway)];
    let quiet = [("SKILL_INIT_API_HOST", "127.0.0.1"), ("SKILL_INIT_TTYD", "off"), ("SKILL_INIT_ENSURE", "off")];
    let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
    let mut init = ours("local").envs(settings).envs(quiet).spawn().map_err(failed)?;
    let ready = ours("wait").args(["--ready", "--timeout", "60s"]).status();
    std::thread::sleep(Duration::from_secs(3));
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", init.id()));
    let _ = Command::new("kill").arg(init.id().to_string()).status();
    let _ = init.wait();
    if !ready.map_err(failed)?.success() {
        return Err("the init beside its real worker did not become ready".to_owned());
    }
    let rollup = rollup.map_err(failed)?;
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.ok_or_else(|| "smaps_rollup has no Pss".to_owned())
}
