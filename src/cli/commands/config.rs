//! `skill-init config`: every setting with its value and origin, secrets redacted; or only the check.

use crate::{
    agents::catalogue::Catalogue,
    cli::{Context, examination::scrub::Scrub, output},
    exit::Exit,
    layout::{Layout, Mode},
    settings::{Origin, Settings, Spec, Value, keys},
};
use serde_json::{Map, Value as Json, json};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  skill-init config                 the table\n  \
                  skill-init config --set           only what is not a default\n  \
                  skill-init config --json          for programs\n  \
                  skill-init config --check         exit 0, or 78 with every mistake on stderr\n  \
                  SKILL_INIT_CONFIG=$PWD/init.toml skill-init config --check   before it is deployed")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only validate: print nothing if all is well
    #[arg(long, conflicts_with_all = ["json", "set"])]
    check: bool,
    /// Only what does not have its default
    #[arg(long)]
    set: bool,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Exit {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    for warning in &settings.warnings {
        output::error(&format!("warning: {warning}"));
    }
    if args.check {
        // The engines are a table of their own, and a start reads it with the settings.
        return Catalogue::of(&settings).map_or_else(
            |error| {
                output::error(&error.to_string());
                Exit::CONFIG
            },
            |_| Exit::OK,
        );
    }
    let layout = context.layout(&settings);
    if args.json {
        output::json(&json(&settings, &layout, args.set));
    } else {
        output::text(&text(&settings, &layout, args.set));
    }
    Exit::OK
}

/// The settings to show, with value and origin.
fn shown(settings: &Settings, only_set: bool) -> impl Iterator<Item = (&'static Spec, &Value, &Origin)> {
    keys::ALL
        .iter()
        .filter_map(|spec| settings.lookup(spec).map(|(value, origin)| (*spec, value, origin)))
        .filter(move |(_, _, origin)| !only_set || **origin != Origin::Default)
}

/// The value as it may be shown; `None` where it is unset. A command's argument or an address may hold a secret.
fn printable(value: &Value) -> Option<String> {
    match value {
        Value::Secret(secret) => Some(secret.to_string()),
        value => value.text().map(|text| Scrub::default().text(&text)),
    }
}

/// The folders that result from settings, mode and defaults.
fn paths(layout: &Layout) -> Vec<(&'static str, String)> {
    let show = |path: &std::path::Path| path.display().to_string();
    vec![
        ("data", show(&layout.data)),
        ("cache", show(&layout.cache)),
        ("agent_home", show(&layout.agent_home)),
        ("npm_prefix", show(&layout.npm_prefix)),
        ("uv_cache", show(&layout.uv_cache)),
        ("uv_venv", show(&layout.uv_venv)),
        ("app", show(&layout.app)),
        ("skills", show(&layout.skills)),
        ("import", show(&layout.import)),
        ("runs", show(&layout.runs())),
    ]
}

fn mode(layout: &Layout) -> &'static str {
    match layout.mode {
        Mode::Container => "container",
        Mode::Local(_) => "local",
    }
}

fn text(settings: &Settings, layout: &Layout, only_set: bool) -> String {
    let mut out = String::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut group = "";
    for (spec, value, origin) in shown(settings, only_set) {
        if spec.group != group {
            group = spec.group;
            let gap = if rows.is_empty() { vec![] } else { vec![Vec::new()] };
            rows.extend(gap);
            rows.push(vec![group.to_uppercase(), "VALUE".to_owned(), "ORIGIN".to_owned()]);
        }
        let mut value = printable(value).unwrap_or_else(|| "-".to_owned());
        if !spec.unit.is_empty() && value != "-" {
            value = format!("{value} {}", spec.unit);
        }
        rows.push(vec![spec.env.to_owned(), value, origin.to_string()]);
    }
    out.push_str(&output::table(&rows));
    let file = settings.file.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let mut rows = vec![vec![format!("PATHS IN {} MODE", mode(layout).to_uppercase()), String::new()]];
    rows.extend(paths(layout).into_iter().map(|(name, path)| vec![name.to_owned(), path]));
    rows.push(vec!["configuration file".to_owned(), file]);
    out.push('\n');
    out.push_str(&output::table(&rows));
    if !settings.services.is_empty() || !settings.overrides.is_empty() {
        out.push_str("\nSERVICES IN THE FILE\n");
        for service in &settings.services {
            let words = service.command.iter().map(String::as_str);
            let command = shlex::try_join(words).unwrap_or_else(|_| service.command.join(" "));
            out.push_str(&format!("{}  {}\n", service.name, Scrub::default().text(&command)));
        }
        for name in settings.overrides.keys() {
            out.push_str(&format!("{name}  (built in, tuned)\n"));
        }
    }
    out
}

fn json(settings: &Settings, layout: &Layout, only_set: bool) -> Json {
    let entries: Map<String, Json> = shown(settings, only_set)
        .map(|(spec, value, origin)| {
            let value = match value {
                Value::Bool(word) => json!(word),
                Value::Int(number) => json!(number),
                Value::Float(number) => json!(number),
                Value::List(words) => Scrub::default().value(json!(words)),
                value => json!(printable(value)),
            };
            let entry = json!({ "value": value, "origin": origin.to_string(), "key": spec.key, "unit": spec.unit });
            (spec.env.to_owned(), entry)
        })
        .collect();
    let paths: Map<String, Json> =
        paths(layout).into_iter().map(|(name, path)| (name.to_owned(), json!(path))).collect();
    let services = settings.services.iter().map(|s| json!({ "name": s.name, "command": s.command })).collect();
    json!({
        "mode": mode(layout),
        "file": settings.file,
        "settings": entries,
        "paths": paths,
        "services": Scrub::default().value(services),
        "tuned": settings.overrides.keys().collect::<Vec<_>>(),
        "warnings": settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
