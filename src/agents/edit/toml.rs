//! Trust entries in a TOML file: `[projects."PATH"] trust_level = "trusted"`, or `folders = { "PATH" = true }`.
//!
//! Adding appends a table, so every byte before it stays; only where the list already has a form that
//! cannot be extended by a header (an inline table, a value of another kind, this very entry) does
//! toml_edit change the place itself. Removing cuts the lines of the entry. Every result is parsed again
//! and must mean what was meant.

mod array;
mod change;

use super::{
    Unusable,
    trusted::{Entries, expected},
};
use crate::agents::catalogue::Trust;
use change::{append, cut, rebuild};
use serde_json::Value;

/// A configuration that parses.
#[derive(Debug)]
pub struct Config<'a> {
    text: &'a str,
    meaning: Value,
}

/// An edited text, and whether something that the CLI would not load had to be given up for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// Values of a wrong kind were replaced: the original is worth keeping.
    pub repaired: bool,
}

impl<'a> Config<'a> {
    /// Parses a TOML text. The empty one is fine: every CLI takes it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unusable::NotText)?;
        Ok(Self { text, meaning: meaning(text)? })
    }

    /// Folders with their value, in the order of the file; `None`: the entry has none.
    pub fn trust(&self, how: &Trust) -> Entries {
        super::trusted::entries(&self.meaning, how)
    }

    /// The text with `add` trusted, `remove` not mentioned, and values that the CLI refuses to load taken
    /// out; `None`: nothing to change.
    pub fn edited(&self, how: &Trust, add: Option<&str>, remove: &[String]) -> Result<Option<Edited>, Unusable> {
        let (expected, repaired) = expected(&self.meaning, how, add, remove);
        if expected == self.meaning {
            return Ok(None);
        }
        let fits = |text: &str| meaning(text).is_ok_and(|now| now == expected);
        let done = |text| Ok(Some(Edited { text, repaired }));
        let cut = cut(self.text, how, remove).unwrap_or_else(|| self.text.to_owned());
        if fits(&cut) {
            return done(cut);
        }
        if let Some(appended) = add.and_then(|path| append(&cut, how, path))
            && fits(&appended)
        {
            return done(appended);
        }
        let rebuilt = rebuild(&cut, how, add, remove).ok_or(Unusable::Form)?;
        if fits(&rebuilt) { done(rebuilt) } else { Err(Unusable::Form) }
    }
}

/// What the text means, as JSON: comparable, without formatting. Dates become maps, which is enough here.
fn meaning(text: &str) -> Result<Value, Unusable> {
    toml_edit::de::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Unusable::Syntax { line: before.matches('\n').count() + 1, column }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::{Arc, LazyLock};

    static CODEX: LazyLock<Arc<Trust>> = LazyLock::new(|| Arc::clone(&Catalogue::built_in().trusts["codex"]));
    /// A list further down, whose entries are values.
    static FLAT: LazyLock<Trust> = LazyLock::new(|| {
        let file = "file = \"x.toml\"\nformat = \"toml\"\ntable = [\"trust\", \"folders\"]\nvalue = true\n";
        toml_edit::de::from_str(file).unwrap()
    });

    fn edit(text: &str, add: Option<&str>, remove: &[&str]) -> Option<Edited> {
        let remove: Vec<String> = remove.iter().map(|path| (*path).to_owned()).collect();
        Config::parse(text.as_bytes()).unwrap().edited(&CODEX, add, &remove).unwrap()
    }
    fn add(text: &str) -> String {
        edit(text, Some("/data/runs"), &[]).unwrap().text
    }

    #[test]
    fn the_entry_is_appended_and_every_byte_before_it_stays() {
        let text = "cli_auth_credentials_store = \"file\"\n";
        assert_eq!(add(text), format!("{text}\n[projects.\"/data/runs\"]\ntrust_level = \"trusted\"\n"));
        assert_eq!(add(""), "[projects.\"/data/runs\"]\ntrust_level = \"trusted\"\n");
        assert_eq!(edit(&add(text), Some("/data/runs"), &[]), None);
        let windows = "# c\r\na = 1\r\n";
        assert!(add(windows).starts_with(windows) && add(windows).ends_with("trusted\"\r\n"));
    }

    #[test]
    fn inline_tables_and_dotted_keys_are_extended() {
        let text = "a = 1 # keep\nprojects = { \"/x\" = { trust_level = \"trusted\" } } # mine\n";
        let out = add(text);
        assert!(out.starts_with("a = 1 # keep\nprojects = { \"/x\" = { trust_level = \"trusted\" }"), "{out}");
        assert!(out.ends_with("# mine\n") && out.contains("\"/data/runs\" = { trust_level = \"trusted\" }"), "{out}");
        assert!(add("projects = {}\n").contains("\"/data/runs\""));
        let dotted = "projects.\"/x\".trust_level = \"trusted\"\n";
        assert!(add(dotted).starts_with(dotted));
    }

    #[test]
    fn an_existing_entry_keeps_its_other_keys_and_comments() {
        let text = "[projects.\"/data/runs\"] # head\nextra = 3\ntrust_level = \"untrusted\" # why\n# end\n";
        assert_eq!(add(text), text.replace("\"untrusted\"", "\"trusted\""));
        let text = "[projects.\"/data/runs\"]\nextra = 3\n\n[z]\n";
        assert_eq!(add(text), "[projects.\"/data/runs\"]\nextra = 3\ntrust_level = \"trusted\"\n\n[z]\n");
    }

    #[test]
    fn values_of_a_wrong_kind_give_way_and_are_reported() {
        for text in ["projects = 3\n", "[[projects]]\na = 1\n", "[projects]\n\"/data/runs\" = 1\n"] {
            let edited = edit(text, Some("/data/runs"), &[]).unwrap();
            assert!(edited.repaired, "{text}");
            assert_eq!(
                Config::parse(edited.text.as_bytes()).unwrap().trust(&CODEX),
                [("/data/runs".into(), Some(json!("trusted")))]
            );
        }
        let edited = edit("[projects.\"/x\"]\ntrust_level = \"bogus\"\nk = 1\n", Some("/data/runs"), &[]).unwrap();
        assert!(edited.repaired && !edited.text.contains("bogus") && edited.text.contains("k = 1"), "{edited:?}");
    }

    #[test]
    fn removing_undoes_adding_to_the_byte() {
        for text in ["", "a = 1\n", "# only\n\n[b]\nc = 1 # d\n", "a = 1\r\n"] {
            let added = add(text);
            let removed = edit(&added, None, &["/data/runs"]).unwrap();
            assert_eq!(removed, Edited { text: text.to_owned(), repaired: false });
        }
    }

    #[test]
    fn removing_leaves_notes_and_other_keys() {
        let text = "[projects.\"/a\"]\ntrust_level = \"trusted\"\n# a note\n\n[projects.\"/r\"]\ntrust_level = \"trusted\"\n\n[z]\n";
        let out = edit(text, None, &["/r"]).unwrap().text;
        assert_eq!(out, "[projects.\"/a\"]\ntrust_level = \"trusted\"\n# a note\n\n[z]\n");
        let out = edit("[projects.\"/r\"]\nk = 1\ntrust_level = \"trusted\"\n", None, &["/r"]).unwrap().text;
        assert_eq!(out, "[projects.\"/r\"]\nk = 1\n");
        let out = edit("projects = { \"/r\" = { trust_level = \"trusted\" } }\n", None, &["/r"]).unwrap().text;
        assert_eq!(out, "");
        assert_eq!(edit("a = 1\n", None, &["/r"]), None);
    }

    #[test]
    fn odd_paths_are_quoted() {
        for path in ["/with \"quotes\"", "/a\\b", "/é\n", "plain", "/#hash"] {
            let out = edit("", Some(path), &[]).unwrap().text;
            assert_eq!(Config::parse(out.as_bytes()).unwrap().trust(&CODEX), [(path.into(), Some(json!("trusted")))]);
            assert_eq!(edit(&out, None, &[path]).unwrap().text, "");
        }
    }

    #[test]
    fn a_list_of_values_further_down_is_edited_where_it_stands() {
        let edit = |text: &str, add: Option<&str>, remove: &[String]| {
            Config::parse(text.as_bytes()).unwrap().edited(&FLAT, add, remove).unwrap().map(|edited| edited.text)
        };
        let text = "a = 1 # keep\n\n[trust.folders] # mine\n\"/x\" = false # no\n";
        let added = edit(text, Some("/r"), &[]).unwrap();
        assert_eq!(added, format!("{text}\"/r\" = true\n"));
        assert_eq!(edit(&added, None, &["/r".to_owned()]).as_deref(), Some(text));
        let fresh = edit("a = 1\n", Some("/r"), &[]).unwrap();
        assert_eq!(fresh, "a = 1\n\n[trust.folders]\n\"/r\" = true\n");
        assert_eq!(edit(&fresh, Some("/r"), &[]), None);
        assert_eq!(edit(&fresh, None, &["/r".to_owned()]).unwrap(), "a = 1\n");
        let inline = "trust = { folders = { \"/x\" = true }, more = 1 } # c\n";
        let added = edit(inline, Some("/r"), &[]).unwrap();
        assert!(added.contains("\"/r\" = true") && added.ends_with("more = 1 } # c\n"), "{added}");
    }

    /// An array of folders.
    static ARRAY: LazyLock<Trust> = LazyLock::new(|| {
        let file = "file = \"x.toml\"\nformat = \"toml\"\ntable = [\"trust\", \"folders\"]\n";
        toml_edit::de::from_str(file).unwrap()
    });

    #[test]
    fn an_array_of_folders_keeps_its_lines_and_comments() {
        let edit = |text: &str, add: Option<&str>, remove: &[&str]| {
            let remove: Vec<String> = remove.iter().map(|path| (*path).to_owned()).collect();
            Config::parse(text.as_bytes()).unwrap().edited(&ARRAY, add, &remove).unwrap().map(|edited| edited.text)
        };
        let text = "a = 1 # keep\n[trust]\nfolders = [ # mine\n  \"/x\", # why x\n  3,\n  \"/y\", # why y\n]\n";
        let added = edit(text, Some("/r"), &[]).unwrap();
        assert_eq!(added, text.replace("# why y\n", "# why y\n  \"/r\",\n"));
        assert_eq!(edit(&added, Some("/r"), &["/z"]), None);
        assert_eq!(edit(&added, None, &["/r"]).unwrap(), text);
        let fewer = edit(&added, None, &["/x", "/y"]).unwrap();
        assert!(["# mine", "# why x", "# why y", "  3,"].iter().all(|part| fewer.contains(part)), "{fewer}");
        assert_eq!(
            edit("[trust]\nfolders = [\"/x\"]\n", Some("/r"), &[]).unwrap(),
            "[trust]\nfolders = [\"/x\", \"/r\"]\n"
        );
        let fresh = edit("a = 1\n", Some("/r"), &[]).unwrap();
        assert_eq!(fresh, "a = 1\n\n[trust]\nfolders = [\"/r\"]\n");
        assert_eq!(edit(&fresh, None, &["/r"]).unwrap(), "a = 1\n\n[trust]\nfolders = []\n");
    }

    #[test]
    fn errors_name_line_and_column() {
        assert_eq!(Config::parse(b"a = 1\nb = =\n").unwrap_err(), Unusable::Syntax { line: 2, column: 5 });
        assert!(Config::parse("[".repeat(10_000).as_bytes()).is_err());
        assert!(Config::parse(format!("a = {}", "[".repeat(10_000)).as_bytes()).is_err());
    }

    fn document() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("# c\n"),
            Just("\n"),
            Just("[t1] # c\nk = 1 # c\n"),
            Just("[projects.\"/u\"]\ntrust_level = \"untrusted\" # c\nmore = [1, # c\n 2]\n"),
            Just("[projects.\"/data/runs\"]\n# c\ntrust_level = \"trusted\"\n"),
            Just("[[arr]]\nx = 1 # c\n"),
            Just("[projects.\"/data/runs/r1\"]\ntrust_level = \"trusted\"\n"),
        ];
        let head = prop_oneof![
            Just(""),
            Just("a = 1 # c\n"),
            Just("projects = { \"/i\" = { trust_level = \"trusted\" } } # c\n"),
            Just("projects.\"/d\".x = 1 # c\n")
        ];
        (head, prop::collection::vec(piece, 0..6)).prop_map(|(head, pieces)| format!("{head}{}", pieces.concat()))
    }
    proptest! {
        #[test]
        fn any_edit_keeps_every_comment_and_every_other_key(text in document()) {
            let Ok(config) = Config::parse(text.as_bytes()) else { return Ok(()) };
            let remove = ["/data/runs/r1".to_owned()];
            if let Some(edited) = config.edited(&CODEX, Some("/data/runs"), &remove).unwrap() {
                prop_assert_eq!(edited.text.matches("# c").count(), text.matches("# c").count(), "{}", edited.text);
                let again = Config::parse(edited.text.as_bytes()).unwrap();
                prop_assert_eq!(again.edited(&CODEX, Some("/data/runs"), &remove).unwrap(), None);
            }
        }
        #[test]
        fn any_edit_of_an_array_keeps_every_comment_and_every_other_element(
            parts in prop::collection::vec((0_usize..4, 0_usize..4), 0..5), open in 0_usize..3, comma in any::<bool>(), add in any::<bool>(),
        ) {
            let gap = |n: usize| ["", " ", "\n  ", " # c\n  "][n];
            let values: Vec<String> =
                parts.iter().map(|(value, after)| format!("{}{}", ["\"/x\"", "\"/data/runs/r1\"", "3", "\"/y\""][*value], gap(*after))).collect();
            let (open, comma) = (["", "\n  ", " # c\n  "][open], if comma && !values.is_empty() { ",\n" } else { "" });
            let text = format!("a = 1\n[trust]\nfolders = [{open}{}{comma}] # c\nz = 1\n", values.join(", "));
            let config = Config::parse(text.as_bytes()).unwrap();
            let remove = ["/data/runs/r1".to_owned()];
            if let Some(edited) = config.edited(&ARRAY, add.then_some("/data/runs"), &remove).unwrap() {
                let now = Config::parse(edited.text.as_bytes()).unwrap();
                prop_assert_eq!(edited.text.matches("# c").count(), text.matches("# c").count(), "{}\n{}", text, edited.text);
                prop_assert_eq!(now.edited(&ARRAY, add.then_some("/data/runs"), &remove).unwrap(), None);
            }
        }
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}=.\"# \na-c1projects]{0,80}") {
            if let Ok(config) = Config::parse(text.as_bytes()) {
                for how in [&**CODEX, &FLAT, &ARRAY] {
                    let _ = config.edited(how, Some("/x"), &["a".to_owned()]);
                }
            }
        }
    }
}
