//! Names that the registry does not know: what was meant instead.
//!
//! `SKILL_INIT_*` is our name space, so an unknown one is a mistake. `SKILL_RUNNER_*` and `UI_*` belong to the
//! API worker as well, so those only warn. Kubernetes puts variables for every Service into every pod; a
//! Service called `skill-init` must not stop the container.

use super::{keys, load::Environment, mistake::Ledger, registry::Kind};

/// Says of every variable in our name spaces whether it is known.
pub(super) fn variables(env: &Environment, ledger: &mut Ledger) {
    for (name, value) in &env.0 {
        let ours = name.starts_with("SKILL_INIT_");
        // A slip can be in the first word as well: SKIL_INIT_USER, UI_BASICAUTH_ENABLED.
        if value.is_empty() || !(name.starts_with("SKIL") || name.starts_with("UI_")) || is_known(name) {
            continue;
        }
        if is_service_link(name, value) {
            continue;
        }
        let place = format!("env {name}");
        if let Some(base) = name.strip_suffix("_FILE").filter(|base| keys::ALL.iter().any(|spec| spec.env == *base)) {
            let message = format!("only secrets can be read from a file; set {base}");
            if ours {
                ledger.mistake(place, message)
            } else {
                ledger.warning(place, message)
            }
            continue;
        }
        let near = nearest(name, keys::ALL.iter().map(|spec| spec.env));
        match (ours, near) {
            (true, Some(near)) => ledger.mistake(place, format!("is not a setting; did you mean {near}?")),
            (true, None) => ledger.mistake(place, "is not a setting; `skill-init config` lists all of them"),
            (false, Some(near)) if distance(name, near) <= 3 => {
                ledger.warning(place, format!("is not a setting that skill-init knows; did you mean {near}?"));
            }
            (false, _) if name.starts_with("SKILL_RUNNER_") => {
                ledger.warning(place, "is not a setting that skill-init knows; it is passed on to the worker");
            }
            (false, _) => {}
        }
    }
}

/// Is a variable of this name a setting, or in the name space where all are?
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("SKILL_INIT_") || is_known(name)
}

fn is_known(name: &str) -> bool {
    keys::EXPORTED.contains(&name)
        || keys::ALL
            .iter()
            .any(|spec| spec.env == name || (spec.kind == Kind::Secret && name.strip_suffix("_FILE") == Some(spec.env)))
}

/// Docker's and Kubernetes' variables for a Service or link (`NAME_SERVICE_HOST`, `NAME_PORT_80_TCP_ADDR`, ...).
fn is_service_link(name: &str, value: &str) -> bool {
    let links = ["tcp://", "udp://", "sctp://"];
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && links.iter().any(|link| value.starts_with(link)))
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|kind| {
            name.rsplit_once(kind).is_some_and(|(front, back)| {
                ["", "_PROTO", "_PORT", "_ADDR"].contains(&back)
                    && front.rsplit_once("_PORT_").is_some_and(|(_, port)| port.parse::<u16>().is_ok())
            })
        })
}

/// Is there a setting whose file key begins with `section.`?
pub(super) fn is_section(section: &str) -> bool {
    sections().any(|known| known == section)
}

fn sections() -> impl Iterator<Item = &'static str> {
    keys::ALL.iter().filter_map(|spec| spec.key.split_once('.').map(|(section, _)| section)).chain(["service"])
}

/// The message for an unknown table.
pub(super) fn section(name: &str) -> String {
    match nearest(name, sections()) {
        Some(near) => format!("unknown table `[{name}]`; did you mean `[{near}]`?"),
        None => {
            let mut all: Vec<&str> = sections().collect();
            all.dedup();
            format!("unknown table `[{name}]`; the tables are {}", all.join(", "))
        }
    }
}

/// The message for a key that stands in no table.
pub(super) fn bare_key(name: &str) -> String {
    let by_variable = keys::ALL.iter().find(|spec| spec.env == name || spec.key == name);
    let by_last = || keys::ALL.iter().find(|spec| spec.key.split_once('.').is_some_and(|(_, last)| last == name));
    match by_variable.or_else(by_last).and_then(|spec| spec.key.split_once('.')) {
        Some((section, last)) => format!("`{name}` stands in no table; write `{last}` under `[{section}]`"),
        None => format!("unknown key `{name}`; every key stands in a table, such as `[ui]` or `[service.NAME]`"),
    }
}

/// The message for an unknown dotted key.
pub(super) fn key(key: &str) -> String {
    let (section, last) = key.split_once('.').unwrap_or(("", key));
    let by_variable = || keys::ALL.iter().find(|spec| spec.env == last).map(|spec| spec.key);
    let elsewhere =
        || keys::ALL.iter().map(|spec| spec.key).find(|known| known.split_once('.').is_some_and(|(_, l)| l == last));
    let same_table = keys::ALL.iter().filter_map(|spec| spec.key.split_once('.')).filter(|(s, _)| *s == section);
    let near = nearest(last, same_table.map(|(_, last)| last)).map(|last| format!("{section}.{last}"));
    match near.or_else(|| by_variable().map(str::to_owned)).or_else(|| elsewhere().map(str::to_owned)) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = keys::ALL
                .iter()
                .filter_map(|spec| spec.key.split_once('.'))
                .filter(|(s, _)| *s == section)
                .map(|(_, last)| last)
                .collect();
            format!("unknown key `{key}`; `[{section}]` takes {}", all.join(", "))
        }
    }
}

/// The known name that was most likely meant: a few letters away, or one that contains the other.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const PREFIXES: [&str; 3] = ["SKILL_INIT_", "SKILL_RUNNER_", "UI_"];
    let tail = |text: &str| {
        let rest = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        rest.to_ascii_uppercase().replace('-', "_")
    };
    let wanted = tail(name);
    if wanted.len() > 64 {
        return None; // no name of ours is so long, and the distance is quadratic
    }
    known
        .filter_map(|candidate| {
            let other = tail(candidate);
            let distance = strsim::osa_distance(&wanted, &other);
            let contained = wanted.len().min(other.len()) >= 4 && (other.contains(&wanted) || wanted.contains(&other));
            let allowed = if contained { usize::MAX } else { (wanted.len() / 3).max(1) };
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    strsim::osa_distance(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> (Vec<String>, Vec<String>) {
        let mut ledger = Ledger::default();
        variables(&Environment([(name.to_owned(), value.to_owned())].into()), &mut ledger);
        let words = |all: Vec<super::super::Mistake>| all.into_iter().map(|m| m.message).collect();
        (words(ledger.mistakes), words(ledger.warnings))
    }

    #[test]
    fn a_slip_in_our_own_name_space_is_a_mistake_with_the_right_name() {
        assert!(said("SKILL_INIT_STOP_GRCAE", "8s").0[0].contains("did you mean SKILL_INIT_STOP_GRACE"));
        assert!(said("SKILL_INIT_GRACE", "8s").0[0].contains("did you mean SKILL_INIT_STOP_GRACE"));
        assert!(said("SKILL_INIT_FROBNICATE", "8s").0[0].contains("lists all"));
        assert!(said("SKILL_INIT_USER_FILE", "/x").0[0].contains("only secrets"));
    }

    #[test]
    fn the_workers_name_space_only_warns() {
        let (mistakes, warnings) = said("SKILL_RUNNER_DATADIR", "/x");
        assert!(mistakes.is_empty() && warnings[0].contains("SKILL_RUNNER_DATA_DIR"), "{warnings:?}");
        assert!(said("SKILL_RUNNER_SOMETHING_ELSE_OF_LATER", "1").1[0].contains("passed on"));
        assert!(said("UI_BASICAUTH_ENABLED", "1").1[0].contains("UI_BASIC_AUTH_ENABLED"));
        assert_eq!(said("UI_THEME_OF_ANOTHER_PROGRAM", "1"), (vec![], vec![]));
        assert_eq!(said("UI_BASIC_AUTH_PASSWORD_FILE", "/x"), (vec![], vec![]));
    }

    #[test]
    fn a_kubernetes_service_of_our_name_is_no_mistake() {
        for (name, value) in [
            ("SKILL_INIT_SERVICE_HOST", "10.0.0.1"),
            ("SKILL_INIT_SERVICE_PORT", "8000"),
            ("SKILL_INIT_SERVICE_PORT_HTTP", "8000"),
            ("SKILL_INIT_PORT", "tcp://10.0.0.1:8000"),
            ("SKILL_INIT_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("SKILL_INIT_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("SKILL_RUNNER_PORT_8000_TCP_PROTO", "tcp"),
        ] {
            assert_eq!(said(name, value), (vec![], vec![]), "{name}");
        }
    }

    #[test]
    fn what_init_exports_is_known_to_its_own_children() {
        for name in keys::EXPORTED {
            assert_eq!(said(name, "1"), (vec![], vec![]), "{name}");
        }
    }
}
