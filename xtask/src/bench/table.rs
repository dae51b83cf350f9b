//! The tables of docs/performance.md.

use super::{
    Plan, Readings, Services, peers,
    subjects::{GRACE_MS, Subject},
};
use std::{fmt::Write, fs};

pub(super) fn median(values: Option<&Vec<f64>>) -> Option<f64> {
    let mut sorted: Vec<f64> = values?.iter().copied().filter(|value| *value >= 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Medians of everything, as Markdown.
pub(super) fn tables(
    bare: &[Subject],
    supervisors: &[Subject],
    results: &[Readings],
    exits: &[usize],
    services: &Services,
    plan: &Plan,
) -> String {
    let get = |index: usize, name: &str| results.get(index).and_then(|readings| median(readings.get(name)));
    let plain = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let cell = |index: usize, name: &str, scale: f64, digits: usize| {
        let value = get(index, name).map(|value| value / scale);
        match (value, get(0, name).map(|floor| floor / scale)) {
            (Some(value), Some(floor)) if floor > 0.0 && index > 0 => {
                format!("{value:.digits$} ({:.2}×)", value / floor)
            }
            _ => plain(value, digits),
        }
    };
    let size = |subject: &Subject| {
        fs::metadata(&subject.program).map_or("–".to_owned(), |data| (data.len() / 1024).to_string())
    };
    let mut text = String::new();
    let missing = peers::missing();
    if !missing.is_empty() {
        let _ = writeln!(text, "Not installed on that machine, so without a row: {}.\n", missing.join(", "));
    }
    let _ = writeln!(
        text,
        "{}; {} rounds, interleaved; medians; in brackets the ratio to the floor; {}.\n",
        machine(),
        plan.rounds,
        if plan.priority.is_empty() {
            "normal priority"
        } else {
            "real-time priority, against the noise of the machine"
        }
    );
    let _ = writeln!(
        text,
        "| one command | KiB on disk | exec → command µs | exec → exit µs | RSS / PSS KiB | wake-ups in {} s | {} orphans: reaped/s | \
         {} zombies drained ms | storm: CPU µs/orphan | signal → handler µs | TERM → exit µs | exit contract |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
        plan.idle_seconds, plan.orphans, plan.zombies
    );
    for (index, subject) in bare.iter().enumerate() {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} / {} | {} | {} | {} | {} | {} | {} | {}/5 |",
            subject.name,
            size(subject),
            cell(index, "start.child_us", 1.0, 0),
            cell(index, "start.exit_us", 1.0, 0),
            plain(get(index, "memory.rss_kib"), 0),
            plain(get(index, "memory.pss_kib"), 0),
            plain(get(index, "idle.wakeups"), 0),
            cell(index, "orphans.per_second", 1.0, 0),
            cell(index, "zombies.drain_us", 1000.0, 1),
            cell(index, "storm.cpu_ns", 1000.0, 1),
            cell(index, "signal.signal_ns", 1000.0, 1),
            plain(get(index, "stop.stop_us"), 0),
            exits.get(index).copied().unwrap_or(0),
        );
    }
    let _ = writeln!(
        text,
        "\n| one supervised service | KiB on disk | exec → service ms | RSS / PSS KiB (processes) | wake-ups in {} s | \
         {} orphans: reaped/s | {} zombies drained ms | storm: CPU µs/orphan | killed → runs again ms | TERM → exit ms |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
        plan.idle_seconds, plan.orphans, plan.zombies
    );
    for (at, subject) in supervisors.iter().enumerate() {
        let index = bare.len() + at;
        let ms = |name: &str, digits| plain(get(index, name).map(|value| value / 1000.0), digits);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} / {} ({}) | {} | {} | {} | {} | {} | {} |",
            subject.name,
            size(subject),
            ms("start.child_us", 1),
            plain(get(index, "memory.rss_kib"), 0),
            plain(get(index, "memory.pss_kib"), 0),
            plain(get(index, "memory.processes"), 0),
            plain(get(index, "idle.wakeups"), 0),
            cell(index, "orphans.per_second", 1.0, 0),
            cell(index, "zombies.drain_us", 1000.0, 1),
            cell(index, "storm.cpu_ns", 1000.0, 1),
            ms("restart.restart_us", 1),
            ms("stop.stop_us", 1),
        );
    }
    let _ = writeln!(
        text,
        "\n| orphans in a row | {} |",
        plan.growth.iter().map(usize::to_string).collect::<Vec<_>>().join(" | ")
    );
    let _ = writeln!(text, "| --- |{}", " --: |".repeat(plan.growth.len()));
    for (index, subject) in bare.iter().chain(supervisors).enumerate() {
        if index >= bare.len() && !subject.is_ours() {
            continue;
        }
        let each = |count: &usize| {
            let get = |name: &str| get(index, &format!("grow-{count}.{name}"));
            match (get("cpu_ns"), get("rss_kib")) {
                (Some(cpu), Some(rss)) => format!("{:.1} µs, {rss:.0} KiB", cpu / 1000.0),
                _ => "–".to_owned(),
            }
        };
        let cells: Vec<String> = plan.growth.iter().map(each).collect();
        let _ = writeln!(text, "| {} | {} |", subject.name, cells.join(" | "));
    }
    let _ = writeln!(text, "\nCPU time of the init per orphan, and its resident set afterwards.");
    let _ = writeln!(
        text,
        "\n| services in one configuration | | exec → all run, µs each | one killed → runs again ms | TERM → exit, µs each | PSS KiB | wake-ups in 5 s |\n\
         | --: | --- | --: | --: | --: | --: | --: |"
    );
    for (name, count, readings) in &services.fleets {
        let value = |name: &str| median(readings.get(name));
        let each = |name: &str| plain(value(name).map(|us| us / *count as f64), 0);
        let again = plain(value("fleet.restart_us").map(|us| us / 1000.0), 1);
        let (start, stop) = (each("fleet.start_us"), each("fleet.stop_us"));
        let (pss, wakeups) = (plain(value("fleet.pss_kib"), 0), plain(value("fleet.wakeups"), 0));
        let _ = writeln!(text, "| {count} | {name} | {start} | {again} | {stop} | {pss} | {wakeups} |");
    }
    if let Some(ms) = services.late {
        let _ = writeln!(
            text,
            "\nA service that ignores TERM is killed when its grace of {GRACE_MS} ms is over: it and the init have gone {ms:.1} ms after \
             that, at the latest of {} rounds.",
            plan.rounds
        );
    }
    if let Some(ms) = services.http {
        let _ = writeln!(
            text,
            "\n`GET /` of the embedded worker answers {ms:.1} ms after exec of PID 1, preparation included."
        );
    }
    text
}

fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {}, {cpus} CPUs", release.trim().split('-').next().unwrap_or_default())
}
