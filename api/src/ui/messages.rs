//! The catalogue of words: one JSON file per language, chosen by `Accept-Language`. English is the source; what another
//! language lacks is shown in English. A new language is a file beside the others and a line in [`LANGUAGES`].

use serde_json::{Map, Value};
use std::sync::OnceLock;

/// A language of the catalogue.
#[derive(Debug)]
pub(super) struct Language {
    /// As in `<html lang>`.
    pub(super) tag: &'static str,
    source: &'static str,
    words: OnceLock<Map<String, Value>>,
}

/// Every language; the first one is the source and the default.
pub(super) static LANGUAGES: [Language; 2] =
    [Language::new("en", include_str!("messages/en.json")), Language::new("zh", include_str!("messages/zh.json"))];

impl Language {
    const fn new(tag: &'static str, source: &'static str) -> Self {
        Self { tag, source, words: OnceLock::new() }
    }

    fn words(&self) -> &Map<String, Value> {
        // The file is part of the program, and a test reads it.
        self.words.get_or_init(|| serde_json::from_str(self.source).unwrap_or_default())
    }

    /// The words of a key; the key itself where no language has it.
    pub(super) fn text<'k>(&'static self, key: &'k str) -> &'k str
    where
        'static: 'k,
    {
        let [source, ..] = &LANGUAGES;
        let of = |language: &'static Self| language.words().get(key).and_then(Value::as_str);
        of(self).or_else(|| of(source)).unwrap_or(key)
    }

    /// The words whose keys begin with `script.`, for the page's script.
    pub(super) fn for_script(&'static self) -> Value {
        let [source, ..] = &LANGUAGES;
        let keys = source.words().keys().filter_map(|key| key.strip_prefix("script."));
        Value::Object(keys.map(|key| (key.to_owned(), self.text(&format!("script.{key}")).into())).collect())
    }
}

/// The language that a browser likes best of those that there are (RFC 9110, 12.5.4), and its place in [`LANGUAGES`].
pub(super) fn choose(accept: Option<&str>) -> usize {
    let mut best = (0, 0.0);
    for wish in accept.unwrap_or_default().split(',') {
        let (tag, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
        let weight: f32 = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok()).unwrap_or(0.0);
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(at) = LANGUAGES.iter().position(|language| language.tag == primary)
            && weight > best.1
        {
            best = (at, weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_best_liked_language_is_chosen_and_english_where_there_is_none() {
        for (accept, tag) in [
            (None, "en"),
            (Some(""), "en"),
            (Some("fr"), "en"),
            (Some("zh-CN,zh;q=0.9,en;q=0.8"), "zh"),
            (Some("en-GB;q=0.9, zh;q=0.2"), "en"),
            (Some("fr, zh-Hant;q=0.5"), "zh"),
            (Some("zh;q=0"), "en"),
            (Some("zh;q=x, en;q=0.1"), "en"),
        ] {
            assert_eq!(LANGUAGES[choose(accept)].tag, tag, "{accept:?}");
        }
    }

    fn holes(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_language_has_every_word_with_the_same_holes() {
        let [source, others @ ..] = &LANGUAGES;
        assert!(source.words().len() > 100);
        for other in others {
            for (key, text) in source.words() {
                let there = other.words().get(key).unwrap_or_else(|| panic!("{}: {key} is missing", other.tag));
                assert_eq!(holes(text.as_str().unwrap()), holes(there.as_str().unwrap()), "{}: {key}", other.tag);
            }
            assert_eq!(source.words().len(), other.words().len(), "{} has words that nobody asks for", other.tag);
        }
    }
}
