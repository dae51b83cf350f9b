//! From the catalogue's words to an argument list. Pure.

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

/// Words that the engine's row asks for beside its own arguments: output and model.
fn own(engine: &Engine, model: Option<&str>) -> Vec<String> {
    let mut words = Vec::new();
    if engine.output_args.first().is_some_and(|first| !engine.run.start.contains(first)) {
        words.extend_from_slice(&engine.output_args);
    }
    if let (Some(model), true) = (model, engine.run.model.is_empty()) {
        words.extend(["--model".to_owned(), model.to_owned()]);
    }
    words
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
