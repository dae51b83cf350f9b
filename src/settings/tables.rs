//! `[service.NAME]` tables to services and overrides, with every mistake and its line.

use super::{
    fields::{BACKOFF_FIELDS, BUDGET_FIELDS, BUILT_IN, FIELDS, LIMITS},
    file::{Data, Node},
    graph, keys,
    load::Settings,
    mistake::{Ledger, shown},
    overrides::{BackoffOverride, BudgetOverride, Defaults, ProbeOverride, ServiceOverride},
    parse,
    probes::{self, Role},
    reader::Reader,
    registry::Kind,
    resolve::at,
    service::{Essential, Limit, Restart, ServiceKind, ServiceSpec},
    signal, unknown,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

/// Reads every service table into `settings`, then checks them against each other.
pub(super) fn services(path: &Path, tables: &[(&str, &Node)], settings: &mut Settings, ledger: &mut Ledger) {
    let mut all: Vec<ServiceOverride> = Vec::new();
    for (name, node) in tables {
        if let Some(table) = one(path, name, node, ledger) {
            all.push(table);
        }
    }
    order(path, &all, ledger);
    let off = switched_off(settings, &all);
    let defaults = Defaults::of(settings);
    let whole: Duration = settings.get(&keys::STOP_GRACE);
    for mut table in all {
        // What is switched off is never ready, so nothing may wait for it.
        if let Some(after) = &mut table.after {
            after.retain(|name| !off.contains(name));
        }
        if table.stop_grace.is_some_and(|grace| grace > whole) {
            let message = format!(
                "`service.{}.stop_grace` is longer than the whole stop ({} = {}), which ends it first",
                table.name,
                keys::STOP_GRACE.spec.env,
                parse::duration_text(whole)
            );
            ledger.warning(at(path, table.line), message);
        }
        if BUILT_IN.contains(&table.name.as_str()) {
            settings.overrides.insert(table.name.clone(), table);
        } else if table.enabled != Some(false) {
            let spec = ServiceSpec::from_override(&table, &defaults);
            if spec.backoff.initial > spec.backoff.max {
                let message = format!(
                    "`service.{}.backoff`: the first delay ({}) is longer than the greatest ({})",
                    spec.name,
                    parse::duration_text(spec.backoff.initial),
                    parse::duration_text(spec.backoff.max)
                );
                ledger.mistake(at(path, table.line), message);
            }
            settings.services.push(spec);
        }
    }
}

fn one(path: &Path, name: &str, node: &Node, ledger: &mut Ledger) -> Option<ServiceOverride> {
    let place = at(path, node.line);
    let good_name = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !good_name {
        let message = format!("{} is no service name; use at most 32 of a-z, 0-9, - and _", shown(name));
        ledger.mistake(&place, message);
    }
    let entries = match &node.data {
        Data::Table(entries) => entries,
        data => {
            ledger.mistake(
                place,
                format!("`service.{name}` takes a table (`[service.{name}]`), not {}", data.type_name()),
            );
            return None;
        }
    };
    let built_in = BUILT_IN.contains(&name);
    let mut reader = Reader { path, at: format!("service.{name}"), entries, ledger };
    let table = fields(&mut reader, name, node.line);
    reader.finish(FIELDS);
    shape(&mut reader, &table, built_in);
    // A table with mistakes is kept as well: others name it in `after`, and nothing starts anyway.
    Some(table)
}

fn fields(reader: &mut Reader<'_>, name: &str, line: usize) -> ServiceOverride {
    let kind = reader.one_of("kind", &["daemon", "oneshot"]).map(|word| match word {
        "oneshot" => ServiceKind::Oneshot,
        _ => ServiceKind::Daemon,
    });
    let restart = reader.one_of("restart", &["always", "on-failure", "never"]).map(|word| match word {
        "always" => Restart::Always,
        "on-failure" => Restart::OnFailure,
        _ => Restart::Never,
    });
    ServiceOverride {
        name: name.to_owned(),
        line,
        enabled: reader.boolean("enabled"),
        kind,
        command: reader.command("command"),
        cwd: cwd(reader),
        env: env(reader),
        secrets: secrets(reader),
        user: user(reader),
        restart,
        backoff: backoff(reader),
        budget: budget(reader),
        essential: reader.boolean("essential").map(|yes| if yes { Essential::Yes } else { Essential::No }),
        after: reader.names("after"),
        stop_signal: stop_signal(reader),
        stop_grace: reader.duration("stop_grace", Duration::ZERO),
        limits: limits(reader),
        oom_score_adj: reader.int("oom_score_adj", -1000, 1000).and_then(|n| i32::try_from(n).ok()),
        readiness: sub_probe(reader, "readiness", Role::Readiness),
        liveness: sub_probe(reader, "liveness", Role::Liveness),
        start_timeout: reader.duration("start_timeout", Duration::from_millis(10)),
    }
}

/// Rules between the fields of one table.
fn shape(reader: &mut Reader<'_>, table: &ServiceOverride, built_in: bool) {
    if built_in && table.command.is_some() {
        let other =
            if table.name == "api" { "set SKILL_INIT_API_COMMAND (start.api_command)" } else { "choose another name" };
        reader.mistake(
            "command",
            &format!("cannot be given: `{}` is a built-in service, which its table can only tune; {other}", table.name),
        );
    }
    if built_in && table.kind.is_some() {
        reader.mistake("kind", &format!("cannot be changed: `{}` is a built-in service", table.name));
    }
    if !built_in && reader.node("command").is_none() {
        let line = table.line;
        let near = unknown::nearest(&table.name, BUILT_IN.iter().copied());
        let hint = near.map(|near| format!(" (or did you mean the built-in `{near}`?)")).unwrap_or_default();
        let message = format!("`service.{}` has no `command`{hint}", table.name);
        reader.ledger.mistake(at(reader.path, line), message);
    }
    if table.kind == Some(ServiceKind::Oneshot) {
        if table.restart == Some(Restart::Always) {
            reader.mistake(
                "restart",
                "= \"always\" does not suit a oneshot, which is done when it has ended with 0; use on-failure or never",
            );
        }
        for name in ["readiness", "liveness"] {
            if reader.node(name).is_some() {
                reader.mistake(name, "does not suit a oneshot, which is ready when it has ended with 0");
            }
        }
    }
    for name in ["readiness", "liveness"] {
        if !built_in && reader.node(name).is_some_and(|node| !probes::says_how(&node.data)) {
            reader.mistake(name, "does not say how to ask; use one of http, tcp, exec, fd, notify");
        }
    }
}

fn cwd(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let text = reader.text("cwd")?;
    if text.starts_with('/') {
        return Some(PathBuf::from(text));
    }
    reader.mistake("cwd", &format!("= {} is a relative path; write the whole path, beginning with /", shown(&text)));
    None
}

fn env(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(mut inner) = reader.table("env") else { return out };
    for (name, node) in inner.entries {
        let text = match &node.data {
            Data::Text(text) => text.clone(),
            Data::Int(number) => number.to_string(),
            Data::Float(number) => number.to_string(),
            Data::Bool(word) => word.to_string(),
            data => {
                inner.wrong_type(name, "a string, number or boolean", data);
                continue;
            }
        };
        if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
            inner.mistake(name, "cannot be a variable: no empty name, no `=` in it, no NUL character");
        } else {
            out.insert(name.clone(), text);
        }
    }
    out
}

fn secrets(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let names = reader.names("secrets")?;
    for name in &names {
        if !keys::ALL.iter().any(|spec| spec.env == name && spec.kind == Kind::Secret) {
            let all: Vec<&str> =
                keys::ALL.iter().filter(|spec| spec.kind == Kind::Secret).map(|spec| spec.env).collect();
            reader.mistake(
                "secrets",
                &format!("names {}, which is no secret setting; those are {}", shown(name), all.join(", ")),
            );
        }
    }
    Some(names)
}

fn user(reader: &mut Reader<'_>) -> Option<String> {
    let text = match &reader.node("user")?.data {
        Data::Int(number) => number.to_string(),
        _ => reader.text("user")?,
    };
    reader.good("user", parse::user(&text).map(|()| text.clone()))
}

fn stop_signal(reader: &mut Reader<'_>) -> Option<i32> {
    let text = match &reader.node("stop_signal")?.data {
        Data::Int(number) => number.to_string(),
        _ => reader.text("stop_signal")?,
    };
    let stops = |number| match number {
        libc::SIGSTOP | libc::SIGCONT => Err(format!("{text} ends no process; use TERM, INT or QUIT")),
        number => Ok(number),
    };
    reader.good("stop_signal", signal::parse(&text).and_then(stops))
}

fn backoff(reader: &mut Reader<'_>) -> BackoffOverride {
    let Some(mut inner) = reader.table("backoff") else { return BackoffOverride::default() };
    let out = BackoffOverride {
        initial: inner.duration("initial", Duration::ZERO),
        max: inner.duration("max", Duration::ZERO),
        jitter: inner.share("jitter"),
        reset_after: inner.duration("reset_after", Duration::ZERO),
    };
    inner.finish(BACKOFF_FIELDS);
    out
}

fn budget(reader: &mut Reader<'_>) -> BudgetOverride {
    let Some(mut inner) = reader.table("budget") else { return BudgetOverride::default() };
    let out = BudgetOverride {
        restarts: inner.int("restarts", 0, 1_000_000).and_then(|n| u32::try_from(n).ok()),
        window: inner.duration("window", Duration::from_millis(1)),
    };
    inner.finish(BUDGET_FIELDS);
    out
}

fn limits(reader: &mut Reader<'_>) -> Vec<Limit> {
    let mut out = Vec::new();
    let Some(mut inner) = reader.table("limits") else { return out };
    for (name, node) in inner.entries {
        if !LIMITS.contains(&name.as_str()) {
            let hint = unknown::nearest(name, LIMITS.iter().copied())
                .map_or_else(|| format!("those are {}", LIMITS.join(", ")), |near| format!("did you mean `{near}`?"));
            inner.mistake(name, &format!("is no resource; {hint}"));
            continue;
        }
        let parsed = match &node.data {
            Data::Int(number) => {
                u64::try_from(*number).map(|n| (Some(n), Some(n))).map_err(|_| "is negative".to_owned())
            }
            Data::Text(text) => limit(text),
            data => Err(format!("takes a number, \"unlimited\" or \"SOFT:HARD\", not {}", data.type_name())),
        };
        if let Some((soft, hard)) = inner.good(name, parsed) {
            out.push(Limit { name: name.clone(), soft, hard });
        }
    }
    out
}

/// `1024`, `unlimited`, `1024:4096`, `1024:unlimited`.
fn limit(text: &str) -> Result<(Option<u64>, Option<u64>), String> {
    let wrong = || format!("= {} is not a number, \"unlimited\" or \"SOFT:HARD\"", shown(text));
    let side = |text: &str| match text.trim() {
        "unlimited" | "infinity" => Ok(None),
        number => number.parse::<u64>().map(Some).map_err(|_| wrong()),
    };
    let (soft, hard) = match text.split_once(':') {
        Some((soft, hard)) => (side(soft)?, side(hard)?),
        None => (side(text)?, side(text)?),
    };
    match (soft, hard) {
        (None, Some(_)) => Err(format!("= {}: the soft limit is above the hard one", shown(text))),
        (Some(s), Some(h)) if s > h => Err(format!("= {}: the soft limit is above the hard one", shown(text))),
        both => Ok(both),
    }
}

fn sub_probe(reader: &mut Reader<'_>, name: &str, role: Role) -> Option<ProbeOverride> {
    let mut inner = reader.table(name)?;
    probes::probe(&mut inner, role)
}

/// Unknown names and circles in `after`.
fn order(path: &Path, all: &[ServiceOverride], ledger: &mut Ledger) {
    let lines: BTreeMap<&str, usize> = all.iter().map(|table| (table.name.as_str(), table.line)).collect();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for table in all {
        let names = table.after.iter().flatten().map(String::as_str);
        for name in names.clone() {
            if !lines.contains_key(name) && !BUILT_IN.contains(&name) {
                let known = lines.keys().copied().filter(|known| *known != table.name).chain(BUILT_IN.iter().copied());
                let hint =
                    unknown::nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message =
                    format!("`service.{}.after` names {}, which is no service{hint}", table.name, shown(name));
                ledger.mistake(at(path, table.line), message);
            }
        }
        after.insert(&table.name, names.collect());
    }
    if let Err(cycle) = graph::order(&after) {
        let line = cycle.0.first().and_then(|name| lines.get(name.as_str())).copied().unwrap_or(0);
        ledger.mistake(at(path, line), cycle.to_string());
    }
}

/// Services that the settings leave out for certain.
fn switched_off(settings: &Settings, all: &[ServiceOverride]) -> BTreeSet<String> {
    let mut off: BTreeSet<String> =
        all.iter().filter(|table| table.enabled == Some(false)).map(|table| table.name.clone()).collect();
    for (name, is_off) in [
        ("api", !settings.get(&keys::API)),
        ("gateway", !settings.get(&keys::GATEWAY)),
        ("ttyd", settings.get(&keys::TTYD) == "off"),
        ("agents", settings.get(&keys::ENSURE) == "off"),
    ] {
        if is_off {
            off.insert(name.to_owned());
        }
    }
    off
}
