//! What shall be so in a trust file, and what that does to its content. Pure.

use super::strictly_below;
use crate::agents::{
    catalogue::Trust,
    edit::{
        Unusable,
        json::{Change, Object},
        toml::Config,
    },
};
use serde_json::Value;

/// The level that gemini gives to a trusted folder.
const TRUST_FOLDER: &str = "TRUST_FOLDER";
/// Any other word makes every gemini command exit with 52.
const GEMINI_LEVELS: [&str; 3] = [TRUST_FOLDER, "TRUST_PARENT", "DO_NOT_TRUST"];

/// What shall be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// This folder is trusted. With it, a file that is missing is made and an unusable one replaced.
    pub add: Option<String>,
    /// These folders are not mentioned.
    pub remove: Vec<String>,
    /// No strict child of the first folders is mentioned, except the second.
    pub collect: Option<(Vec<String>, Vec<String>)>,
    /// Content of a file that is made, before the entry is added.
    pub default: String,
}

/// What to do with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is as it shall be.
    Keep,
    /// Write this.
    Write {
        /// The whole content.
        text: String,
        /// The present content cannot be kept within it: keep a copy aside.
        unusable: bool,
    },
}

/// Decides, from the file's bytes (`None`: there is no file). An unusable file is an error unless something
/// is to be added.
pub fn decide(kind: Trust, now: Option<&[u8]>, request: &Request) -> Result<Decision, Unusable> {
    let edited = now.map(|bytes| edit(kind, bytes, request));
    match (edited, &request.add) {
        (Some(Ok(decision)), _) => Ok(decision),
        (None, None) => Ok(Decision::Keep),
        (Some(Err(why)), None) => Err(why),
        (anew, Some(_)) => {
            let base = match (kind, request.default.as_str()) {
                (Trust::Gemini, "") => "{}\n",
                (_, text) => text,
            };
            match edit(kind, base.as_bytes(), request)? {
                Decision::Write { text, .. } => Ok(Decision::Write { text, unusable: anew.is_some() }),
                Decision::Keep => Ok(Decision::Write { text: base.to_owned(), unusable: anew.is_some() }),
            }
        }
    }
}

fn edit(kind: Trust, bytes: &[u8], request: &Request) -> Result<Decision, Unusable> {
    let stale = |path: &str| {
        let collected = request.collect.as_ref().is_some_and(|(below, active)| {
            below.iter().any(|folder| strictly_below(path, folder)) && !active.iter().any(|keep| keep == path)
        });
        (collected || request.remove.iter().any(|gone| gone == path)) && request.add.as_deref() != Some(path)
    };
    match kind {
        Trust::Codex => {
            let config = Config::parse(bytes)?;
            let remove: Vec<String> = config.trust().into_iter().map(|(path, _)| path).filter(|p| stale(p)).collect();
            Ok(match config.edited(request.add.as_deref(), &remove)? {
                None => Decision::Keep,
                Some(edited) => Decision::Write { text: edited.text, unusable: edited.repaired },
            })
        }
        Trust::Gemini => {
            let object = Object::parse(bytes)?;
            let mut changes = Vec::new();
            let mut repaired = object.has_trailing_commas();
            for member in object.members() {
                let known = member.value.as_str().is_some_and(|level| GEMINI_LEVELS.contains(&level));
                let added = request.add.as_deref() == Some(member.key.as_str());
                if stale(&member.key) || (!known && !added) {
                    changes.push(Change::Remove(member.key.clone()));
                }
                repaired |= !known;
            }
            if let Some(path) = &request.add {
                changes.push(Change::Set(path.clone(), Value::from(TRUST_FOLDER)));
            }
            Ok(match object.edited(&changes, true)? {
                None => Decision::Keep,
                Some(text) => Decision::Write { text, unusable: repaired },
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            add: Some("/data/runs".into()),
            collect: Some((vec!["/data/runs".into()], vec![])),
            ..Request::default()
        }
    }
    fn gemini(now: Option<&str>) -> Decision {
        decide(Trust::Gemini, now.map(str::as_bytes), &request()).unwrap()
    }
    fn write(text: &str, unusable: bool) -> Decision {
        Decision::Write { text: text.into(), unusable }
    }

    #[test]
    fn a_missing_file_is_made() {
        assert_eq!(gemini(None), write("{\n  \"/data/runs\": \"TRUST_FOLDER\"\n}\n", false));
        let codex = Request { default: "a = 1\n".into(), ..request() };
        assert_eq!(
            decide(Trust::Codex, None, &codex).unwrap(),
            write("a = 1\n\n[projects.\"/data/runs\"]\ntrust_level = \"trusted\"\n", false)
        );
    }

    #[test]
    fn what_gemini_cannot_read_is_replaced_and_marked() {
        let fresh = "{\n  \"/data/runs\": \"TRUST_FOLDER\"\n}\n";
        for bad in ["", "[]", "{", "3", "{\"a\": }"] {
            assert_eq!(gemini(Some(bad)), write(fresh, true), "{bad}");
        }
    }

    #[test]
    fn unknown_levels_go_and_the_rest_stays() {
        let text = "{\n  // mine\n  \"/a\": \"DO_NOT_TRUST\",\n  \"/b\": 1,\n  \"/c\": {\"k\": null},\n  \"/d\": \"TRUSTED\"\n}\n";
        let expected = "{\n  // mine\n  \"/a\": \"DO_NOT_TRUST\",\n  \"/data/runs\": \"TRUST_FOLDER\"\n}\n";
        assert_eq!(gemini(Some(text)), write(expected, true));
        assert_eq!(gemini(Some(expected)), Decision::Keep);
    }

    #[test]
    fn stale_runs_are_collected_and_foreign_folders_stay() {
        let text = "{\"/data/runs/r1\": \"TRUST_FOLDER\", \"/data/runsX\": \"TRUST_FOLDER\", \"/data/runs\": \"TRUST_FOLDER\", \"/data/runs/../x\": \"TRUST_FOLDER\"}";
        let expected = "{ \"/data/runsX\": \"TRUST_FOLDER\", \"/data/runs\": \"TRUST_FOLDER\", \"/data/runs/../x\": \"TRUST_FOLDER\"}";
        assert_eq!(gemini(Some(text)), write(expected, false));
        let active = Request { collect: Some((vec!["/data/runs".into()], vec!["/data/runs/r1".into()])), ..request() };
        assert_eq!(decide(Trust::Gemini, Some(text.as_bytes()), &active).unwrap(), Decision::Keep);
    }

    #[test]
    fn removing_from_a_file_that_does_not_parse_is_an_error_and_changes_nothing() {
        let remove = Request { remove: vec!["/x".into()], ..Request::default() };
        assert_eq!(decide(Trust::Gemini, Some(b"["), &remove), Err(Unusable::Syntax { line: 1, column: 1 }));
        assert_eq!(decide(Trust::Codex, None, &remove), Ok(Decision::Keep));
    }
}
