//! Default configurations, their repair, and the trust of the runs folder.

use super::{Action, FilesPlan, Need, Observed, What, Wishes};
use crate::agents::{
    catalogue::{DefaultConfig, Format, Repair},
    edit::{
        Unusable,
        json::{Change, Object},
        toml,
    },
    trust::{self, Decision, Request},
};
use std::sync::Arc;

/// A configuration file as it shall be where it is missing, and how it is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its syntax.
    pub format: Format,
    /// What is written where nothing usable stands.
    pub content: String,
    /// The keys of an existing file that are put right.
    pub repairs: Vec<Repair>,
}

/// What to do with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigDecision {
    /// It is fine.
    Keep,
    /// Write this.
    Write {
        /// The whole content.
        text: String,
        /// Why.
        reason: String,
        /// The present content cannot be kept within it: keep a copy aside.
        unusable: bool,
    },
}

/// Decides, from the file's bytes (`None`: there is no file).
pub fn decide_config(config: &Config, now: Option<&[u8]>) -> ConfigDecision {
    let write =
        |text: &str, reason: String, unusable| ConfigDecision::Write { text: text.to_owned(), reason, unusable };
    let Some(bytes) = now else { return write(&config.content, "it is missing".to_owned(), false) };
    let anew = |why: Unusable| write(&config.content, format!("it {why}; the CLI cannot start with it"), true);
    match config.format {
        Format::Toml => match toml::Config::parse(bytes) {
            Ok(_) => ConfigDecision::Keep,
            Err(why) => anew(why),
        },
        Format::Json | Format::Jsonc => {
            let object = match Object::parse(bytes) {
                Ok(object) => object,
                Err(why) => return anew(why),
            };
            let strict = config.format == Format::Json;
            let changes = repairs(config, &object);
            match object.edited(&changes, strict) {
                Ok(None) => ConfigDecision::Keep,
                Ok(Some(text)) if changes.is_empty() => {
                    write(&text, "it has commas that its CLI refuses".to_owned(), true)
                }
                Ok(Some(text)) => {
                    let keys: Vec<&str> = changes.iter().map(Change::key).collect();
                    write(&text, format!("{}: a value that the service does not take", keys.join(", ")), false)
                }
                Err(why) => anew(why),
            }
        }
    }
}

/// What the table has repaired at every start; every other key stays.
fn repairs(config: &Config, settings: &Object<'_>) -> Vec<Change> {
    let defaults = Object::parse(config.content.as_bytes());
    let put_right = |repair: &Repair| {
        // An operator's asset may lack a value that will do: then there is nothing to put in its place.
        let default = defaults.as_ref().ok()?.get(&repair.key).filter(|value| repair.takes(Some(value)))?;
        let wrong = !repair.takes(settings.get(&repair.key));
        wrong.then(|| Change::Set(repair.key.clone(), default.clone()))
    };
    config.repairs.iter().filter_map(put_right).collect()
}

/// A default with its asset laid over it, where the asset is of the right form.
fn config(default: &DefaultConfig, seen: &Observed) -> Config {
    let asset = default.asset.as_ref().and_then(|path| seen.assets.get(path));
    let usable = asset.and_then(|bytes| std::str::from_utf8(bytes).ok()).filter(|text| match default.format {
        Format::Toml => toml::Config::parse(text.as_bytes()).is_ok(),
        Format::Json | Format::Jsonc => Object::parse(text.as_bytes()).is_ok(),
    });
    Config {
        format: default.format,
        content: usable.unwrap_or(&default.content).to_owned(),
        repairs: default.repairs.clone(),
    }
}

pub(super) fn plan(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    for engine in wishes.engines() {
        let trusted = engine.trust.as_ref().filter(|_| wishes.trust).map(|how| wishes.home(&how.file));
        for default in &engine.configs {
            let path = wishes.home(&default.path);
            // The trust step writes it, default content included.
            if trusted.as_ref() == Some(&path) && seen.runs_key.is_some() {
                continue;
            }
            let now = seen.at(&path);
            if let Some(why) = now.blocks_file(&path) {
                plan.note(path, why);
                continue;
            }
            let config = config(default, seen);
            if let ConfigDecision::Write { reason, .. } = decide_config(&config, now.bytes()) {
                plan.step(What::Config, path, Action::WriteConfig(Box::new(config)), reason, Need::BestEffort);
            }
        }
    }
}

pub(super) fn plan_trust(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    if !wishes.trust {
        return;
    }
    let runs = wishes.layout.runs();
    for engine in wishes.engines() {
        let Some(how) = &engine.trust else { continue };
        let path = wishes.home(&how.file);
        let Some(key) = &seen.runs_key else {
            plan.note(path, format!("{} is not UTF-8, so no trust entry can name it", runs.display()));
            continue;
        };
        let now = seen.at(&path);
        if let Some(why) = now.blocks_file(&path) {
            plan.note(path, why);
            continue;
        }
        let default = engine.configs.iter().find(|default| wishes.home(&default.path) == path);
        let mut below = vec![key.clone()];
        below.extend(runs.to_str().filter(|given| given != key).map(str::to_owned));
        let request = Request {
            add: Some(key.clone()),
            remove: Vec::new(),
            // At a start nothing runs yet: whatever a run left behind is stale.
            collect: Some((below, Vec::new())),
            default: default.map(|default| config(default, seen).content).unwrap_or_default(),
        };
        let reason = match (now.bytes(), trust::decide(how, now.bytes(), &request)) {
            (_, Ok(Decision::Keep)) => continue,
            (None, Ok(_)) => "it is missing".to_owned(),
            (Some(_), Ok(Decision::Write { unusable: true, .. })) => {
                "it holds what the CLI cannot load; a copy is kept aside".to_owned()
            }
            (Some(_), Ok(_)) => format!("{key} is not trusted, or runs that are gone still are"),
            (_, Err(why)) => {
                plan.note(path, format!("{why}; it is left alone"));
                continue;
            }
        };
        plan.step(What::Trust, path, Action::Trust(Arc::clone(how), Box::new(request)), reason, Need::BestEffort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;

    fn builtin(engine: &str) -> Config {
        config(&Catalogue::built_in().get(engine).unwrap().configs[0], &Observed::default())
    }
    fn text(engine: &str, now: Option<&str>) -> Option<(String, bool)> {
        match decide_config(&builtin(engine), now.map(str::as_bytes)) {
            ConfigDecision::Keep => None,
            ConfigDecision::Write { text, unusable, .. } => Some((text, unusable)),
        }
    }

    #[test]
    fn iflow_settings_are_normalised_and_everything_else_stays() {
        let fine = "{\n  \"selectedAuthType\": \"api_key\", // mine\n  \"baseUrl\": \"http://x\",\n  \"modelName\": \"m\"\n}\n";
        assert_eq!(text("iflow", Some(fine)), None);
        let odd = fine.replace("api_key", "iflow").replace("http://x", "ftp://x");
        let (now, aside) = text("iflow", Some(&odd)).unwrap();
        assert_eq!(now, fine.replace("api_key", "oauth-iflow").replace("http://x", "https://apis.iflow.cn/v1"));
        assert!(!aside);
        for falsy in ["null", "\"\"", "0", "false", "[]", "{}"] {
            assert!(text("iflow", Some(&fine.replace("\"api_key\"", falsy))).is_some(), "{falsy}");
        }
        let reason = match decide_config(&builtin("iflow"), Some(odd.as_bytes())) {
            ConfigDecision::Write { reason, .. } => reason,
            ConfigDecision::Keep => String::new(),
        };
        assert_eq!(reason, "selectedAuthType, baseUrl: a value that the service does not take");
        // An asset without such a value puts nothing in the place of another.
        let bare = Config { content: "{}".to_owned(), ..builtin("iflow") };
        assert_eq!(decide_config(&bare, Some(odd.as_bytes())), ConfigDecision::Keep);
    }

    #[test]
    fn what_does_not_parse_is_replaced_and_kept_aside() {
        for engine in ["gemini", "iflow", "opencode"] {
            for bad in ["", "{", "[]", "not json"] {
                assert_eq!(text(engine, Some(bad)), Some((builtin(engine).content, true)), "{engine} {bad}");
            }
        }
        assert_eq!(text("codex", Some("= bad")), Some((builtin("codex").content, true)));
        assert_eq!(text("codex", Some("")), None);
    }

    #[test]
    fn settings_with_comments_are_the_users_and_trailing_commas_go_where_the_cli_stumbles() {
        assert_eq!(text("gemini", Some("{\n  // mine\n  \"theme\": \"x\"\n}")), None);
        assert_eq!(text("gemini", Some("{\"a\": 1,}")), Some(("{\"a\": 1}".to_owned(), true)));
        assert_eq!(text("opencode", Some("{\"plugin\": [],}")), None);
    }

    #[test]
    fn an_operators_asset_replaces_the_default_where_it_parses() {
        let table = Catalogue::built_in();
        let default = &table.get("opencode").unwrap().configs[0];
        let mut seen = Observed::default();
        seen.assets.insert(default.asset.clone().unwrap(), b"{\"plugin\": []}".to_vec());
        assert_eq!(config(default, &seen).content, "{\"plugin\": []}");
        seen.assets.insert(default.asset.clone().unwrap(), b"{".to_vec());
        assert_eq!(config(default, &seen).content, default.content);
    }
}
