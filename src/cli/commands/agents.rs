//! `skill-init agents`: check, auth, ensure, upgrade, rollback, import, list, sandbox.

mod progress;
mod work;

use crate::{
    agents::{
        auth,
        catalogue::{Catalogue, Engine},
        check::{self, Checked, Surroundings},
        install::{Action, Report, Wanted},
        run::Interrupt,
        sandbox, status,
    },
    cli::{Context, output},
    exit::Exit,
    layout::Layout,
    settings::{Settings, keys},
    sys::utc::Utc,
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init agents check                  which CLIs run, and why not\n  \
                  skill-init agents ensure codex           install what is missing\n  \
                  skill-init agents upgrade codex@0.164.0  a given version\n  \
                  skill-init agents rollback codex         the generation before\n\n\
                  Exit codes: 0 as asked; 1 something does not run, or failed for the reason printed; 2 usage;\n\
                  73 a status file cannot be written; 78 wrong configuration; 143 stopped.")]
pub struct Args {
    /// Print JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Write the status file here instead of the data folder
    #[arg(long, global = true, value_name = "FILE")]
    status_file: Option<PathBuf>,
    /// Exit 0 also where a CLI is missing or an install failed: the status and the report say so
    #[arg(long, global = true)]
    best_effort: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run each CLI's --version; write agent_status.json
    Check,
    /// Command and credentials of each engine: ready or not, and why not; write agent_auth_status.json
    Auth,
    /// Install what is missing, mend what is broken
    Ensure {
        /// Engines; none: those of SKILL_INIT_ENGINES
        engines: Vec<String>,
    },
    /// Bring to the newest version, or to the given one
    Upgrade {
        /// ENGINE or ENGINE@VERSION; none: those of SKILL_INIT_ENGINES
        engines: Vec<String>,
    },
    /// Go back to the generation before
    Rollback {
        /// The engine
        engine: String,
    },
    /// Import credentials into the agent home
    Import {
        /// The folder to import from; none: SKILL_INIT_IMPORT_DIR
        dir: Option<PathBuf>,
        /// Overwrite even where the destination is fresher
        #[arg(long)]
        force: bool,
    },
    /// The table of engines
    List,
    /// Which engines are confined, by what, and with which flags; write agent_sandbox.json
    Sandbox {
        /// Probe again even where nothing changed
        #[arg(long)]
        fresh: bool,
    },
}

/// Everything that the subcommands share.
struct Scene<'a> {
    context: &'a Context,
    settings: Settings,
    layout: Layout,
    catalogue: Catalogue,
    words: Vec<String>,
    interrupt: Option<Interrupt>,
    json: bool,
    status_file: Option<PathBuf>,
    best_effort: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    if let Command::Import { dir, force } = args.command {
        return super::import::import_from(dir, force, args.json, context);
    }
    match Scene::new(&args, context) {
        Ok(scene) => scene.run(args.command),
        Err(exit) => exit,
    }
}

/// Root with SKILL_INIT_USER set (`docker exec` into such a container) works as that user, as the container's own
/// service does: what root would leave in the prefix, that user could never upgrade or remove.
fn become_user(settings: &Settings) -> Result<(), Exit> {
    use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
    let Some(user) = settings.get_opt(&keys::USER).filter(|_| geteuid().is_root()) else { return Ok(()) };
    let (uid, gid) = user.split_once(':').unwrap_or((&user, &user));
    let (Ok(uid), Ok(gid)) = (uid.parse().map(Uid::from_raw), gid.parse().map(Gid::from_raw)) else {
        return Ok(());
    };
    setgroups(&[gid]).and_then(|()| setgid(gid)).and_then(|()| setuid(uid)).map_err(|errno| {
        output::error(&format!("cannot become user {user} (SKILL_INIT_USER): {}", errno.desc()));
        Exit::OS
    })
}

impl<'a> Scene<'a> {
    fn new(args: &Args, context: &'a Context) -> Result<Self, Exit> {
        let (settings, layout) = context.load()?;
        let (catalogue, words) = Catalogue::of(&settings).map_err(|error| {
            output::error(&error.to_string());
            Exit::CONFIG
        })?;
        become_user(&settings)?;
        let interrupt = Interrupt::install().ok();
        let (json, status_file, best_effort) = (args.json, args.status_file.clone(), args.best_effort);
        Ok(Self { context, settings, layout, catalogue, words, interrupt, json, status_file, best_effort })
    }

    fn run(self, command: Command) -> Exit {
        match command {
            Command::Check => self.check(),
            Command::Auth => self.auth(),
            Command::Ensure { engines } => self.ensure(&engines),
            Command::Upgrade { engines } => self.upgrade(&engines),
            Command::Rollback { engine } => self.rollback(&engine),
            Command::List => self.list(),
            Command::Sandbox { fresh } => self.sandbox(fresh),
            // Handled before the scene was set.
            Command::Import { .. } => Exit::OK,
        }
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings {
            env: &self.context.env,
            layout: &self.layout,
            deadline: self.settings.get(&keys::CHECK_TIMEOUT),
            interrupt: self.interrupt.as_ref(),
        }
    }

    fn selected(&self) -> Vec<&Engine> {
        self.catalogue.select(&self.words).unwrap_or_default()
    }

    fn reported(&self) -> Vec<&Engine> {
        check::reported(&self.catalogue, &self.selected(), &self.layout)
    }

    /// Writes a file of the contract; a file that cannot be written is told and gives exit code 73.
    fn write(&self, path: &Path, value: &Value) -> Result<(), Exit> {
        status::write(path, value).map_err(|error| {
            output::error(&format!(
                "{} is not written: failed to {error}; skill-init apply makes the folders and says what is in the way",
                path.display()
            ));
            Exit::CANT_CREATE
        })
    }

    fn check_all(&self, engines: &[&Engine]) -> Vec<Checked> {
        let _line = progress::Waiting::new(format!("checking {} CLIs", engines.len()));
        check::all(engines, self.around())
    }

    /// Writes agent_status.json.
    fn write_status(&self, checked: &[Checked]) -> Result<(), Exit> {
        let path = self.status_file.clone().unwrap_or_else(|| self.layout.agent_status());
        self.write(&path, &status::status(checked))
    }

    /// Checks, writes agent_status.json and the sandbox verdicts.
    fn publish(&self, engines: &[&Engine], fresh: bool) -> (Vec<Checked>, sandbox::Verdicts, Result<(), Exit>) {
        let checked = self.check_all(engines);
        let written = self.write_status(&checked);
        let (verdicts, judged) = self.judge(engines, &checked, fresh);
        (checked, verdicts, written.and(judged))
    }

    /// Finds and publishes the sandbox verdicts.
    fn judge(&self, engines: &[&Engine], checked: &[Checked], fresh: bool) -> (sandbox::Verdicts, Result<(), Exit>) {
        let before = if fresh { None } else { sandbox::read(&self.layout) };
        let mode = sandbox::Mode::of(&self.settings.get(&keys::SANDBOX));
        let verdicts = {
            let _line = progress::Waiting::new("trying the sandboxes of the CLIs".to_owned());
            sandbox::judge(engines, checked, self.around(), mode, before.as_ref())
        };
        if before.as_ref() != Some(&verdicts)
            && let Err(error) = sandbox::publish(&self.layout, &verdicts)
        {
            output::error(&format!("failed to {error}"));
            return (verdicts, Err(Exit::CANT_CREATE));
        }
        (verdicts, Ok(()))
    }

    fn stopped(&self) -> Option<Exit> {
        self.interrupt.as_ref().filter(|i| i.happened()).map(|_| Exit::signal(15))
    }

    fn check(&self) -> Exit {
        let engines = self.reported();
        let (checked, verdicts, written) = self.publish(&engines, false);
        progress::warn(&verdicts);
        let mut rows = vec![["ENGINE", "PRESENT", "VERSION", "FROM", "WHY NOT"].map(str::to_owned).to_vec()];
        let mut all = serde_json::Map::new();
        for (engine, checked) in engines.iter().zip(&checked) {
            let effective = checked.effective();
            let version = effective.map(|(_, a, _)| a.line.clone()).unwrap_or_default();
            let source = effective.map_or("missing", |(.., source)| source);
            let reason = if effective.is_some() { String::new() } else { checked.reason(engine) };
            let present = effective.is_some();
            rows.push(vec![
                engine.name.clone(),
                present.to_string(),
                version.clone(),
                source.to_owned(),
                reason.clone(),
            ]);
            all.insert(
                engine.name.clone(),
                json!({
                    "present": present, "version": version,
                    "number": effective.map(|(_, a, _)| a.version.to_string()),
                    "source": source, "path": effective.map(|(path, ..)| path.display().to_string()),
                    "reason": reason, "elapsed_ms": effective.map(|(_, a, _)| a.elapsed.as_millis() as u64),
                }),
            );
        }
        self.show(&Value::Object(all), &rows);
        let wanted = self.selected();
        let missing = engines.iter().zip(&checked).any(|(engine, checked)| {
            wanted.iter().any(|w| w.name == engine.name)
                && engine.unavailable.is_none()
                && checked.effective().is_none()
        });
        self.stopped().unwrap_or(match written {
            Err(exit) => exit,
            Ok(()) if missing && !self.best_effort => Exit::FAILURE,
            Ok(()) => Exit::OK,
        })
    }

    fn auth(&self) -> Exit {
        let engines = self.reported();
        let checked = self.check_all(&engines);
        let now = Utc::now().0;
        let readiness: Vec<_> =
            engines.iter().zip(&checked).map(|(e, c)| auth::readiness(e, c, &self.layout, now)).collect();
        let value = status::auth(&engines, &checked, &readiness, &self.layout);
        let path = self.status_file.clone().unwrap_or_else(|| self.layout.agent_auth_status());
        let written = self.write(&path, &value);
        let mut rows = vec![["ENGINE", "READY", "WHY NOT, AND NOTES"].map(str::to_owned).to_vec()];
        let mut all = value;
        for (engine, readiness) in engines.iter().zip(&readiness) {
            let words: Vec<_> = readiness.reasons.iter().chain(&readiness.notes).cloned().collect();
            rows.push(vec![engine.name.clone(), readiness.ready.to_string(), words.join("; ")]);
            if let Some(entry) = all.get_mut(&engine.name).and_then(Value::as_object_mut) {
                entry.insert("reasons".to_owned(), json!(readiness.reasons));
                entry.insert("notes".to_owned(), json!(readiness.notes));
            }
        }
        self.show(&all, &rows);
        self.stopped().unwrap_or(written.err().unwrap_or(Exit::OK))
    }

    fn list(&self) -> Exit {
        let mut rows = vec![["ENGINE", "PACKAGE", "COMMAND", "STATUS", "ENSURED"].map(str::to_owned).to_vec()];
        let selected = self.selected();
        let mut all = serde_json::Map::new();
        for engine in &self.catalogue.engines {
            let ensured = selected.iter().any(|s| s.name == engine.name);
            let status = match (&engine.unavailable, engine.optional) {
                (Some(_), _) => "unavailable",
                (None, true) => "optional",
                (None, false) => "active",
            };
            rows.push(
                [&engine.name, &engine.package, &engine.binary, status, &ensured.to_string()]
                    .map(|c: &str| c.to_owned())
                    .to_vec(),
            );
            all.insert(
                engine.name.clone(),
                json!({
                    "package": engine.package, "binary": engine.binary, "status": status,
                    "reason": engine.unavailable, "ensured": ensured, "disk_mib": engine.disk_mib,
                    "credentials": engine.credentials.iter().map(|c| c.source.clone()).collect::<Vec<_>>(),
                    "configs": engine.configs.iter().map(|c| c.path.clone()).collect::<Vec<_>>(),
                }),
            );
        }
        self.show(&Value::Object(all), &rows);
        Exit::OK
    }

    fn sandbox(&self, fresh: bool) -> Exit {
        let engines = self.reported();
        let (_, verdicts, written) = self.publish(&engines, fresh);
        let mut rows = vec![["ENGINE", "CONFINED", "BY", "FLAGS", "EVIDENCE"].map(str::to_owned).to_vec()];
        for (name, v) in &verdicts.engines {
            let flags = if v.usable { v.flags.join(" ") } else { "not usable".to_owned() };
            let by = v.mechanism.clone().unwrap_or_else(|| "-".to_owned());
            rows.push(vec![name.clone(), v.confined.to_string(), by, flags, v.evidence.clone()]);
        }
        self.show(&json!(verdicts), &rows);
        self.stopped().unwrap_or(written.err().unwrap_or(Exit::OK))
    }

    fn show(&self, json: &Value, rows: &[Vec<String>]) {
        if self.json { output::json(json) } else { output::text(&output::table(rows)) }
    }

    /// One engine of the command line, or exit code 2 with the known names.
    fn wanted(&self, word: &str) -> Result<Wanted<'_>, Exit> {
        Wanted::parse(word, &self.catalogue).map_err(|reason| {
            output::error(&reason);
            Exit::USAGE
        })
    }

    fn verdict(&self, reports: &[Report], named: bool, written: Result<(), Exit>) -> Exit {
        // An engine that nobody can install fails nothing, unless it was asked for by name.
        let failed = |r: &Report| r.action == Action::Failed || (named && r.action == Action::Unavailable);
        self.stopped().unwrap_or(match written {
            _ if reports.iter().any(failed) && !self.best_effort => Exit::FAILURE,
            Err(exit) => exit,
            Ok(()) => Exit::OK,
        })
    }
}
