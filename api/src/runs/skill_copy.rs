//! The run's own copy of the skill, with the sections that tie it to this run. Blocking.

use super::{RunFolder, output_schema::Contract};
use crate::{files, skills::Skill};
use std::{fmt::Write, fs, io, path::PathBuf};

/// Copies to `<run>/.<engine>/skills/<id>` and appends to the copy's SKILL.md; the copy appears whole.
pub(super) fn copy(skill: &Skill, contract: &Contract, folder: &RunFolder, engine: &str) -> io::Result<PathBuf> {
    let target = folder.path().join(format!(".{engine}")).join("skills").join(&skill.id);
    files::remove_tree(&target)?;
    let coming = files::temporary(&target);
    let made = (|| {
        files::copy_tree(&skill.path, &coming)?;
        let document = coming.join("SKILL.md");
        let mut text = files::read_small_text(&document)?;
        text.push_str(&sections(contract, folder));
        files::write_atomic(&document, text.as_bytes())?;
        fs::rename(&coming, &target)
    })();
    if made.is_err() {
        // The error that counts is the first one.
        let _ = files::remove_tree(&coming);
    }
    made.map(|()| target)
}

fn sections(contract: &Contract, folder: &RunFolder) -> String {
    let mut out = String::from("\n\n## Runtime enforcement\n\n");
    out.push_str(
        "- Work only inside the current working directory.\n- Do not change anything below `.audit/`.\n\
         - Run to the end without asking: nobody answers questions in this mode.\n",
    );
    out.push_str("\n## Artifacts\n\n");
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "- Put every file that you produce below `{}/`.", folder.artifacts().display());
    for name in &contract.required_artifacts {
        let _ = writeln!(out, "- Required: `artifacts/{name}`");
    }
    out.push_str("\n## Output contract\n\n");
    out.push_str(
        "End with one JSON object as your last message, and nothing around it. Add `\"__SKILL_DONE__\": true` to it.\n",
    );
    if let Some(schema) = &contract.schema {
        let _ = writeln!(
            out,
            "It must satisfy this JSON Schema:\n\n```json\n{}\n```",
            serde_json::to_string_pretty(schema).unwrap_or_default()
        );
    }
    for key in &contract.file_properties {
        let _ = writeln!(out, "- `{key}` is the path of a file below `artifacts/`, relative to the working directory.");
    }
    out
}
