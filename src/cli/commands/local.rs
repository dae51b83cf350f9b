//! `skill-init local`: the same start with everything under one folder, no root, no container.

use crate::{
    cli::{Context, output, start},
    exit::Exit,
    settings::{Settings, SystemFiles, keys},
};
use std::{path::PathBuf, time::Instant};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  skill-init local\n  skill-init local --dir ./runner\n  PORT=9000 skill-init local --dir ./runner"
)]
pub struct Args {
    /// The folder for data, cache, agent home and skills (SKILL_RUNNER_LOCAL_ROOT, ~/.local/share/skill-runner)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prepares and supervises under the folder.
pub fn run(args: Args, context: &Context) -> Exit {
    let context = match surroundings(args, context) {
        Ok(context) => context,
        Err((exit, mistake)) => {
            output::error(&mistake);
            return exit;
        }
    };
    match start::prepare(&context, Instant::now()) {
        Err(exit) => exit,
        Ok(prepared) => start::supervise(&context, prepared),
    }
}

/// Local, whatever markers of a container and whatever variables there are.
fn surroundings(args: Args, context: &Context) -> Result<Context, (Exit, String)> {
    let mut context = context.clone();
    if let Some(dir) = args.dir {
        let dir =
            std::path::absolute(&dir).map_err(|error| (Exit::USAGE, format!("--dir {}: {error}", dir.display())))?;
        context.local_dir = Some(dir);
    }
    context.env.0.insert(keys::RUNTIME_MODE.spec.env.to_owned(), "local".to_owned());
    let settings = Settings::load_tolerant(&context.env, &SystemFiles::at(context.root.join("/")));
    let named = context.local_dir.is_some() || settings.get_opt(&keys::LOCAL_ROOT).is_some();
    // What would be left is a name in /tmp, which is everybody's.
    if !named && ["XDG_DATA_HOME", "HOME"].iter().all(|name| context.env.get(name).is_none()) {
        let mistake = "HOME is not set, so there is no folder to start in: skill-init local --dir DIR, or set \
                    SKILL_RUNNER_LOCAL_ROOT";
        return Err((Exit::CONFIG, mistake.to_owned()));
    }
    Ok(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layout::{Mode, Root},
        settings::Environment,
    };

    fn folder(dir: Option<&str>, env: &[(&str, &str)]) -> Result<PathBuf, (Exit, String)> {
        let env = Environment(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let empty = tempfile::tempdir().unwrap();
        let context = Context { env, root: Root::at(empty.path()), local_dir: None };
        let context = surroundings(Args { dir: dir.map(PathBuf::from) }, &context)?;
        let (_, layout) = context.load().unwrap();
        match layout.mode {
            Mode::Local(dir) => Ok(dir),
            Mode::Container => panic!("a container"),
        }
    }

    #[test]
    fn the_command_is_local_whatever_the_variables_say_and_never_in_a_folder_of_everybody() {
        let container = ("SKILL_RUNNER_RUNTIME_MODE", "container");
        assert_eq!(folder(Some("/a"), &[container]), Ok("/a".into()));
        assert_eq!(folder(None, &[container, ("SKILL_RUNNER_LOCAL_ROOT", "/b")]), Ok("/b".into()));
        assert_eq!(folder(None, &[container, ("HOME", "/c")]), Ok("/c/.local/share/skill-runner".into()));
        let (exit, mistake) = folder(None, &[]).unwrap_err();
        assert!(exit == Exit::CONFIG && mistake.contains("--dir DIR"), "{mistake}");
    }
}
