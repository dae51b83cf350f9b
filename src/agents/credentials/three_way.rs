//! The import decision: source, destination, and the fingerprint of what was imported last.
//!
//! | source since the last import | destination since then | result |
//! |---|---|---|
//! | unchanged | any | the destination stays (its CLI renewed it, or nobody did) |
//! | changed | unchanged | the source is imported |
//! | changed, or no import is known | changed | the fresher by its own fields wins, the other is kept beside it |
//!
//! Where the fields do not tell: after an import is known, a new source is somebody's deliberate act and
//! wins; on the first start the destination stays. A missing destination is always filled.

use super::{Bad, check, merge, shape::freshness};
use crate::agents::catalogue::Shape;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Fingerprints of one imported source. Hashes only: the file tells nothing of the secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// SHA-256 of the whole source.
    pub sha256: String,
    /// SHA-256 of each part that is merged by itself (opencode's providers, antigravity's accounts).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

/// The state file: fingerprint by source path below the import folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Fingerprints.
    #[serde(default)]
    pub files: BTreeMap<String, Remembered>,
}

impl State {
    /// From the state file; an unreadable one is as good as none: freshness decides then.
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The state file's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Which side a decision took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The import folder.
    Source,
    /// The agent home.
    Destination,
}

/// What is known about one file.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its shape.
    pub shape: &'a Shape,
    /// Content of the source.
    pub source: &'a [u8],
    /// Content of the destination; `None`: there is none.
    pub destination: Option<&'a [u8]>,
    /// The last import.
    pub last: Option<&'a Remembered>,
    /// Import whatever the comparison says.
    pub force: bool,
    /// Which side the file that this one belongs to was taken from.
    pub leader: Option<Side>,
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Nothing.
    Nothing,
    /// The destination, where nothing of worth stands.
    Fresh(Vec<u8>),
    /// The destination, in place of one that is older or was imported before.
    Replace(Vec<u8>),
    /// The same, with the former content kept beside it.
    ReplaceKeeping(Vec<u8>),
    /// The same, with the former content, which does not parse, moved aside.
    ReplaceCorrupt(Vec<u8>),
    /// The source, beside the destination that stays.
    KeepSourceBeside,
}

/// The decision about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to write.
    pub write: Write,
    /// Which side it took; `None`: both are the same.
    pub side: Option<Side>,
    /// Why, in words without any content.
    pub why: &'static str,
    /// What to remember.
    pub remember: Remembered,
}

/// Decides. The error says why the source is no credential.
pub fn decide(input: &Input<'_>) -> Result<Decision, Bad> {
    let source = check(input.shape, input.source)?;
    let remember = Remembered { sha256: hash(input.source), parts: merge::parts(input.shape, &source) };
    let made = |write, side, why| Ok(Decision { write, side, why, remember: remember.clone() });
    let whole = || input.source.to_vec();
    let Some(bytes) = input.destination else {
        return made(Write::Fresh(whole()), Some(Side::Source), "there is no credential yet");
    };
    if bytes == input.source {
        return made(Write::Nothing, None, "both are the same");
    }
    let Ok(destination) = check(input.shape, bytes) else {
        return made(Write::ReplaceCorrupt(whole()), Some(Side::Source), "the present one cannot be used");
    };
    if let Some(known) = &input.shape.entries {
        let merged = merge::merge(input.shape, known, &source, &destination, input.last, input.force);
        return match (merged.object, merged.overruled) {
            (None, _) => made(Write::Nothing, Some(Side::Destination), "the present entries are newer or the same"),
            (Some(object), false) => made(Write::Replace(object), Some(Side::Source), "new or newer entries"),
            (Some(object), true) => made(Write::ReplaceKeeping(object), Some(Side::Source), "newer entries"),
        };
    }
    if input.force {
        return made(Write::ReplaceKeeping(whole()), Some(Side::Source), "forced");
    }
    let last = input.last.map(|last| last.sha256.as_str());
    if last == Some(remember.sha256.as_str()) {
        return made(Write::Nothing, Some(Side::Destination), "the source is the one imported before");
    }
    if last == Some(hash(bytes).as_str()) {
        return made(Write::Replace(whole()), Some(Side::Source), "the source is new");
    }
    let (theirs, ours) = (freshness(input.shape, &source), freshness(input.shape, &destination));
    let (side, why) = match (theirs, ours) {
        (Some(source), Some(present)) if source > present => (Side::Source, "the source is fresher"),
        (Some(source), Some(present)) if source < present => (Side::Destination, "the present one is fresher"),
        _ => match (input.leader, last) {
            (Some(side), _) => (side, "it belongs to the other file of this engine"),
            (None, Some(_)) => (Side::Source, "the source was changed on purpose"),
            (None, None) => (Side::Destination, "nothing tells that the source is fresher"),
        },
    };
    match side {
        Side::Source => made(Write::ReplaceKeeping(whole()), Some(side), why),
        Side::Destination => made(Write::KeepSourceBeside, Some(side), why),
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::shape, *};
    use proptest::prelude::*;

    fn codex(day: u32, name: &str) -> Vec<u8> {
        format!("{{\"OPENAI_API_KEY\":null,\"tokens\":{{\"refresh_token\":\"{name}\"}},\"last_refresh\":\"2026-01-{day:02}T00:00:00Z\"}}")
            .into_bytes()
    }
    fn key(name: &str) -> Vec<u8> {
        format!("{{\"OPENAI_API_KEY\":\"{name}\"}}").into_bytes()
    }
    fn run(source: &[u8], destination: Option<&[u8]>, last: Option<&[u8]>) -> Decision {
        let last = last.map(|bytes| Remembered { sha256: hash(bytes), parts: BTreeMap::new() });
        decide(&Input {
            shape: &shape("codex-auth"),
            source,
            destination,
            last: last.as_ref(),
            force: false,
            leader: None,
        })
        .unwrap()
    }

    #[test]
    fn a_restart_after_a_token_rotation_keeps_the_rotated_token() {
        let (imported, rotated) = (codex(1, "a"), codex(5, "b"));
        assert_eq!(run(&imported, Some(&rotated), Some(&imported)).write, Write::Nothing);
        // Also when the state is lost, or the volume is older than this program.
        assert_eq!(run(&imported, Some(&rotated), None).write, Write::KeepSourceBeside);
    }

    #[test]
    fn a_new_source_replaces_what_was_imported_before() {
        let (old, new) = (codex(5, "a"), codex(1, "b"));
        assert_eq!(run(&new, Some(&old), Some(&old)).write, Write::Replace(new.clone()));
        assert_eq!(run(&new, None, Some(&new)).write, Write::Fresh(new.clone()));
    }

    #[test]
    fn where_both_changed_the_fresher_wins_and_the_other_is_kept() {
        let (first, source, present) = (codex(1, "a"), codex(7, "b"), codex(5, "c"));
        assert_eq!(run(&source, Some(&present), Some(&first)).write, Write::ReplaceKeeping(source.clone()));
        assert_eq!(run(&present, Some(&source), Some(&first)).write, Write::KeepSourceBeside);
        // The fields do not tell: a deliberate change wins, a first look does not.
        assert_eq!(run(&key("b"), Some(&key("c")), Some(&first)).write, Write::ReplaceKeeping(key("b")));
        assert_eq!(run(&key("b"), Some(&key("c")), None).write, Write::KeepSourceBeside);
    }

    #[test]
    fn a_destination_that_cannot_be_used_is_replaced_and_kept() {
        assert_eq!(run(&key("a"), Some(b"{"), None).write, Write::ReplaceCorrupt(key("a")));
        assert_eq!(run(&key("a"), Some(b""), None).write, Write::ReplaceCorrupt(key("a")));
    }

    #[test]
    fn the_companion_file_follows_its_leader() {
        let accounts = shape("google-accounts");
        let input = |leader| Input {
            shape: &accounts,
            source: b"{\"active\":\"a\",\"old\":[]}",
            destination: Some(b"{\"active\":\"b\",\"old\":[]}"),
            last: None,
            force: false,
            leader,
        };
        assert!(matches!(decide(&input(Some(Side::Source))).unwrap().write, Write::ReplaceKeeping(_)));
        assert_eq!(decide(&input(Some(Side::Destination))).unwrap().write, Write::KeepSourceBeside);
    }

    #[test]
    fn a_source_that_is_no_credential_is_refused() {
        let codex = shape("codex-auth");
        let input = Input { shape: &codex, source: b"{}", destination: None, last: None, force: true, leader: None };
        assert_eq!(
            decide(&input),
            Err(Bad::Field(
                "OPENAI_API_KEY, personal_access_token, agent_identity, tokens.refresh_token or tokens.access_token"
                    .to_owned()
            ))
        );
    }

    proptest! {
        // Whatever happened before: after a decision is carried out and remembered, the next start decides to do nothing.
        #[test]
        fn the_second_start_writes_nothing(s in 0u32..4, d in proptest::option::of(0u32..4), l in proptest::option::of(0u32..4), force in any::<bool>()) {
            let file = |n: u32| codex(n / 2 + 1, &format!("t{n}"));
            let (source, destination) = (file(s), d.map(file));
            let last = l.map(|n| Remembered { sha256: hash(&file(n)), parts: BTreeMap::new() });
            let codex_auth = shape("codex-auth");
            let input = Input { shape: &codex_auth, source: &source, destination: destination.as_deref(), last: last.as_ref(), force, leader: None };
            let first = decide(&input).unwrap();
            let now = match &first.write {
                Write::Nothing | Write::KeepSourceBeside => destination.clone().unwrap(),
                Write::Fresh(b) | Write::Replace(b) | Write::ReplaceKeeping(b) | Write::ReplaceCorrupt(b) => b.clone(),
            };
            let again = decide(&Input { destination: Some(&now), last: Some(&first.remember), force: false, ..input }).unwrap();
            prop_assert_eq!(again.write, Write::Nothing);
            prop_assert_eq!(again.remember, first.remember);
        }
    }
}
