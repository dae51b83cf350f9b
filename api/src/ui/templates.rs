//! The templates, embedded and parsed once per language at their first use, and what they may call.
//!
//! Names end in `.html`, so that everything that is put into one is escaped.

use super::messages::{LANGUAGES, Language};
use crate::time::{Millis, rfc3339};
use minijinja::{
    Environment, Error, ErrorKind, Value,
    value::{Kwargs, Rest},
};
use skill_init::control::render;
use std::sync::OnceLock;

/// Every template: its name and its text.
const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("templates/base.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("load.html", include_str!("templates/load.html")),
    ("error.html", include_str!("templates/error.html")),
    ("skills.html", include_str!("templates/skills.html")),
    ("skills_table.html", include_str!("templates/skills_table.html")),
    ("skill.html", include_str!("templates/skill.html")),
    ("run_form.html", include_str!("templates/run_form.html")),
    ("file.html", include_str!("templates/file.html")),
    ("runs.html", include_str!("templates/runs.html")),
    ("runs_table.html", include_str!("templates/runs_table.html")),
    ("run.html", include_str!("templates/run.html")),
    ("run_view.html", include_str!("templates/run_view.html")),
    ("engines.html", include_str!("templates/engines.html")),
    ("engines_table.html", include_str!("templates/engines_table.html")),
    ("upgrade.html", include_str!("templates/upgrade.html")),
    ("models.html", include_str!("templates/models.html")),
];

/// The templates of a language, by its place in [`LANGUAGES`].
pub(super) fn of(language: usize) -> &'static Environment<'static> {
    static MADE: [OnceLock<Environment<'static>>; LANGUAGES.len()] = [const { OnceLock::new() }; LANGUAGES.len()];
    let [first, ..] = &LANGUAGES;
    let [made, ..] = &MADE;
    MADE.get(language).unwrap_or(made).get_or_init(|| make(LANGUAGES.get(language).unwrap_or(first)))
}

fn make(language: &'static Language) -> Environment<'static> {
    let mut environment = Environment::new();
    for (name, text) in TEMPLATES {
        // They are part of the program, and a test parses each.
        if let Err(error) = environment.add_template(name, text) {
            tracing::error!(name, %error, "a template cannot be used");
        }
    }
    environment.add_function("t", move |key: &str, arguments: Kwargs| fill(language.text(key), &arguments));
    environment.add_filter("time", |at: Millis| {
        let text = rfc3339(at);
        let short = text.get(..19).unwrap_or(&text).replace('T', " ");
        Value::from_safe_string(format!("<time datetime=\"{text}\">{short} UTC</time>"))
    });
    environment.add_filter("size", render::bytes);
    environment.add_filter("span", |ms: i64| render::duration(u64::try_from(ms).unwrap_or_default()));
    environment.add_filter("q", percent);
    environment.add_filter("percent_of", |part: u64, whole: u64| (part * 100).checked_div(whole).unwrap_or(0).min(100));
    environment.add_function("query", query);
    environment
}

/// Puts `name=value` into the holes `{name}`.
fn fill(text: &str, arguments: &Kwargs) -> Result<String, Error> {
    let mut out = text.to_owned();
    for name in arguments.args() {
        let value: Value = arguments.get(name)?;
        out = out.replace(&format!("{{{name}}}"), &value.to_string());
    }
    Ok(out)
}

/// Percent-encodes a value for a URL's path or query.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `query("a", 1, "b", "x")` -> `?a=1&b=x`; what is empty or none is left out.
fn query(pairs: Rest<Value>) -> Result<String, Error> {
    let mut out = String::new();
    for pair in pairs.chunks(2) {
        let [name, value] = pair else { return Err(Error::new(ErrorKind::MissingArgument, "query takes pairs")) };
        let text = value.to_string();
        if !value.is_none() && !value.is_undefined() && !text.is_empty() {
            out.push(if out.is_empty() { '?' } else { '&' });
            out.push_str(&format!("{name}={}", percent(&text)));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses_and_every_word_it_asks_for_is_there() {
        for (name, text) in TEMPLATES {
            assert!(of(0).get_template(name).is_ok(), "{name}: {:?}", of(0).get_template(name).err());
            for rest in text.split("t(\"").skip(1) {
                let key = rest.split('"').next().unwrap();
                // A key that ends in a dot is completed by the template.
                assert!(key.ends_with('.') || LANGUAGES[0].text(key) != key, "{name}: {key}");
            }
            assert!(!text.contains("style=") && !text.contains("<script>") && !text.contains("|safe"), "{name}");
        }
    }

    #[test]
    fn numbers_are_short_and_values_are_encoded() {
        let said = of(0).render_str("{{ 1536|size }}, {{ 184000|span }}, {{ -1|span }}", ()).unwrap();
        assert_eq!(said, "1.5 KiB, 3m 04s, 0ms");
        assert_eq!(percent("a b/&é"), "a%20b%2F%26%C3%A9");
    }
}
