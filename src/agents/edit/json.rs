//! JSON objects with comments, edited in place.
//!
//! Comments (and, where the CLI accepts them, trailing commas) are blanked to spaces of the same length;
//! what remains must satisfy serde_json. A text that is known to be JSON needs only a small scanner to
//! find its top-level members, and each edit is a splice of the original bytes. An array of texts inside is edited in the same way:
//! its elements are members whose key is their text.

mod scan;
mod splice;
pub mod trust;

use super::Unusable;
use scan::{blank, members};
use serde_json::Value;
use splice::{apply, indent, whole_line};
use std::ops::Range;

/// A parsed object: the text and where its top-level members are.
#[derive(Debug)]
pub struct Object<'a> {
    text: &'a str,
    blanked: String,
    members: Vec<Member>,
    trailing_commas: Vec<usize>,
    /// Positions of the outer brackets.
    open: usize,
    close: usize,
    /// An array further down, its elements as members.
    array: bool,
}

/// One top-level member.
#[derive(Debug, Clone)]
pub struct Member {
    /// The decoded key.
    pub key: String,
    /// The parsed value.
    pub value: Value,
    key_at: usize,
    value_at: Range<usize>,
    comma_at: Option<usize>,
}

/// One change to a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Sets the key's value; a new key is appended.
    Set(String, Value),
    /// Removes the key, however often it is there.
    Remove(String),
}

impl Change {
    /// The key that changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Remove(key) => key,
        }
    }
}

impl<'a> Object<'a> {
    /// Parses an object with comments; trailing commas are remembered, not refused.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let object = Self::parse_any(bytes)?;
        if object.array { Err(Unusable::NotObject) } else { Ok(object) }
    }

    fn parse_any(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unusable::NotText)?;
        let (blanked, trailing_commas) = blank(text);
        if blanked.trim().is_empty() {
            return Err(Unusable::Empty);
        }
        let value: Value = serde_json::from_str(&blanked)
            .map_err(|error| Unusable::Syntax { line: error.line(), column: error.column() })?;
        let (array, brackets) = match value {
            Value::Object(_) => (false, ['{', '}']),
            Value::Array(_) => (true, ['[', ']']),
            _ => return Err(Unusable::NotObject),
        };
        let mut members = members(&blanked).ok_or(Unusable::Form)?;
        if let Some(last) = members.last_mut() {
            last.comma_at = trailing_commas.iter().copied().find(|at| *at >= last.value_at.end);
        }
        let open = blanked.find(brackets[0]).ok_or(Unusable::Form)?;
        let close = blanked.rfind(brackets[1]).ok_or(Unusable::Form)?;
        Ok(Self { text, blanked, members, trailing_commas, open, close, array })
    }

    /// The text with these changes in the object or array that `way` leads to, in place; `None`: nothing to change. Every step of
    /// the way must be there.
    pub fn edited_at(&self, way: &[String], changes: &[Change], strict: bool) -> Result<Option<String>, Unusable> {
        let Some((head, rest)) = way.split_first() else { return self.edited(changes, strict) };
        let member = self.members.iter().rev().find(|member| member.key == *head).ok_or(Unusable::Form)?;
        let inner = self.text.get(member.value_at.clone()).ok_or(Unusable::Form)?;
        let Some(changed) = Self::parse_any(inner.as_bytes())?.edited_at(rest, changes, strict)? else {
            return Ok(None);
        };
        let text = apply(self.text, vec![(member.value_at.clone(), changed)]).ok_or(Unusable::Form)?;
        Object::parse(text.as_bytes())?;
        Ok(Some(text))
    }

    /// What it means.
    pub fn meaning(&self) -> Value {
        self.members.iter().map(|member| (member.key.clone(), member.value.clone())).collect()
    }

    /// The members in their order, duplicates included.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The value that counts: the last one of that key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.iter().rev().find(|member| member.key == key).map(|member| &member.value)
    }

    /// Has commas that strict JSON (with comments) does not allow.
    pub fn has_trailing_commas(&self) -> bool {
        !self.trailing_commas.is_empty()
    }

    /// The text with these changes, without trailing commas where `strict`; `None`: nothing to change.
    pub fn edited(&self, changes: &[Change], strict: bool) -> Result<Option<String>, Unusable> {
        let mut splices: Vec<(Range<usize>, String)> = Vec::new();
        let gone = |member: &Member| changes.iter().any(|c| matches!(c, Change::Remove(key) if *key == member.key));
        let mut fresh: Vec<(&str, &Value)> = Vec::new();
        for change in changes {
            let Change::Set(key, value) = change else { continue };
            match self.members.iter().rev().find(|member| member.key == *key && !gone(member)) {
                Some(member) if member.value == *value => {}
                Some(member) => splices.push((member.value_at.clone(), value.to_string())),
                None => fresh.push((key, value)),
            }
        }
        self.removals(&gone, strict, &mut splices);
        let kept: Vec<&Member> = self.members.iter().filter(|member| !gone(member)).collect();
        let mut drop_commas = self.trailing_commas.clone();
        drop_commas.retain(|_| strict);
        if !fresh.is_empty() {
            self.additions(&fresh, kept.last().copied(), &mut drop_commas, &mut splices);
        }
        for comma in drop_commas {
            if !splices.iter().any(|(range, _)| range.contains(&comma)) {
                splices.push((comma..comma + 1, String::new()));
            }
        }
        if splices.is_empty() {
            return Ok(None);
        }
        let text = apply(self.text, splices).ok_or(Unusable::Form)?;
        self.check(&text, changes)?;
        Ok(Some(text))
    }

    /// The lines (or the text) of the members that go, and the commas that would be left over.
    fn removals(&self, gone: &dyn Fn(&Member) -> bool, strict: bool, splices: &mut Vec<(Range<usize>, String)>) {
        let last_kept = self.members.iter().rposition(|member| !gone(member));
        let may_dangle = !strict && self.members.last().is_some_and(|member| member.comma_at.is_some());
        for (index, member) in self.members.iter().enumerate() {
            if !gone(member) {
                // The comma after the last one that stays, if what followed it goes.
                let dangling = last_kept == Some(index) && index + 1 < self.members.len() && !may_dangle;
                if let (true, Some(comma)) = (dangling, member.comma_at) {
                    splices.push((comma..comma + 1, String::new()));
                }
                continue;
            }
            let end = member.comma_at.map_or(member.value_at.end, |comma| comma + 1);
            let between = self.text.get(member.value_at.end..end).unwrap_or_default();
            if between.trim_start().len() > 1 {
                // A comment between value and comma stays.
                splices.push((member.key_at..member.value_at.end, String::new()));
                splices.push((end - 1..end, String::new()));
            } else {
                splices.push((whole_line(self.text, member.key_at..end), String::new()));
            }
        }
    }

    /// New members after the last one, in its own style.
    fn additions(
        &self,
        fresh: &[(&str, &Value)],
        after: Option<&Member>,
        drop_commas: &mut Vec<usize>,
        splices: &mut Vec<(Range<usize>, String)>,
    ) {
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let line = |(key, value): &(&str, &Value)| match self.array {
            true => value.to_string(),
            false => format!("{}: {value}", Value::from(*key)),
        };
        let lines: Vec<String> = fresh.iter().map(line).collect();
        let Some(last) = after else {
            // No member stays: before the closing brace, each on a line of its own.
            let inside = self.blanked.get(self.open + 1..self.close).unwrap_or_default();
            let own_line = inside.contains('\n') && self.text.get(..self.close).is_some_and(|t| t.ends_with('\n'));
            let lead = if own_line { String::new() } else { newline.to_owned() };
            let body = lines.join(&format!(",{newline}  "));
            splices.push((self.close..self.close, format!("{lead}  {body}{newline}")));
            return;
        };
        let indent = indent(self.text, last.key_at);
        let joint = indent.map_or_else(|| ", ".to_owned(), |indent| format!(",{newline}{indent}"));
        // The comma right after the value, the new member at the end of that line: a comment stays with its own.
        match last.comma_at {
            // A trailing comma becomes the separator; so does the one before members that go.
            Some(comma) => {
                drop_commas.retain(|at| *at != comma);
                splices.retain(|(range, _)| *range != (comma..comma + 1));
            }
            None => splices.push((last.value_at.end..last.value_at.end, ",".to_owned())),
        }
        let after = last.comma_at.map_or(last.value_at.end, |comma| comma + 1);
        let rest = self.blanked.get(after..self.close).unwrap_or_default();
        let at = match (indent, rest.find('\n')) {
            (Some(_), Some(offset)) => after + rest.get(..offset).unwrap_or_default().trim_end_matches('\r').len(),
            _ => after,
        };
        let first = indent.map_or_else(|| " ".to_owned(), |indent| format!("{newline}{indent}"));
        splices.push((at..at, format!("{first}{}", lines.join(&joint))));
    }

    fn check(&self, text: &str, changes: &[Change]) -> Result<(), Unusable> {
        if self.array {
            // Whoever asked for it compares the meaning of the whole file.
            return Ok(());
        }
        let mut expected: serde_json::Map<String, Value> =
            self.members.iter().map(|member| (member.key.clone(), member.value.clone())).collect();
        for change in changes {
            if let Change::Remove(key) = change {
                expected.shift_remove(key);
            }
        }
        for change in changes {
            if let Change::Set(key, value) = change {
                expected.insert(key.clone(), value.clone());
            }
        }
        let (blanked, _) = blank(text);
        match serde_json::from_str::<Value>(&blanked) {
            Ok(now) if now == Value::Object(expected) => Ok(()),
            _ => Err(Unusable::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn set(text: &str, key: &str, value: Value) -> String {
        let object = Object::parse(text.as_bytes()).unwrap();
        object.edited(&[Change::Set(key.into(), value)], true).unwrap().unwrap_or_else(|| text.to_owned())
    }
    fn remove(text: &str, key: &str) -> String {
        let object = Object::parse(text.as_bytes()).unwrap();
        object.edited(&[Change::Remove(key.into())], true).unwrap().unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn comments_order_and_spacing_survive_an_addition() {
        let text = "// mine\n{\n    \"z\": 1, // why z\n    \"a\": [1,  2] /* odd */ // end\n}\n";
        assert_eq!(
            set(text, "n", json!("v")),
            "// mine\n{\n    \"z\": 1, // why z\n    \"a\": [1,  2], /* odd */ // end\n    \"n\": \"v\"\n}\n"
        );
    }

    #[test]
    fn empty_objects_of_every_form_take_a_member() {
        assert_eq!(set("{}", "k", json!(1)), "{\n  \"k\": 1\n}");
        assert_eq!(set("{\n}\n", "k", json!(1)), "{\n  \"k\": 1\n}\n");
        assert_eq!(set("{ /* nothing */ }", "k", json!(1)), "{ /* nothing */ \n  \"k\": 1\n}");
        assert_eq!(set("{ // nothing\n}", "k", json!(1)), "{ // nothing\n  \"k\": 1\n}");
    }

    #[test]
    fn one_line_objects_stay_on_one_line_and_windows_line_ends_stay() {
        assert_eq!(set("{\"a\":1}", "k", json!(1)), "{\"a\":1, \"k\": 1}");
        assert_eq!(set("{\r\n  \"a\": 1\r\n}\r\n", "k", json!(1)), "{\r\n  \"a\": 1,\r\n  \"k\": 1\r\n}\r\n");
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_the_last_duplicate_counts() {
        assert_eq!(set("{\"a\": 1, /* x */ \"a\": 2 }", "a", json!("n")), "{\"a\": 1, /* x */ \"a\": \"n\" }");
        assert_eq!(set("{\"a\": 1}", "a", json!(1)), "{\"a\": 1}");
    }

    #[test]
    fn removing_takes_the_line_the_comma_and_no_comment() {
        let text = "{\n  \"a\": 1,\n  // about b\n  \"b\": 2,\n  \"c\": 3\n}\n";
        assert_eq!(remove(text, "a"), "{\n  // about b\n  \"b\": 2,\n  \"c\": 3\n}\n");
        assert_eq!(remove(text, "b"), "{\n  \"a\": 1,\n  // about b\n  \"c\": 3\n}\n");
        assert_eq!(remove(text, "c"), "{\n  \"a\": 1,\n  // about b\n  \"b\": 2\n}\n");
        assert_eq!(remove("{\"a\": 1}", "a"), "{}");
        assert_eq!(remove("{\"a\": 1 /* c */, \"b\": 2}", "a"), "{ /* c */ \"b\": 2}");
    }

    #[test]
    fn trailing_commas_go_where_the_cli_does_not_take_them() {
        let text = "{\n  \"a\": [1,],\n}";
        let object = Object::parse(text.as_bytes()).unwrap();
        assert!(object.has_trailing_commas());
        assert_eq!(object.edited(&[], true).unwrap().unwrap(), "{\n  \"a\": [1]\n}");
        assert_eq!(object.edited(&[], false).unwrap(), None);
        let lenient = object.edited(&[Change::Set("k".into(), json!(1))], false).unwrap().unwrap();
        assert_eq!(lenient, "{\n  \"a\": [1,],\n  \"k\": 1\n}");
    }

    #[test]
    fn what_is_no_object_is_told_apart() {
        let why = |bytes: &[u8]| Object::parse(bytes).unwrap_err();
        assert_eq!(why(b""), Unusable::Empty);
        assert_eq!(why(b" // only a comment\n"), Unusable::Empty);
        assert_eq!(why(b"[]"), Unusable::NotObject);
        assert_eq!(why(b"\xff{}"), Unusable::NotText);
        assert_eq!(why(b"{\"a\":"), Unusable::Syntax { line: 1, column: 5 });
        assert!(matches!(why("\u{feff}{}".as_bytes()), Unusable::Syntax { .. }));
        assert!(matches!(why(b"{} /* open"), Unusable::Syntax { .. }));
        assert!(matches!(why("[".repeat(100_000).as_bytes()), Unusable::Syntax { .. }));
    }

    fn object() -> impl Strategy<Value = String> {
        let gap = prop_oneof![Just(""), Just(" "), Just("\n  "), Just(" // c\n"), Just("/* , } \" */"), Just("\r\n\t")];
        let value = prop_oneof![Just("1"), Just("\"}\\\",\""), Just("[1, {\"x\": []}]"), Just("null"), Just("{}")];
        // A comment between a key and its value goes with them, so there is none here.
        let plain = prop_oneof![Just(""), Just(" "), Just("\n")];
        let member = ("[a-d\u{e9}]{1,2}", gap.clone(), plain.clone(), plain, value)
            .prop_map(|(key, a, b, c, value)| format!("{a}\"{key}\"{b}:{c}{value}"));
        (gap.clone(), prop::collection::vec((member, gap.clone()), 0..5), gap.clone(), gap).prop_map(
            |(before, members, inside, after)| {
                let body: Vec<String> = members.into_iter().map(|(m, gap)| format!("{m}{gap}")).collect();
                format!("{before}{{{}{inside}}}{after}", body.join(","))
            },
        )
    }
    fn comments(text: &str) -> usize {
        text.matches("/* , } \" */").count() + text.matches("// c").count()
    }

    proptest! {
        #[test]
        fn any_edit_keeps_every_other_member_and_every_comment(text in object(), key in "[a-d]{1,2}", add in any::<bool>()) {
            let parsed = Object::parse(text.as_bytes()).unwrap();
            let change = if add { Change::Set(key.clone(), json!("new")) } else { Change::Remove(key.clone()) };
            // `edited` compares the meaning itself; here: that it always finds a way, and the comments.
            if let Some(edited) = parsed.edited(&[change], true).unwrap() {
                prop_assert_eq!(comments(&edited), comments(&text));
                let again = Object::parse(edited.as_bytes()).unwrap();
                prop_assert_eq!(again.get(&key).cloned(), add.then(|| json!("new")));
            }
        }

        #[test]
        fn adding_and_removing_gives_the_same_meaning_back(text in object()) {
            let parsed = Object::parse(text.as_bytes()).unwrap();
            let added = parsed.edited(&[Change::Set("new".into(), json!(1))], true).unwrap().unwrap();
            let again = Object::parse(added.as_bytes()).unwrap();
            let back = again.edited(&[Change::Remove("new".into())], true).unwrap().unwrap();
            prop_assert_eq!(comments(&back), comments(&text));
            prop_assert_eq!(Object::parse(back.as_bytes()).unwrap().members().len(), parsed.members().len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\",:/*\\\\ \na1é]{0,60}") {
            for input in [&bytes[..], text.as_bytes()] {
                if let Ok(object) = Object::parse(input) {
                    let _ = object.edited(&[Change::Set("k".into(), json!(1)), Change::Remove("a".into())], true);
                }
            }
        }
    }
}
