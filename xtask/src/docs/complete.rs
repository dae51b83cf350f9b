//! Shell completions from the command line's own definition.

use clap_complete::{Shell, generate};
use std::path::PathBuf;

/// `completions/`: bash, zsh, fish.
pub(super) fn files() -> Vec<(PathBuf, Vec<u8>)> {
    [(Shell::Bash, "skill-init.bash"), (Shell::Zsh, "_skill-init"), (Shell::Fish, "skill-init.fish")]
        .into_iter()
        .map(|(shell, name)| {
            let mut out = Vec::new();
            generate(shell, &mut skill_init::cli::command(), "skill-init", &mut out);
            (PathBuf::from("completions").join(name), out)
        })
        .collect()
}
