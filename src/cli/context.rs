//! What every command needs: environment, settings, layout, root.

use crate::{
    cli::output,
    exit::Exit,
    layout::{Layout, Mode, Root},
    settings::{Environment, QuietFiles, Settings, SystemFiles, keys},
};
use std::path::PathBuf;

/// The surroundings of a command, read once.
#[derive(Debug, Clone)]
pub struct Context {
    /// The environment of the process.
    pub env: Environment,
    /// The prefix of system paths.
    pub root: Root,
    /// `Some`: local mode under this folder, whatever the settings say (`--dir`).
    pub local_dir: Option<PathBuf>,
}

impl Context {
    /// The real surroundings.
    pub fn of_process() -> Self {
        Self { env: Environment::of_process(), root: Root::real(), local_dir: None }
    }

    /// The settings; prints every mistake on stderr and gives exit code 78 where there are any.
    pub fn settings(&self) -> Result<Settings, Exit> {
        Settings::load_from(&self.env, &SystemFiles::at(self.root.join("/"))).map_err(|mistakes| {
            for mistake in &mistakes.0 {
                output::error(&mistake.to_string());
            }
            output::error(&mistakes.to_string());
            Exit::CONFIG
        })
    }

    /// Settings and layout for a reload: without a word on stderr, every mistake in one line. `None`: a file is being
    /// written; with `insist` it is taken as it stands.
    pub fn load_again(&self, insist: bool) -> Result<Option<(Settings, Layout)>, String> {
        let files = QuietFiles::new(SystemFiles::at(self.root.join("/")));
        let settings = Settings::load_from(&self.env, &files);
        if files.restless() && !insist {
            return Ok(None);
        }
        let settings =
            settings.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let layout = self.layout(&settings);
        Ok(Some((settings, layout)))
    }

    /// The layout that goes with the settings.
    pub fn layout(&self, settings: &Settings) -> Layout {
        Layout::new(settings, self.mode(settings))
    }

    /// Settings and layout in one step.
    pub fn load(&self) -> Result<(Settings, Layout), Exit> {
        let settings = self.settings()?;
        let layout = self.layout(&settings);
        Ok((settings, layout))
    }

    fn mode(&self, settings: &Settings) -> Mode {
        if let Some(dir) = &self.local_dir {
            return Mode::Local(dir.clone());
        }
        let container = match settings.get(&keys::RUNTIME_MODE).as_str() {
            "container" => true,
            "local" => false,
            _ => {
                std::process::id() == 1
                    || ["/.dockerenv", "/run/.containerenv"].iter().any(|marker| self.root.join(marker).exists())
                    || self.env.get("KUBERNETES_SERVICE_HOST").is_some()
            }
        };
        if container { Mode::Container } else { Mode::Local(self.default_local_dir(settings)) }
    }

    /// `SKILL_RUNNER_LOCAL_ROOT`, else `$XDG_DATA_HOME/skill-runner`, else `~/.local/share/skill-runner`.
    fn default_local_dir(&self, settings: &Settings) -> PathBuf {
        settings
            .get_opt(&keys::LOCAL_ROOT)
            .or_else(|| self.env.get("XDG_DATA_HOME").map(|dir| PathBuf::from(dir).join("skill-runner")))
            .or_else(|| self.env.get("HOME").map(|dir| PathBuf::from(dir).join(".local/share/skill-runner")))
            .unwrap_or_else(|| PathBuf::from("/tmp/skill-runner"))
    }
}
