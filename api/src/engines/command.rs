//! From the catalogue's words to an argument list. Pure.

use super::output::Format;
use skill_init::agents::catalogue::Engine;

/// What fills the placeholders.
#[derive(Debug, Clone, Copy)]
pub struct Fill<'a> {
    /// The verdict's flags.
    pub sandbox: &'a [String],
    /// Arguments of this run: configuration overrides.
    pub extra: &'a [String],
    /// The model, where asked for.
    pub model: Option<&'a str>,
    /// The prompt.
    pub prompt: &'a str,
}

/// How an engine's output is read.
pub fn format(engine: &str) -> Format {
    match engine {
        "codex" => Format::Codex,
        "opencode" | "kilo" => Format::Opencode,
        "gemini" => Format::Gemini,
        "claude" | "qwen" | "codebuddy" => Format::StreamJson,
        _ => Format::Text,
    }
}

/// Words that the catalogue leaves to the worker: output format and model, in the engine's own spelling.
fn own(engine: &Engine, model: Option<&str>) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    if engine.name == "gemini" && !engine.run.start.iter().any(|word| word == "--output-format") {
        words.extend(["--output-format", "json"]);
    }
    let template = engine.run.model.is_empty();
    if let (Some(model), true) = (model, template) {
        words.extend(["--model", model]);
    }
    words.into_iter().map(str::to_owned).collect()
}

/// The arguments of a first run.
pub fn start(engine: &Engine, fill: Fill<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let mut placed = false;
    for word in &engine.run.start {
        match word.as_str() {
            "{sandbox}" => {
                out.extend(own(engine, fill.model));
                out.extend_from_slice(fill.extra);
                out.extend_from_slice(fill.sandbox);
                placed = true;
            }
            "{model}" => {
                if let Some(model) = fill.model {
                    out.extend(engine.run.model.iter().map(|word| word.replace("{model}", model)));
                }
            }
            word => {
                if word == "{prompt}" && !placed {
                    out.extend(own(engine, fill.model));
                    out.extend_from_slice(fill.extra);
                    out.extend_from_slice(fill.sandbox);
                }
                out.push(word.replace("{prompt}", fill.prompt));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use skill_init::agents::catalogue::Catalogue;

    fn argv(engine: &str, sandbox: &[&str], model: Option<&str>) -> String {
        let sandbox: Vec<String> = sandbox.iter().map(|s| (*s).to_owned()).collect();
        start(
            Catalogue::built_in().get(engine).unwrap(),
            Fill { sandbox: &sandbox, extra: &[], model, prompt: "do {model} it" },
        )
        .join("|")
    }

    #[test]
    fn every_engine_gets_its_words() {
        assert_eq!(
            argv("codex", &["--sandbox", "workspace-write"], Some("gpt-5")),
            "exec|--skip-git-repo-check|--json|--model|gpt-5|--sandbox|workspace-write|do {model} it"
        );
        assert_eq!(argv("opencode", &[], Some("p/m")), "run|--format|json|--model|p/m|do {model} it");
        assert_eq!(argv("gemini", &["--yolo"], None), "--output-format|json|--yolo|do {model} it");
        assert_eq!(argv("iflow", &["--yolo"], None), "--yolo|--thinking|-p|do {model} it");
    }
}
