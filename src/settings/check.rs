//! What single values cannot show: ports that clash, times that do not fit, credentials that miss.

use super::{
    keys,
    load::Settings,
    mistake::Ledger,
    registry::{Key, Spec},
    resolve::{Flat, at},
    value::{Origin, Value},
};
use std::{net::SocketAddr, path::Path, str::FromStr, time::Duration};

/// Checks the settings against each other; a child does not see every secret.
pub(super) fn check(settings: &Settings, is_child: bool, ledger: &mut Ledger) {
    ports(settings, ledger);
    credentials(settings, is_child, ledger);
    times(settings, ledger);
    budgets(settings, ledger);
    engines(settings, ledger);
}

/// A warning for a configuration file that others may read and that holds secrets itself.
pub(super) fn file_mode(path: &Path, mode: u32, flat: &Flat, ledger: &mut Ledger) {
    for (env, line) in flat.plain_secrets().filter(|_| mode & 0o077 != 0) {
        let message = format!("holds the secret {env} and its mode is {mode:o}; chmod 600 it, or use {env}_FILE");
        ledger.warning(at(path, line), message);
    }
}

/// Where the person who must mend it finds the value.
fn place(settings: &Settings, spec: &Spec) -> String {
    match settings.lookup(spec) {
        Some((_, Origin::Env(name))) => format!("env {name}"),
        Some((_, Origin::File { line })) => at(settings.file.as_deref().unwrap_or(Path::new("")), *line),
        _ => format!("default of {}", spec.env),
    }
}

fn is_set(settings: &Settings, spec: &Spec) -> bool {
    settings.lookup(spec).is_some_and(|(value, _)| *value != Value::Unset)
}

fn ports(settings: &Settings, ledger: &mut Ledger) {
    let mut taken: Vec<(u16, String, &'static Spec)> = Vec::new();
    let mut claim = |port: Option<u16>, host: String, spec: &'static Spec, ledger: &mut Ledger| {
        let Some(port) = port else { return };
        let wild = |host: &str| matches!(host, "0.0.0.0" | "::" | "[::]");
        let clash = taken.iter().find(|(p, h, _)| *p == port && (*h == host || wild(h) || wild(&host)));
        if let Some((_, _, other)) = clash {
            // The value that somebody wrote is the one to mend, not the default that it meets.
            let written = |spec: &Spec| settings.lookup(spec).is_some_and(|(_, origin)| *origin != Origin::Default);
            let (mend, other) = if written(spec) { (spec, *other) } else { (*other, spec) };
            let message = format!("port {port} is taken by {} ({}); give each its own", other.env, other.key);
            ledger.mistake(place(settings, mend), message);
        }
        taken.push((port, host, spec));
    };
    let port = |key: &Key<i64>| settings.get_opt(key).and_then(|port| u16::try_from(port).ok());
    if settings.get(&keys::API) {
        claim(port(&keys::API_PORT), settings.get(&keys::API_HOST), keys::API_PORT.spec, ledger);
    }
    if settings.get(&keys::TTYD) != "off" {
        claim(port(&keys::TTYD_PORT), settings.get(&keys::TTYD_HOST), keys::TTYD_PORT.spec, ledger);
    }
    if settings.get(&keys::GATEWAY)
        && let Ok(address) = SocketAddr::from_str(&settings.get(&keys::HTTP_ADDR))
    {
        claim(Some(address.port()), address.ip().to_string(), keys::HTTP_ADDR.spec, ledger);
    }
}

fn credentials(settings: &Settings, is_child: bool, ledger: &mut Ledger) {
    let (user, password) = (keys::AUTH_USERNAME.spec, keys::AUTH_PASSWORD.spec);
    if settings.get_opt(&keys::AUTH_USERNAME).is_some_and(|name| name.contains(':')) {
        ledger.mistake(place(settings, user), "a user name with a colon cannot be sent by Basic Auth (RFC 7617)");
    }
    if !settings.get(&keys::AUTH_ENABLED) {
        if is_set(settings, password) {
            let message = format!("is set, but {} is not true: nothing is protected", keys::AUTH_ENABLED.spec.env);
            ledger.warning(place(settings, password), message);
        }
        return;
    }
    // An entry that was wrong has been reported and is unset; its origin still says that somebody tried.
    let missing = |spec: &Spec| settings.lookup(spec).is_some_and(|(v, o)| *v == Value::Unset && *o == Origin::Default);
    for (spec, hint) in [(user, String::new()), (password, format!(" (or {}_FILE)", password.env))] {
        if missing(spec) && !is_child && !ledger.mistakes.iter().any(|mistake| mistake.place.contains(spec.env)) {
            let message = format!("UI basic auth is enabled but {} is not set; set it{hint}", spec.env);
            ledger.mistake(place(settings, keys::AUTH_ENABLED.spec), message);
        }
    }
}

fn times(settings: &Settings, ledger: &mut Ledger) {
    let least = |key: &Key<Duration>, least: Duration, ledger: &mut Ledger| {
        // The slow tick may be off altogether.
        let off = |span: &Duration| span.is_zero() && key.spec.env == keys::TICK.spec.env;
        if settings.get_opt(key).is_some_and(|span| span < least && !off(&span)) {
            let message = format!("is too short; use at least {}", super::duration_text(least));
            ledger.mistake(place(settings, key.spec), message);
        }
    };
    least(&keys::STOP_GRACE, Duration::from_millis(100), ledger);
    least(&keys::TICK, Duration::from_millis(100), ledger);
    least(&keys::CHECK_TIMEOUT, Duration::from_millis(100), ledger);
    least(&keys::NPM_TIMEOUT, Duration::from_secs(1), ledger);
    least(&keys::RESTART_WINDOW, Duration::from_secs(1), ledger);
    let pair = |a: &Key<Duration>, b: &Key<Duration>| settings.get_opt(a).zip(settings.get_opt(b));
    if let Some((drain, grace)) = pair(&keys::DRAIN, &keys::STOP_GRACE)
        && !drain.is_zero()
        && drain >= grace
    {
        let message = format!(
            "the drain does not fit into the stop grace of {}; raise {}",
            super::duration_text(grace),
            keys::STOP_GRACE.spec.env
        );
        ledger.mistake(place(settings, keys::DRAIN.spec), message);
    }
    if let Some((initial, max)) = pair(&keys::BACKOFF, &keys::BACKOFF_MAX)
        && initial > max
    {
        let message = format!(
            "the first delay is longer than the greatest ({} = {})",
            keys::BACKOFF_MAX.spec.env,
            super::duration_text(max)
        );
        ledger.mistake(place(settings, keys::BACKOFF.spec), message);
    }
}

fn budgets(settings: &Settings, ledger: &mut Ledger) {
    if let Some((warn, unready)) = settings.get_opt(&keys::BUDGET_WARN).zip(settings.get_opt(&keys::BUDGET_UNREADY))
        && warn > unready
    {
        let message = format!(
            "warns at {warn} %, after readiness is lost at {unready} % ({}); lower it",
            keys::BUDGET_UNREADY.spec.env
        );
        ledger.mistake(place(settings, keys::BUDGET_WARN.spec), message);
    }
}

fn engines(settings: &Settings, ledger: &mut Ledger) {
    for key in [&keys::ENGINES, &keys::BOOTSTRAP_ENGINES] {
        let Some(list) = settings.get_opt(key) else { continue };
        let mut seen: Vec<&str> = Vec::new();
        for word in &list {
            if seen.contains(&word.as_str()) {
                ledger.mistake(place(settings, key.spec), format!("names `{word}` twice"));
            } else if (word == "all" || word == "none") && list.len() > 1 {
                ledger.mistake(
                    place(settings, key.spec),
                    format!("`{word}` stands alone; write `{word}` or a list of engines"),
                );
            }
            seen.push(word);
        }
    }
}
