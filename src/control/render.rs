//! A status as a person reads it. Pure: status in, text out.
//!
//! Reasons and command lines come from processes that may be hostile: control characters (escape sequences)
//! are shown, never sent to the terminal.

use super::protocol::{Gauge, ServiceState, ServiceStatus, State, Status};
use std::fmt::Write;

/// Colours or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For pipes, files, `NO_COLOR`, dumb terminals.
    Plain,
    /// SGR colours on states only; no meaning is carried by colour alone.
    Colour,
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// Orphans that are shown by name.
const SHOWN_ORPHANS: usize = 5;

/// The whole status.
pub fn status(status: &Status, style: Style) -> String {
    let mut out = String::new();
    let colour = match status.state {
        State::Ready => GREEN,
        State::Starting | State::Draining | State::Stopping => YELLOW,
        State::Degraded => RED,
    };
    let _ = writeln!(
        out,
        "skill-init {}  pid {}  {}  up {}",
        clean(&status.version),
        status.pid,
        paint(status.state.name(), colour, style),
        duration(status.uptime_ms)
    );
    if !status.reason.is_empty() {
        let _ = writeln!(out, "  {}", clean(&status.reason));
    }
    for reason in status.live_reasons.iter().chain(&status.ready_reasons).filter(|reason| **reason != status.reason) {
        let _ = writeln!(out, "  not ready: {}", clean(reason));
    }
    for warning in &status.warnings {
        let _ = writeln!(out, "  warning: {}", clean(warning));
    }
    out.push('\n');
    out.push_str(&services(&status.services, style));
    out.push('\n');
    out.push_str(&facts(status));
    out
}

fn services(services: &[ServiceStatus], style: Style) -> String {
    if services.is_empty() {
        return "no services\n".to_owned();
    }
    let heading = ["SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "READY", "LAST REASON"];
    let mut rows: Vec<[(String, Option<&str>); 7]> = vec![heading.map(|cell| (cell.to_owned(), None))];
    for service in services {
        let colour = match service.state {
            ServiceState::Ready | ServiceState::Done => Some(GREEN),
            ServiceState::Failed | ServiceState::Unready | ServiceState::Backoff | ServiceState::Killing => Some(RED),
            ServiceState::Waiting | ServiceState::Starting | ServiceState::Stopping => Some(YELLOW),
            ServiceState::Stopped => None,
        };
        let mut reason = clean(&service.last_reason);
        let starts = service.next_start_in_ms.map(|next| format!("starts in {}", duration(next)));
        let says =
            service.status_text.as_deref().filter(|text| !text.is_empty()).map(|text| format!("says: {}", clean(text)));
        for more in starts.into_iter().chain(says) {
            let _ = write!(reason, "{}{more}", if reason.is_empty() { "" } else { "; " });
        }
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        rows.push([
            (format!("{}{}", clean(&service.name), if service.essential { " *" } else { "" }), None),
            (service.state.name().to_owned(), colour),
            (or_dash(service.pid.map(|pid| pid.to_string())), None),
            (or_dash(service.uptime_ms.map(duration)), None),
            (service.restarts.to_string(), None),
            (if service.ready { "yes" } else { "no" }.to_owned(), None),
            (reason, None),
        ]);
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, colour), width) in row.iter().zip(widths) {
            line.push_str(&colour.map_or_else(|| cell.clone(), |colour| paint(cell, colour, style)));
            line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(cell.chars().count())));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if services.iter().any(|service| service.essential) {
        out.push_str("* its end ends the container\n");
    }
    out
}

fn facts(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let concurrency = &status.concurrency;
    if concurrency.max_concurrent > 0 {
        let runs = if concurrency.max_concurrent == 1 { "run" } else { "runs" };
        let mut text = format!("{} {runs} at once, {} queued", concurrency.max_concurrent, concurrency.max_queue);
        if !concurrency.binds.is_empty() {
            let _ = write!(text, "; {} binds", clean(&concurrency.binds));
        }
        if !concurrency.advice.is_empty() {
            let _ = write!(text, " ({})", clean(&concurrency.advice));
        }
        rows.push(("concurrency", text));
    }
    rows.extend(gauge(&status.usage.pids, |n| n.to_string()).map(|text| ("pids", text)));
    rows.extend(gauge(&status.usage.memory, bytes).map(|text| ("memory", text)));
    rows.extend(
        status.usage.memory_pressure.map(|waited| ("pressure", format!("tasks waited for memory {waited} % of 10 s"))),
    );
    let orphans = &status.orphans;
    let mut text =
        format!("{} live, {} reaped, {} ended by rule", orphans.live.len(), orphans.reaped_total, orphans.ended_total);
    if let Some(zombies) = orphans.zombies {
        let _ = write!(text, ", {zombies} zombies");
    }
    rows.push(("orphans", text));
    for orphan in orphans.live.iter().take(SHOWN_ORPHANS) {
        let from = orphan.from.as_ref().map_or_else(String::new, |from| format!(" from {}", clean(from)));
        let (age, rss) = (duration(orphan.age_ms), bytes(orphan.rss));
        rows.push(("", format!("{}  {age}  {rss}  {}{from}", orphan.pid, clean(&orphan.command))));
    }
    if orphans.live.len() > SHOWN_ORPHANS {
        rows.push(("", format!("and {} more (--json shows all)", orphans.live.len() - SHOWN_ORPHANS)));
    }
    let last = status.last_oom.as_ref();
    let last = last.map(|oom| format!("; the last one {} ago: {}", duration(oom.ago_ms), clean(&oom.victim)));
    rows.push(("oom kills", format!("{}{}", status.oom_kills, last.unwrap_or_default())));
    rows.push(("restarts", status.restarts_total.to_string()));
    if !status.phases.is_empty() {
        let phase = |p: &super::protocol::Phase| format!("{} {}", clean(&p.name), microseconds(p.microseconds));
        rows.push(("start", status.phases.iter().map(phase).collect::<Vec<_>>().join(", ")));
    }
    let mut out = String::new();
    for (name, text) in rows {
        let _ = writeln!(out, "{name:<12} {text}");
    }
    out
}

/// One line for `skill-init health`.
pub fn health(what: &str, health: &super::protocol::Health) -> String {
    let mut line = format!("{}{what}", if health.ok { "" } else { "not " });
    if !health.reasons.is_empty() {
        let reasons: Vec<String> = health.reasons.iter().map(|reason| clean(reason)).collect();
        let _ = write!(line, ": {}", reasons.join("; "));
    }
    line
}

fn gauge(gauge: &Gauge, show: impl Fn(u64) -> String) -> Option<String> {
    let used = gauge.used?;
    Some(match (gauge.limit, gauge.percent()) {
        (Some(limit), Some(percent)) => format!("{} of {} ({percent} %)", show(used), show(limit)),
        _ => format!("{}, no limit", show(used)),
    })
}

fn paint(text: &str, colour: &str, style: Style) -> String {
    match style {
        Style::Plain => text.to_owned(),
        Style::Colour => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
    }
}

/// Control characters as `\u{..}`, so that nothing but text reaches a terminal; bidirectional overrides too.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().flat_map(|c| if harmless(c) { vec![c] } else { c.escape_default().collect() }).collect()
}

/// `850ms`, `4.2s`, `3m 04s`, `2h 05m`, `3d 04h`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..=59 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn microseconds(us: u64) -> String {
    if us < 1_000_000 { format!("{}.{}ms", us / 1000, us % 1000 / 100) } else { duration(us / 1000) }
}

/// `512 B`, `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while tenths >= 10_240 {
        let Some(next) = units.next() else { break };
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Concurrency, OomKill, Orphan, Orphans, Phase, Usage};

    fn sample() -> Status {
        Status {
            state: State::Degraded,
            reason: "api is unready: probe: connection refused".into(),
            pid: 1,
            version: "0.1.0".into(),
            uptime_ms: 184_000,
            ready_reasons: vec!["api is unready: probe: connection refused".into(), "memory 96 % of its limit".into()],
            warnings: vec!["import: /opt/config is missing".into()],
            concurrency: Concurrency {
                max_concurrent: 4,
                max_queue: 128,
                binds: "memory".into(),
                advice: "1024 MiB more for one more run".into(),
            },
            usage: Usage {
                pids: Gauge { used: Some(212), limit: Some(2048) },
                memory: Gauge { used: Some(4_080_218_931), limit: Some(4 << 30) },
                memory_pressure: Some(12),
            },
            orphans: Orphans {
                reaped_total: 120,
                ended_total: 0,
                zombies: Some(0),
                live: vec![Orphan {
                    pid: 4711,
                    age_ms: 300_000,
                    rss: 120 << 20,
                    command: "node \u{1b}]0;owned\u{7} server.js".into(),
                    from: Some("api".into()),
                }],
            },
            oom_kills: 1,
            last_oom: Some(OomKill { ago_ms: 9_000, victim: "probably node (pid 77, 1.2 GiB)".into() }),
            restarts_total: 3,
            phases: vec![Phase { name: "probe".into(), microseconds: 1234 }],
            services: vec![
                ServiceStatus {
                    name: "api".into(),
                    state: ServiceState::Unready,
                    pid: Some(12),
                    uptime_ms: Some(183_900),
                    last_reason: "probe: connection refused".into(),
                    status_text: Some("serving \u{1b}[31mslowly".into()),
                    essential: true,
                    ..ServiceStatus::default()
                },
                ServiceStatus {
                    name: "ttyd".into(),
                    state: ServiceState::Backoff,
                    restarts: 3,
                    last_reason: "exit 1".into(),
                    next_start_in_ms: Some(2100),
                    ..ServiceStatus::default()
                },
            ],
            ..Status::default()
        }
    }

    #[test]
    fn a_status_reads_like_this() {
        insta::assert_snapshot!(status(&sample(), Style::Plain), @r"
        skill-init 0.1.0  pid 1  degraded  up 3m 04s
          api is unready: probe: connection refused
          not ready: memory 96 % of its limit
          warning: import: /opt/config is missing

        SERVICE  STATE    PID  UPTIME  RESTARTS  READY  LAST REASON
        api *    unready  12   3m 03s  0         no     probe: connection refused; says: serving \u{1b}[31mslowly
        ttyd     backoff  -    -       3         no     exit 1; starts in 2.1s
        * its end ends the container

        concurrency  4 runs at once, 128 queued; memory binds (1024 MiB more for one more run)
        pids         212 of 2048 (10 %)
        memory       3.7 GiB of 4.0 GiB (94 %)
        pressure     tasks waited for memory 12 % of 10 s
        orphans      1 live, 120 reaped, 0 ended by rule, 0 zombies
                     4711  5m 00s  120.0 MiB  node \u{1b}]0;owned\u{7} server.js from api
        oom kills    1; the last one 9.0s ago: probably node (pid 77, 1.2 GiB)
        restarts     3
        start        probe 1.2ms
        ");
    }

    #[test]
    fn no_control_character_of_a_process_reaches_the_terminal() {
        let text = status(&sample(), Style::Plain);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let plain = status(&sample(), Style::Plain);
        let mut colour = status(&sample(), Style::Colour);
        for code in [GREEN, YELLOW, RED, "0"] {
            colour = colour.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, colour);
    }

    #[test]
    fn an_empty_status_has_something_to_show() {
        assert!(status(&Status::default(), Style::Plain).contains("no services"));
    }

    #[test]
    fn spans_and_sizes_read_as_people_write_them() {
        assert_eq!(
            ["7ms", "4.2s", "3m 04s", "2h 05m", "3d 04h"].map(str::to_owned),
            [7, 4_250, 184_000, 7_500_000, 273_600_000].map(duration)
        );
        assert_eq!(
            ["0 B", "1.5 KiB", "4.0 GiB", "16383.9 PiB"].map(str::to_owned),
            [0, 1536, 4 << 30, u64::MAX].map(bytes)
        );
    }
}
