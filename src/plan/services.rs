//! Which services run, and how: the built-in ones, tuned by their tables, and the user's own. Pure.
//!
//! | service | command | ready | essential |
//! | --- | --- | --- | --- |
//! | `gateway` | `skill-init gateway` | says so (sd_notify) | no |
//! | `api` | `SKILL_INIT_API_COMMAND`, else the Python worker, else `skill-api` | says so, or answers on its port | yes |
//! | `ttyd` | `ttyd ... skill-init tui` on a unix socket | runs | no |
//! | `agents` | `skill-init agents ensure` (`check` with SKILL_INIT_ENSURE=off), once | has ended | no |

use crate::{
    layout::Layout,
    settings::{
        Defaults, Settings, keys,
        service::{Essential, Limit, Probe, ProbeKind, Restart, ServiceKind, ServiceSpec},
        words,
    },
};
use std::{path::PathBuf, time::Duration};

/// What was found on the machine that decides about services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// This program, by a path that children can execute.
    pub own_program: PathBuf,
    /// uvicorn, where the application folder holds the Python worker.
    pub uvicorn: Option<PathBuf>,
    /// The embedded worker.
    pub skill_api: Option<PathBuf>,
    /// The whole command line of ttyd, where it is installed.
    pub ttyd: Option<Vec<String>>,
}

/// Which API worker is supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// `SKILL_INIT_API_COMMAND`.
    Custom,
    /// The Python worker of the image.
    Python,
    /// `skill-api`.
    Embedded,
    /// None: there is nothing to run.
    None,
    /// `SKILL_INIT_API` is off.
    Off,
}

impl Worker {
    /// The word of logs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom => "SKILL_INIT_API_COMMAND",
            Self::Python => "python",
            Self::Embedded => "skill-api",
            Self::None => "none",
            Self::Off => "off",
        }
    }
}

/// Which worker it will be, by the rule: command, Python, embedded.
pub fn worker(settings: &Settings, found: &Found) -> Worker {
    if !settings.get(&keys::API) {
        Worker::Off
    } else if settings.get_opt(&keys::API_COMMAND).is_some() {
        Worker::Custom
    } else if found.uvicorn.is_some() {
        Worker::Python
    } else if found.skill_api.is_some() {
        Worker::Embedded
    } else {
        Worker::None
    }
}

/// Secrets that the API worker needs: it checks the password and runs the engines' logins.
pub const API_SECRETS: &[&str] =
    &[keys::AUTH_PASSWORD.spec.env, keys::GEMINI_CLIENT_SECRET.spec.env, keys::OPENCODE_CLIENT_SECRET.spec.env];

/// Every service, in the order of their start. `nofile`: the soft limit that the worker needs.
pub fn services(settings: &Settings, layout: &Layout, found: &Found, nofile: Option<Limit>) -> Vec<ServiceSpec> {
    let defaults = Defaults::of(settings);
    let mut services = Vec::new();
    services.extend(gateway(settings, found, &defaults));
    services.extend(api(settings, layout, found, nofile, &defaults));
    services.extend(ttyd(settings, found, &defaults));
    services.push(agents(settings, found, &defaults));
    services.retain_mut(|spec| match settings.overrides.get(&spec.name) {
        Some(table) if table.enabled == Some(false) => false,
        Some(table) => {
            spec.tune(table);
            true
        }
        None => true,
    });
    // Only what is there can be waited for.
    let names: Vec<String> = services.iter().chain(&settings.services).map(|s| s.name.clone()).collect();
    // The agents last: they are the background, and what starts at the same moment shares the processors with them.
    let agents = services.iter().position(|spec| spec.name == "agents").map(|at| services.remove(at));
    services.extend(settings.services.iter().cloned());
    services.extend(agents);
    for spec in &mut services {
        spec.after.retain(|name| names.contains(name));
    }
    services
}

fn own(found: &Found, arguments: &[&str]) -> Vec<String> {
    [found.own_program.to_string_lossy().into_owned()]
        .into_iter()
        .chain(arguments.iter().map(|w| (*w).to_owned()))
        .collect()
}

fn said() -> Probe {
    Probe {
        kind: ProbeKind::SdNotify,
        start_period: Duration::ZERO,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 1,
    }
}

fn asked(kind: ProbeKind, start_period: u64) -> Probe {
    Probe {
        kind,
        start_period: Duration::from_secs(start_period),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 3,
    }
}

fn gateway(settings: &Settings, found: &Found, defaults: &Defaults) -> Option<ServiceSpec> {
    let health = settings.get(&keys::GATEWAY);
    // The terminal's door: ttyd's own socket, as its command line names it.
    let terminal = found
        .ttyd
        .as_ref()
        .filter(|_| terminal_wanted(settings, found))
        .and_then(|command| command.iter().skip_while(|word| *word != "--interface").nth(1).map(String::as_str));
    (health || terminal.is_some()).then(|| {
        let mut arguments = vec!["gateway"];
        if !health {
            arguments.push("--no-health");
        }
        arguments.extend(terminal.into_iter().flat_map(|socket| ["--terminal", socket]));
        let mut spec = ServiceSpec::new("gateway", own(found, &arguments), defaults);
        spec.secrets = vec!["UI_BASIC_AUTH_PASSWORD".to_owned()];
        spec.readiness = Some(said());
        spec.stop_grace = spec.stop_grace.min(Duration::from_secs(1));
        // What answers health must be the last to die of memory; it is small.
        spec.oom_score_adj = None;
        spec
    })
}

fn api(
    settings: &Settings,
    layout: &Layout,
    found: &Found,
    nofile: Option<Limit>,
    defaults: &Defaults,
) -> Option<ServiceSpec> {
    let port = u16::try_from(settings.get(&keys::API_PORT)).unwrap_or(8000);
    let host = settings.get(&keys::API_HOST);
    let http = || ProbeKind::Http { host: reachable(&host), port, path: "/".to_owned() };
    let tcp = || ProbeKind::Tcp { host: reachable(&host), port };
    let (command, ready, alive) = match worker(settings, found) {
        Worker::None | Worker::Off => return None,
        Worker::Custom => {
            let text = settings.get_opt(&keys::API_COMMAND).unwrap_or_default();
            // The settings were validated: it splits.
            (words(&text).unwrap_or_default(), asked(tcp(), 0), asked(tcp(), 60))
        }
        Worker::Python => {
            let uvicorn = found.uvicorn.as_ref().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
            let port = port.to_string();
            let command = [uvicorn.as_str(), "server.main:app", "--host", &host, "--port", &port];
            (command.map(str::to_owned).to_vec(), asked(http(), 0), asked(http(), 60))
        }
        Worker::Embedded => {
            let program = found.skill_api.as_ref().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
            (vec![program], said(), asked(http(), 30))
        }
    };
    let mut spec = ServiceSpec::new("api", command, defaults);
    spec.essential = Essential::Yes;
    spec.cwd = Some(layout.app.clone());
    spec.secrets = API_SECRETS.iter().map(|s| (*s).to_owned()).collect();
    spec.limits.extend(nofile);
    spec.readiness = Some(ready);
    spec.liveness = Some(alive);
    // The worker ends its runs within the stop; one second stays for the rest.
    let grace = settings.get(&keys::STOP_GRACE);
    spec.stop_grace =
        grace.saturating_sub(settings.get(&keys::DRAIN)).saturating_sub(Duration::from_secs(1)).max(grace / 4);
    if settings.get(&keys::ENSURE) == "block" {
        spec.after.push("agents".to_owned());
    }
    Some(spec)
}

/// Where a probe reaches a worker that listens on `host`.
fn reachable(host: &str) -> String {
    match host {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "::1".to_owned(),
        host => host.trim_matches(['[', ']']).to_owned(),
    }
}

fn terminal_wanted(settings: &Settings, found: &Found) -> bool {
    match settings.get(&keys::TTYD).as_str() {
        "on" => true,
        "off" => false,
        // The Python worker starts its own terminals; the gateway is the only way in.
        _ => worker(settings, found) != Worker::Python && settings.get(&keys::GATEWAY),
    }
}

fn ttyd(settings: &Settings, found: &Found, defaults: &Defaults) -> Option<ServiceSpec> {
    let command = found.ttyd.clone().filter(|_| terminal_wanted(settings, found))?;
    let mut spec = ServiceSpec::new("ttyd", command, defaults);
    spec.stop_grace = spec.stop_grace.min(Duration::from_secs(2));
    // Agents under the terminal die of memory before the worker does.
    spec.oom_score_adj = Some(200);
    Some(spec)
}

fn agents(settings: &Settings, found: &Found, defaults: &Defaults) -> ServiceSpec {
    let ensure = settings.get(&keys::ENSURE);
    // Without installing, the status file of the contract and the sandbox verdicts are still written. Best
    // effort: what could not be installed is in the report and never keeps a service from starting.
    let work = if ensure == "off" { "check" } else { "ensure" };
    let mut spec = ServiceSpec::new("agents", own(found, &["agents", work, "--best-effort"]), defaults);
    spec.kind = ServiceKind::Oneshot;
    spec.restart = Restart::Never;
    spec.oom_score_adj = Some(500);
    // npm is given 3 s to end when the container stops: it works in a folder that is thrown away.
    spec.stop_grace = settings.get(&keys::STOP_GRACE);
    if ensure != "block" {
        spec.after.push("api".to_owned());
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::Mode, settings::Environment};

    fn plan(env: &[(&str, &str)], found: &Found) -> Vec<ServiceSpec> {
        let env = Environment(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let settings = Settings::load(&env).unwrap();
        let layout = Layout::new(&settings, Mode::Container);
        services(&settings, &layout, found, None)
    }

    fn found() -> Found {
        Found {
            own_program: "/sbin/skill-init".into(),
            uvicorn: None,
            skill_api: Some("/sbin/skill-api".into()),
            ttyd: Some(["ttyd", "--interface", "/run/t/ttyd.sock"].map(str::to_owned).to_vec()),
        }
    }

    fn names(services: &[ServiceSpec]) -> Vec<&str> {
        services.iter().map(|s| s.name.as_str()).collect()
    }

    #[test]
    fn the_worker_is_the_command_then_python_then_the_embedded_one() {
        let python = Found { uvicorn: Some("/opt/venv/bin/uvicorn".into()), ..found() };
        let command = |env: &[(&str, &str)], found: &Found| {
            plan(env, found).into_iter().find(|s| s.name == "api").unwrap().command.join(" ")
        };
        assert_eq!(command(&[], &found()), "/sbin/skill-api");
        assert_eq!(
            command(&[("PORT", "9813")], &python),
            "/opt/venv/bin/uvicorn server.main:app --host 0.0.0.0 --port 9813"
        );
        assert_eq!(command(&[("SKILL_INIT_API_COMMAND", "node 'my app.js'")], &python), "node my app.js");
    }

    #[test]
    fn the_python_worker_starts_its_own_terminals() {
        let python = Found { uvicorn: Some("/opt/venv/bin/uvicorn".into()), ..found() };
        assert_eq!(names(&plan(&[], &python)), ["gateway", "api", "agents"]);
        assert_eq!(names(&plan(&[("SKILL_INIT_TTYD", "on")], &python)), ["gateway", "api", "ttyd", "agents"]);
    }

    #[test]
    fn the_gateway_publishes_the_terminal_exactly_where_it_runs() {
        let command = |env: &[(&str, &str)], found: &Found| {
            plan(env, found).into_iter().find(|s| s.name == "gateway").map(|s| s.command.join(" "))
        };
        let with = Some("/sbin/skill-init gateway --terminal /run/t/ttyd.sock".to_owned());
        let alone = Some("/sbin/skill-init gateway --no-health --terminal /run/t/ttyd.sock".to_owned());
        let without = Some("/sbin/skill-init gateway".to_owned());
        assert_eq!(command(&[], &found()), with);
        assert_eq!(command(&[("SKILL_INIT_TTYD", "off")], &found()), without);
        assert_eq!(command(&[], &Found { ttyd: None, ..found() }), without);
        assert_eq!(command(&[("SKILL_INIT_GATEWAY", "0")], &found()), None);
        assert_eq!(command(&[("SKILL_INIT_GATEWAY", "0"), ("SKILL_INIT_TTYD", "on")], &found()), alone);
    }

    #[test]
    fn installing_in_the_background_waits_for_the_worker_and_blocking_makes_it_wait() {
        let after = |env: &[(&str, &str)], name: &str| {
            plan(env, &found()).into_iter().find(|s| s.name == name).map(|s| s.after).unwrap_or_default()
        };
        assert_eq!(after(&[], "agents"), ["api"]);
        assert_eq!(after(&[("SKILL_INIT_ENSURE", "block")], "api"), ["agents"]);
        assert!(after(&[("SKILL_INIT_ENSURE", "block")], "agents").is_empty());
        assert!(after(&[("SKILL_INIT_ENSURE", "off")], "api").is_empty());
    }

    #[test]
    fn only_the_worker_and_the_gateway_get_the_password() {
        for spec in plan(&[], &found()) {
            let gets = spec.secrets.iter().any(|s| s == "UI_BASIC_AUTH_PASSWORD");
            assert_eq!(gets, ["api", "gateway"].contains(&spec.name.as_str()), "{}", spec.name);
        }
    }
}
