//! Reads the typed fields of one TOML table and notes what does not fit, with its line.

use super::{
    fields::Field,
    file::{Data, Node},
    mistake::{Ledger, shown},
    parse,
    resolve::at,
    unknown,
};
use std::{collections::BTreeSet, path::Path, time::Duration};

/// Reads the fields of one table by name; what is never asked for is unknown.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    /// `service.db` or `service.db.readiness`.
    pub(super) at: String,
    pub(super) entries: &'a [(String, Node)],
    pub(super) ledger: &'a mut Ledger,
}

impl<'a> Reader<'a> {
    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// Notes a mistake at the field's line.
    pub(super) fn mistake(&mut self, name: &str, message: &str) {
        let line = self.node(name).map_or(0, |node| node.line);
        self.ledger.mistake(at(self.path, line), format!("`{}.{name}` {message}", self.at));
    }

    /// The value, or a mistake at the field's line.
    pub(super) fn good<T>(&mut self, name: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.mistake(name, &message)).ok()
    }

    pub(super) fn wrong_type(&mut self, name: &str, wanted: &str, data: &Data) {
        self.mistake(name, &format!("takes {wanted}, not {}", data.type_name()));
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match &self.node(name)?.data {
            Data::Text(text) if text.is_empty() => self.mistake(name, "is empty; leave it out or fill it in"),
            Data::Text(text) if text.contains('\0') => self.mistake(name, "contains a NUL character"),
            Data::Text(text) => return Some(text.clone()),
            data => self.wrong_type(name, "a string", data),
        }
        None
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match &self.node(name)?.data {
            Data::Bool(word) => return Some(*word),
            data => self.wrong_type(name, "true or false", data),
        }
        None
    }

    pub(super) fn int(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        match &self.node(name)?.data {
            Data::Int(number) if (min..=max).contains(number) => return Some(*number),
            Data::Int(number) => self.mistake(name, &format!("= {number} is out of range; use {min} to {max}")),
            data => self.wrong_type(name, "a whole number", data),
        }
        None
    }

    pub(super) fn share(&mut self, name: &str) -> Option<f64> {
        let number = match &self.node(name)?.data {
            Data::Float(number) => *number,
            Data::Int(number) => *number as f64,
            data => {
                self.wrong_type(name, "a number from 0 to 1", data);
                return None;
            }
        };
        if (0.0..=1.0).contains(&number) {
            Some(number)
        } else {
            self.mistake(name, &format!("= {number} is out of range; use 0 to 1"));
            None
        }
    }

    pub(super) fn duration(&mut self, name: &str, least: Duration) -> Option<Duration> {
        let text = match &self.node(name)?.data {
            Data::Text(text) => text.trim().to_owned(),
            Data::Int(number) => number.to_string(),
            Data::Float(number) => number.to_string(),
            data => {
                self.wrong_type(name, "a span of time such as \"8s\"", data);
                return None;
            }
        };
        let span = self.good(name, parse::duration(&text))?;
        if span < least {
            self.mistake(name, &format!("is too short; use at least {}", parse::duration_text(least)));
            return None;
        }
        Some(span)
    }

    pub(super) fn one_of(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text);
        if found.is_none() {
            self.mistake(name, &format!("= {} is none of: {}", shown(&text), words.join(", ")));
        }
        found.copied()
    }

    pub(super) fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let Data::List(nodes) = &self.node(name)?.data else {
            let data = &self.node(name)?.data;
            self.wrong_type(name, "a list of strings", data);
            return None;
        };
        let mut words = Vec::new();
        for node in nodes {
            match &node.data {
                Data::Text(word) if word.contains('\0') => self.mistake(name, "contains a NUL character"),
                Data::Text(word) => words.push(word.clone()),
                data => self.wrong_type(name, "a list of strings", data),
            }
        }
        (words.len() == nodes.len()).then_some(words)
    }

    /// A list of names without repetition.
    pub(super) fn names(&mut self, name: &str) -> Option<Vec<String>> {
        let words = self.list(name)?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = words.iter().find(|word| !seen.insert(word.as_str())) {
            self.mistake(name, &format!("names {} twice", shown(twice)));
        }
        Some(words)
    }

    pub(super) fn command(&mut self, name: &str) -> Option<Vec<String>> {
        if let Data::Text(text) = &self.node(name)?.data {
            let words = parse::words(text).and_then(|words| {
                if text.contains('\0') { Err("contains a NUL character".to_owned()) } else { Ok(words) }
            });
            return self.good(name, words);
        }
        let words = self.list(name)?;
        if words.first().is_none_or(|program| program.is_empty()) {
            self.mistake(name, "is empty; the first word is the program");
            return None;
        }
        Some(words)
    }

    /// The sub-table of this name.
    pub(super) fn table(&mut self, name: &str) -> Option<Reader<'_>> {
        match &self.node(name)?.data {
            Data::Table(entries) => {
                let at = format!("{}.{name}", self.at);
                Some(Reader { path: self.path, at, entries, ledger: &mut *self.ledger })
            }
            data => {
                self.wrong_type(name, "a table", data);
                None
            }
        }
    }

    /// Reports every key that is no field.
    pub(super) fn finish(&mut self, fields: &[Field]) {
        for (name, node) in self.entries {
            if fields.iter().any(|field| field.name == name) {
                continue;
            }
            let hint = match unknown::nearest(name, fields.iter().map(|field| field.name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let all: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    format!("the keys are {}", all.join(", "))
                }
            };
            self.ledger.mistake(at(self.path, node.line), format!("unknown key `{}.{name}`; {hint}", self.at));
        }
    }
}
