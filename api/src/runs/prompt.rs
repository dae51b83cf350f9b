//! The prompt: the skill's own (`entrypoint.prompts.<engine>` or `.common`), else a default, rendered.

use crate::skills::Skill;
use minijinja::{Environment, UndefinedBehavior, context, value::Serde};
use serde_json::Value;
use std::path::Path;

const DEFAULT: &str = "Use the skill \"{{ skill_id }}\": read {{ skill_dir }}/SKILL.md and do what it says.

# Input
{{ input_prompt }}

# Parameters
{{ params_prompt }}

Work in {{ run_dir }}. End with the one JSON object that SKILL.md's output contract asks for.";

/// Steps of a template: some seconds.
const FUEL: u64 = 5_000_000;

/// Renders it; the error is the template's.
pub(super) fn render(
    skill: &Skill,
    engine: &str,
    input: &Value,
    parameter: &Value,
    run: &Path,
    skill_dir: &Path,
) -> Result<String, String> {
    let prompts = skill.entrypoint.get("prompts");
    let template = [engine, "common", "default"].iter().find_map(|key| prompts?.get(*key)?.as_str()).unwrap_or(DEFAULT);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    // A template that never ends would hold its thread for ever: no deadline reaches it.
    environment.set_fuel(Some(FUEL));
    let rendered = environment
        .render_str(
            template,
            context! {
                skill_id => skill.id.as_str(), skill_name => skill.name.as_str(), engine, input => Serde(input),
                parameter => Serde(parameter), params => Serde(parameter),
                input_prompt => lines(input), params_prompt => lines(parameter),
                run_dir => run.to_string_lossy(), skill_dir => skill_dir.to_string_lossy(),
            },
        )
        .map_err(|error| format!("entrypoint.prompts: {error}"))?;
    let rendered = rendered.trim().to_owned();
    // A prompt that begins with a dash would be read as an option.
    Ok(if rendered.starts_with('-') { format!("Prompt:\n{rendered}") } else { rendered })
}

/// What is wrong with a template's syntax, if anything.
pub(crate) fn problem(template: &str) -> Option<String> {
    Environment::new().template_from_str(template).err().map(|error| error.to_string())
}

fn lines(value: &Value) -> String {
    match value.as_object() {
        Some(map) if map.is_empty() => "(none)".to_owned(),
        Some(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) => format!("- {key}: {text}"),
                other => format!("- {key}: {other}"),
            })
            .collect::<Vec<_>>()
            .join("\n"),
        None => value.to_string(),
    }
}
