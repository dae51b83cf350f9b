//! `skill-init plan`: what a start would change, and why. Changes nothing.

use super::apply;
use crate::{
    apply::preview,
    cli::{Context, output},
    exit::Exit,
    plan::files::{FilesPlan, Need},
};
use serde_json::json;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init plan\n  skill-init plan --json | jq '.files.steps[].path'\n\n\
                        After skill-init apply the plan is empty. Exit: 0, or 78 if the configuration is wrong.")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let wanted = match apply::wanted(context) {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let files = preview(&wanted);
    if args.json {
        output::json(&json!({ "files": files }));
    } else {
        output::text(&text(&files));
    }
    Exit::OK
}

fn text(files: &FilesPlan) -> String {
    let mut out = String::new();
    if files.is_empty() {
        out.push_str("files: nothing would change\n");
    } else {
        let mut rows = vec![["CHANGE", "PATH", "WHY"].map(str::to_owned).to_vec()];
        rows.extend(files.steps.iter().map(|step| {
            let need = if step.need == Need::Required { " (required)" } else { "" };
            vec![step.action.words(), step.path.display().to_string(), format!("{}{need}", step.reason)]
        }));
        out.push_str(&output::table(&rows));
    }
    for note in &files.notes {
        out.push_str(&format!("left alone: {}: {}\n", note.path.display(), note.message));
    }
    out
}
