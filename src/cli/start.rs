//! The start: probe, plan, apply, supervise, for `entrypoint` and `local` alike.
//!
//! Everything that may be wrong with the configuration is found before anything is touched (exit 78). A stop
//! signal between two steps ends the start; the steps themselves are short.

use crate::{
    agents::{catalogue::Catalogue, sandbox},
    apply,
    cli::{Context, output},
    control::{
        peer::Policy,
        protocol::{self, Phase},
        rundir,
        server::Server,
        terminal,
    },
    exit::Exit,
    layout::Layout,
    plan::{self, Plan, landlock::OwnSandbox, services::Found},
    probe::{self, Depth, Facts, UsagePaths},
    settings::{Settings, keys},
    supervise::{
        answer::{Told, micros},
        driver::{self, Replan, Replanned, Setup},
        launch::Surroundings,
        log,
        machine::StopPlan,
        orphans::Rules,
        watch::{Thresholds, Watch},
    },
    sys::{
        self,
        fs::{Dir, write_atomic},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What the preparation made, and what the supervisor needs of it.
#[derive(Debug)]
pub(super) struct Prepared {
    settings: Settings,
    layout: Layout,
    plan: Plan,
    facts: Arc<Facts>,
    phases: Vec<Phase>,
    warnings: Vec<String>,
    origin: Instant,
}

/// Probe, plan, apply. `Err`: the exit code, everything said.
pub(super) fn prepare(context: &Context, origin: Instant) -> Result<Prepared, Exit> {
    let mut phases = Stopwatch::new(origin);
    let asking = probe::Asking::start_under(&context.root);
    let (settings, layout) = context.load()?;
    log::init(&settings);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let wanted = apply::Wanted::new(&settings, &layout).map_err(|error| {
        output::error(&error.to_string());
        Exit::CONFIG
    })?;
    phases.lap("settings");
    interrupted()?;
    let facts = probe::finish(asking, &context.root, &layout, &context.env, Depth::Start);
    phases.lap("probe");
    let plan = make_plan(context, &settings, &layout, &facts, wanted.catalogue());
    phases.lap("plan");
    banner(&layout, &facts, &plan);
    interrupted()?;
    let warnings = apply_files(&wanted)?;
    publish(&layout, &plan);
    phases.lap("apply");
    interrupted()?;
    Ok(Prepared { settings, layout, plan, facts: Arc::new(facts), phases: phases.laps, warnings, origin })
}

/// Supervises what the preparation planned.
pub(super) fn supervise(context: &Context, prepared: Prepared) -> Exit {
    let Prepared { settings, layout, mut plan, facts, phases, warnings, origin } = prepared;
    let (server, mut warnings) = match control(context, &settings, &layout) {
        Ok(server) => (Some(server), warnings),
        Err(reason) => {
            tracing::warn!(reason, "no control socket: status, health and the gateway cannot ask");
            (None, [warnings, vec![format!("no control socket: {reason}")]].concat())
        }
    };
    if let Some(server) = &server
        && let Err(error) = terminal::place(&mut plan.services, server.path(), owner(&settings))
    {
        tracing::warn!(%error, "no folder for the terminal's socket");
        warnings.push(format!("terminal: {error}"));
    }
    warnings.extend(plan.warnings());
    let run_dir = server.as_ref().and_then(|server| server.path().parent().map(Path::to_path_buf));
    let socket = server.as_ref().map(|server| server.path().to_path_buf());
    let told = Told {
        concurrency: shown(&plan),
        phases,
        warnings,
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default(),
        ..Told::default()
    };
    let setup = Setup {
        specs: plan.services.clone(),
        around: around(&settings, &plan, socket.as_deref()),
        stop: stop(&settings),
        server,
        run_dir,
        prefix: settings.get(&keys::LOG_PREFIX),
        watch: watch(context, &settings, Arc::clone(&facts)),
        replan: replan(context, socket, facts),
        told,
        termination_log: settings.get_opt(&keys::TERMINATION_LOG),
        origin,
    };
    // Agents may run as the same user: they must not read the password in /proc/1/environ, nor trace PID 1.
    if let Err(error) = sys::process::hide() {
        tracing::warn!(%error, "processes of the same user can read the init's environment");
    }
    match driver::run(setup) {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&format!(
                "the supervisor cannot start: {error}; look at pids and descriptors: skill-init probe"
            ));
            Exit::OS
        }
    }
}

/// Prepares, then becomes the bare init of `command`: the terminal, job control and exit status are its own.
pub(super) fn foreground(prepared: Prepared, command: Vec<String>) -> Exit {
    let mut env = prepared.plan.environment.clone();
    // An operator's own command gets what the operator gave the container.
    env.extend(prepared.plan.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().clone())));
    let argv = ["skill-init".to_owned(), "--".to_owned()].into_iter().chain(command);
    let c = |text: String| std::ffi::CString::new(text).unwrap_or_default();
    let argv: Vec<_> = argv.map(c).collect();
    let envp: Vec<_> = env.into_iter().map(|(name, value)| c(format!("{name}={value}"))).collect();
    if interrupted().is_err() {
        return Exit::signal(libc::SIGTERM);
    }
    let error = sys::process::exec_with(c"/proc/self/exe", &argv, &envp);
    output::error(&format!("cannot become the bare init: {error}"));
    Exit::OS
}

fn interrupted() -> Result<(), Exit> {
    // A HUP or USR1 this early asks for nothing that the start does not do anyway.
    match sys::early::stop_requested() {
        Some(signal) => {
            output::error(&format!("stopped by signal {signal} during the start"));
            Err(Exit::OK)
        }
        None => Ok(()),
    }
}

fn control(context: &Context, settings: &Settings, layout: &Layout) -> Result<Server, String> {
    let uid = nix::unistd::geteuid().as_raw();
    let explicit = settings.get_opt(&keys::SOCKET);
    let paths = rundir::candidates(explicit.as_deref(), &layout.mode, context.env.get("XDG_RUNTIME_DIR"), uid);
    let user = plan::user(settings).filter(|_| uid == 0);
    let policy = Policy {
        own_uid: uid,
        own_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        readers: user.iter().map(|(uid, _)| *uid).collect(),
        from_inside: settings.get(&keys::CONTROL_FROM_INSIDE),
    };
    match Server::open(&paths, user.map(|(_, gid)| gid), policy) {
        Ok((server, _)) => Ok(server),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

/// Uid and gid of the services.
fn owner(settings: &Settings) -> (u32, u32) {
    let own = (nix::unistd::geteuid(), nix::unistd::getegid());
    plan::user(settings).filter(|_| own.0.is_root()).unwrap_or((own.0.as_raw(), own.1.as_raw()))
}

fn around(settings: &Settings, plan: &Plan, socket: Option<&Path>) -> Surroundings {
    let mut env = plan.environment.clone();
    if let Some(socket) = socket {
        env.insert(keys::SOCKET.spec.env.to_owned(), socket.display().to_string());
    }
    let root = nix::unistd::geteuid().is_root();
    Surroundings {
        env,
        secrets: plan.secrets.clone(),
        notify_socket: None,
        user: settings.get_opt(&keys::USER).filter(|_| root),
    }
}

fn stop(settings: &Settings) -> StopPlan {
    StopPlan { grace: settings.get(&keys::STOP_GRACE), drain: settings.get(&keys::DRAIN) }
}

fn watch(context: &Context, settings: &Settings, facts: Arc<Facts>) -> Watch {
    let percent = |value: i64| u64::try_from(value).unwrap_or(100);
    Watch {
        every: settings.get(&keys::TICK),
        paths: Arc::new(UsagePaths::of(&context.root, facts.cgroups.clone())),
        facts,
        orphans: Rules { end: settings.get(&keys::ORPHANS) == "end", age: settings.get(&keys::ORPHAN_AGE) },
        thresholds: Thresholds {
            warn: percent(settings.get(&keys::BUDGET_WARN)),
            unready: percent(settings.get(&keys::BUDGET_UNREADY)),
        },
    }
}

/// What SIGHUP and limits that move do: everything again, but for what a running process cannot change.
fn replan(context: &Context, socket: Option<PathBuf>, start: Arc<Facts>) -> Replan {
    let context = context.clone();
    Arc::new(move |insist| {
        let Some((settings, layout)) = context.load_again(insist)? else { return Ok(None) };
        let wanted = apply::Wanted::new(&settings, &layout).map_err(|error| error.to_string())?;
        let imported = apply::import(&wanted);
        imported.done().iter().for_each(|line| tracing::info!("{line}"));
        imported.warnings().iter().for_each(|line| tracing::warn!("{line}"));
        // Not probe::run: it makes a child, and here the supervisor reaps; and the runs must not count against themselves.
        let facts = start.under_todays_limits(&context.root);
        let mut plan = make_plan(&context, &settings, &layout, &facts, wanted.catalogue());
        publish(&layout, &plan);
        if let Some(socket) = &socket {
            // Said at the start already.
            let _ = terminal::place(&mut plan.services, socket, owner(&settings));
        }
        Ok(Some(Replanned {
            stop: stop(&settings),
            watch: watch(&context, &settings, Arc::clone(&start)),
            specs: plan.services.clone(),
            around: around(&settings, &plan, socket.as_deref()),
            concurrency: shown(&plan),
        }))
    })
}

/// The plan without the files; `apply` looks at those itself.
pub(super) fn make_plan(
    context: &Context,
    settings: &Settings,
    layout: &Layout,
    facts: &Facts,
    catalogue: &Catalogue,
) -> Plan {
    let own = match catalogue.landlock_engine().map(|engine| (engine, sandbox::full_auto_at_start(layout, engine))) {
        Some((engine, Some(true))) => OwnSandbox::Works(&engine.name),
        Some((engine, Some(false))) => OwnSandbox::Fails(&engine.name),
        _ => OwnSandbox::Unknown,
    };
    plan::make(&context.env.0, settings, layout, facts, own, &found(context, settings, layout))
}

/// What decides about services: looked up, never guessed.
fn found(context: &Context, settings: &Settings, layout: &Layout) -> Found {
    let path = context.env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let in_path = |name: &str| path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| executable(file));
    let own_program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let beside = own_program.parent().map(|dir| dir.join("skill-api")).filter(|file| executable(file));
    let ttyd = terminal::find_ttyd(settings, layout, path).unwrap_or_else(|mistake| {
        tracing::warn!("{mistake}; no terminal");
        None
    });
    Found {
        uvicorn: layout.app.join("server/main.py").is_file().then(|| in_path("uvicorn")).flatten(),
        skill_api: beside.or_else(|| in_path("skill-api")),
        ttyd: ttyd.map(|ttyd| terminal::ttyd_command(&ttyd, &own_program, Path::new(terminal::PLANNED))),
        own_program,
    }
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn shown(plan: &Plan) -> protocol::Concurrency {
    let concurrency = &plan.concurrency;
    protocol::Concurrency {
        max_concurrent: concurrency.max_concurrent,
        max_queue: concurrency.queue,
        binds: concurrency.binding.to_string(),
        advice: concurrency.advice(),
    }
}

/// The lines that the old start printed, with the values that are really used.
fn banner(layout: &Layout, facts: &Facts, plan: &Plan) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        kernel = %facts.kernel.release,
        landlock = plan.landlock.enabled,
        landlock_reason = plan.landlock.reason,
        data = %layout.data.display(),
        cache = %layout.cache.display(),
        agent_home = %layout.agent_home.display(),
        npm_prefix = %layout.npm_prefix.display(),
        worker = plan.worker.name(),
        concurrency = plan.concurrency.summary(),
        "skill-init"
    );
}

/// Phases of the start, one lap each.
struct Stopwatch {
    last: Instant,
    laps: Vec<Phase>,
}

impl Stopwatch {
    fn new(origin: Instant) -> Self {
        Self { last: origin, laps: Vec::new() }
    }
    fn lap(&mut self, name: &str) {
        let took: Duration = self.last.elapsed();
        self.last = Instant::now();
        self.laps.push(Phase { name: name.to_owned(), microseconds: micros(took) });
    }
}

/// Folders, files, trust and credentials. What failed and can be done without is a warning.
fn apply_files(wanted: &apply::Wanted) -> Result<Vec<String>, Exit> {
    let report = apply::prepare(wanted);
    report.done().iter().for_each(|line| tracing::info!("{line}"));
    let warnings = report.warnings();
    let Some(exit) = report.fatal() else {
        warnings.iter().for_each(|line| tracing::warn!("{line}"));
        return Ok(warnings);
    };
    // Whatever level is logged: this is why there is no container.
    warnings.iter().for_each(|line| tracing::error!("{line}"));
    tracing::error!(code = exit.0, "the start ends here: without what is required nothing could run");
    Err(exit)
}

/// `<data>/concurrency.json`: how a running worker learns of a plan that changed. Written only where it differs.
fn publish(layout: &Layout, plan: &Plan) {
    let value = serde_json::json!({
        "max_concurrent": plan.concurrency.max_concurrent,
        "max_queue_size": plan.concurrency.queue,
        "binds": plan.concurrency.binding.to_string(),
        "advice": plan.concurrency.advice(),
    });
    let path = layout.concurrency();
    let text = format!("{value:#}\n");
    let name = path.file_name().unwrap_or_default();
    let same =
        Dir::open(&layout.data).and_then(|dir| dir.read(name, 4096)).is_ok_and(|(old, _)| old == text.as_bytes());
    if !same && let Err(error) = write_atomic(&path, text.as_bytes(), 0o644) {
        tracing::warn!(%error, "a running worker does not learn of the new plan");
    }
}
