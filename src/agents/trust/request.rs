//! What shall be so in a trust file, and what that does to its content. Pure.

use super::strictly_below;
use crate::agents::{
    catalogue::{Format, Trust},
    edit::{
        Unusable,
        json::{self, Object},
        toml::Config,
        trusted::{Entries, entries},
    },
};

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
pub fn decide(how: &Trust, now: Option<&[u8]>, request: &Request) -> Result<Decision, Unusable> {
    let edited = now.map(|bytes| edit(how, bytes, request));
    match (edited, &request.add) {
        (Some(Ok(decision)), _) => Ok(decision),
        (None, None) => Ok(Decision::Keep),
        (Some(Err(why)), None) => Err(why),
        (anew, Some(_)) => {
            let base = match (how.format, request.default.as_str()) {
                (Format::Json | Format::Jsonc, "") => "{}\n",
                (_, text) => text,
            };
            match edit(how, base.as_bytes(), request)? {
                Decision::Write { text, .. } => Ok(Decision::Write { text, unusable: anew.is_some() }),
                Decision::Keep => Ok(Decision::Write { text: base.to_owned(), unusable: anew.is_some() }),
            }
        }
    }
}

fn edit(how: &Trust, bytes: &[u8], request: &Request) -> Result<Decision, Unusable> {
    let stale = |path: &String| {
        let collected = request.collect.as_ref().is_some_and(|(below, active)| {
            below.iter().any(|folder| strictly_below(path, folder)) && !active.iter().any(|keep| keep == path)
        });
        (collected || request.remove.contains(path)) && request.add.as_deref() != Some(path)
    };
    let remove = |entries: Entries| entries.into_iter().map(|(path, _)| path).filter(stale).collect::<Vec<_>>();
    let add = request.add.as_deref();
    let edited = match how.format {
        Format::Toml => {
            let config = Config::parse(bytes)?;
            config.edited(how, add, &remove(config.trust(how)))?.map(|edited| (edited.text, edited.repaired))
        }
        Format::Json | Format::Jsonc => {
            let object = Object::parse(bytes)?;
            let remove = remove(entries(&object.meaning(), how));
            json::trust::edited(&object, how, add, &remove)?
        }
    };
    Ok(edited.map_or(Decision::Keep, |(text, unusable)| Decision::Write { text, unusable }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;

    fn decide(how: &str, now: Option<&[u8]>, request: &Request) -> Result<Decision, Unusable> {
        super::decide(&Catalogue::built_in().trusts[how], now, request)
    }
    fn request() -> Request {
        Request {
            add: Some("/data/runs".into()),
            collect: Some((vec!["/data/runs".into()], vec![])),
            ..Request::default()
        }
    }
    fn gemini(now: Option<&str>) -> Decision {
        decide("gemini", now.map(str::as_bytes), &request()).unwrap()
    }
    fn write(text: &str, unusable: bool) -> Decision {
        Decision::Write { text: text.into(), unusable }
    }

    #[test]
    fn a_missing_file_is_made() {
        assert_eq!(gemini(None), write("{\n  \"/data/runs\": \"TRUST_FOLDER\"\n}\n", false));
        let codex = Request { default: "a = 1\n".into(), ..request() };
        assert_eq!(
            decide("codex", None, &codex).unwrap(),
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
        assert_eq!(decide("gemini", Some(text.as_bytes()), &active).unwrap(), Decision::Keep);
    }

    #[test]
    fn removing_from_a_file_that_does_not_parse_is_an_error_and_changes_nothing() {
        let remove = Request { remove: vec!["/x".into()], ..Request::default() };
        assert_eq!(decide("gemini", Some(b"["), &remove), Err(Unusable::Syntax { line: 1, column: 1 }));
        assert_eq!(decide("codex", None, &remove), Ok(Decision::Keep));
    }
}
