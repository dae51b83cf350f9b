//! `skill-init probe`: what the machine allows, as a table or as JSON.

use crate::{
    cli::{Context, output},
    exit::Exit,
    probe::{self, Asking, Calls, Depth, Facts, Reading},
};
use std::fmt::Display;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init probe\n  skill-init probe --json | jq .landlock\n  \
                        skill-init probe --json | jq '.memory.limit, .cpu.effective, .tasks.limit'")]
pub struct Args {
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Print only the kernel's answers, as a captured root keeps them in calls.json
    #[arg(long, hide = true)]
    calls: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    if args.calls {
        output::json(&Calls::ask(Asking::start(), Depth::Full));
        return Exit::OK;
    }
    let (_, layout) = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let facts = probe::run_with(&context.root, &layout, &context.env, Depth::Full);
    if args.json {
        output::json(&facts);
    } else {
        output::text(&table(&facts));
    }
    Exit::OK
}

/// Two tables: facts with where they came from, and paths.
pub fn table(facts: &Facts) -> String {
    let mut rows = vec![row("FACT", "VALUE", "FROM OR WHY")];
    let Facts { kernel, landlock, user_namespaces: userns, privileges: rights, .. } = facts;
    rows.push(row("kernel", &kernel.release, ""));
    let markers = facts.container.markers.join(", ");
    rows.push(row("container", yes(facts.container.is_container()), &markers));
    let pid = facts.container.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    rows.push(row("pid", pid, ""));
    rows.push(row("uid:gid", format!("{}:{}", short(&rights.uid), short(&rights.gid)), ""));
    rows.push(row(
        "capabilities",
        rights.effective.value().map_or_else(|| "unknown".to_owned(), |all| all.len().to_string()),
        &short_list(&rights.effective),
    ));
    let seccomp = match &rights.seccomp {
        Reading::Value(mode) => format!("{mode:?}").to_lowercase(),
        _ => "unknown".to_owned(),
    };
    rows.push(row("seccomp", seccomp, ""));
    rows.push(row("no_new_privs", bool_word(&rights.no_new_privs), ""));
    rows.push(row("landlock", yes(landlock.usable), &landlock.reason));
    rows.push(row("user namespaces", bool_word(&userns.usable), &userns.reason));
    rows.push(row("cgroups", format!("{:?}", facts.cgroups.mode).to_lowercase(), ""));

    rows.push(bytes("memory limit", &facts.memory.limit));
    rows.push(bytes("memory high", &facts.memory.high));
    rows.push(bytes("memory available", &facts.memory.available));
    rows.push(bytes("swap", &facts.memory.swap));
    rows.push(bound("cpus", &facts.cpu.effective));
    rows.push(bound("cpu quota", &facts.cpu.quota));
    rows.push(bound("tasks limit", &facts.tasks.limit));
    rows.push(bound("tasks available", &facts.tasks.available));
    rows.push(bound("RLIMIT_NPROC soft", &facts.tasks.nproc_soft));
    rows.push(bound("RLIMIT_NOFILE soft", &facts.descriptors.soft));
    rows.push(bound("RLIMIT_NOFILE hard", &facts.descriptors.hard));
    let pressure = facts.pressure.cgroup.as_deref().or(facts.pressure.system.as_deref());
    rows.push(row("pressure (PSI)", yes(pressure.is_some()), pressure.unwrap_or_default()));

    let mut text = output::table(&rows);
    if !facts.paths.is_empty() {
        text.push('\n');
        text.push_str(&output::table(&paths(facts)));
    }
    text
}

fn paths(facts: &Facts) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        vec![["PATH", "", "WRITABLE", "FILE SYSTEM", "FREE", "OWNER", "MODE"].map(str::to_owned).to_vec()];
    for fact in &facts.paths {
        let writable = match (fact.writable, fact.exists) {
            (true, true) => "yes".to_owned(),
            (true, false) => "can be made".to_owned(),
            (false, _) => format!("no: {}", fact.why_not.as_deref().unwrap_or("unknown")),
        };
        rows.push(vec![
            fact.name.to_owned(),
            fact.path.clone(),
            writable,
            fact.fs_type.clone().unwrap_or_default(),
            fact.free_bytes.map(mib).unwrap_or_default(),
            fact.owner.clone().unwrap_or_default(),
            fact.mode.clone().unwrap_or_default(),
        ]);
    }
    rows
}

fn row(name: &str, value: impl Display, why: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_string(), why.to_owned()]
}

fn bound<T: Display>(name: &str, bound: &probe::Bound<T>) -> Vec<String> {
    match &bound.reading {
        Reading::Unknown { reason } => row(name, "unknown", reason),
        reading => row(name, reading, &bound.from),
    }
}

fn bytes(name: &str, limit: &probe::Bound<u64>) -> Vec<String> {
    match &limit.reading {
        Reading::Value(bytes) => row(name, mib(*bytes), &limit.from),
        _ => bound(name, limit),
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn short<T: Display>(reading: &Reading<T>) -> String {
    reading.value().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

fn short_list(reading: &Reading<Vec<String>>) -> String {
    match reading.value().map(Vec::as_slice) {
        None => "unknown".to_owned(),
        Some(names) if names.len() > 20 => String::from("most; see --json"),
        Some(names) => {
            names.iter().map(|name| name.trim_start_matches("CAP_")).collect::<Vec<_>>().join(" ").to_lowercase()
        }
    }
}

fn bool_word(reading: &Reading<bool>) -> &'static str {
    reading.value().map_or("unknown", |value| yes(*value))
}
