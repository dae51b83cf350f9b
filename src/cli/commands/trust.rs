//! `skill-init trust`: the trust entries of run folders, for the engines that keep such a list.

use crate::{
    agents::{
        catalogue::Catalogue,
        trust::{Outcome, Store, TrustError},
    },
    cli::{Context, output},
    exit::Exit,
    settings::keys,
};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init trust add codex /data/runs/7f3a\n  \
                        skill-init trust remove gemini /data/runs/7f3a\n  \
                        skill-init trust gc codex --active /data/runs/7f3a\n  \
                        skill-init trust list gemini --json\n\n\
                        codex trusts the exact working directory (or its git root), gemini everything below a folder.\n\
                        Engines without a trust store are a no-op. Exit: 0 done or nothing to do, 1 failed, 2 no such engine.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Trust a folder
    Add {
        /// The engine
        engine: String,
        /// The folder
        path: PathBuf,
    },
    /// Forget a folder
    Remove {
        /// The engine
        engine: String,
        /// The folder; it need not exist any more
        path: PathBuf,
    },
    /// Forget every run folder that is not active
    Gc {
        /// The engine
        engine: String,
        /// The parent of the run folders [default: DATA/runs]
        path: Option<PathBuf>,
        /// A run folder that is in use; may be given more than once
        #[arg(long)]
        active: Vec<PathBuf>,
        /// Print the forgotten folders as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the entries
    List {
        /// The engine
        engine: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let (settings, layout) = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let catalogue = match Catalogue::load(settings.get_opt(&keys::CATALOGUE).as_deref()) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            output::error(&error.to_string());
            return Exit::CONFIG;
        }
    };
    let engine = match &args.action {
        Action::Add { engine, .. } | Action::Remove { engine, .. } => engine,
        Action::Gc { engine, .. } | Action::List { engine, .. } => engine,
    };
    let Some(known) = catalogue.get(engine) else {
        let names: Vec<&str> = catalogue.engines.iter().map(|engine| engine.name.as_str()).collect();
        output::error(&format!("no engine is called \"{engine}\"; known are {}", names.join(", ")));
        return Exit::USAGE;
    };
    let Some(how) = &known.trust else {
        if let Action::Gc { json: true, .. } | Action::List { json: true, .. } = args.action {
            output::json(&json!([]));
        }
        output::error(&format!("{engine} keeps no trust store: nothing to do"));
        return Exit::OK;
    };
    let store = Store::of(&layout);
    let done = match args.action {
        Action::Add { path, .. } => store.add(how, &path).map(|outcome| say(&outcome)),
        Action::Remove { path, .. } => store.remove(how, &path).map(|outcome| say(&outcome)),
        Action::Gc { path, active, json, .. } => {
            let runs = path.unwrap_or_else(|| layout.runs());
            store.gc(how, &runs, &active).map(|gone| match json {
                true => output::json(&gone),
                false => gone.iter().for_each(|path| output::line(path)),
            })
        }
        Action::List { json, .. } => store.list(how).map(|entries| match json {
            true => output::json(&entries),
            false => {
                let mut rows = vec![vec!["LEVEL".to_owned(), "FOLDER".to_owned()]];
                let level = |level: Option<String>| level.unwrap_or_else(|| "-".to_owned());
                rows.extend(entries.into_iter().map(|entry| vec![level(entry.level), entry.path]));
                output::text(&output::table(&rows));
            }
        }),
    };
    match done {
        Ok(()) => Exit::OK,
        Err(error) => {
            output::error(&failure(&error));
            Exit::FAILURE
        }
    }
}

fn say(outcome: &Outcome) {
    if let Outcome::Changed { kept: Some(path) } = outcome {
        output::error(&format!("the former content could not be used as it was; it is kept as {}", path.display()));
    }
}

fn failure(error: &TrustError) -> String {
    match error {
        TrustError::Fs(_) => format!("failed to {error}"),
        TrustError::Unusable { .. } => format!("{error}; skill-init apply moves it aside and writes it anew"),
        _ => error.to_string(),
    }
}
