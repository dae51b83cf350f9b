//! Options as getopt(3) reads them: grouped letters, values attached or apart, abbreviated long names.
//!
//! Stops at the first operand or behind `--`, which is what lets a command keep options of its own.

use std::ffi::CStr;

/// One thing on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// A known option, with its value if it takes one.
    Option(u8, Option<&'static [u8]>),
    /// A letter or long name that is not known (or not unambiguous).
    Unknown(&'static [u8]),
    /// The option that takes a value is the last word.
    MissingValue(u8),
}

/// What options there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    /// Letters without a value.
    pub(super) flags: &'static [u8],
    /// Letters with a value.
    pub(super) values: &'static [u8],
    /// Long names and the letters they stand for.
    pub(super) long: &'static [(&'static str, u8)],
}

/// Reads options from the start of `words`; how many words they took, `--` included.
pub(super) fn scan(grammar: &Grammar, words: &[&'static CStr]) -> (Vec<Item>, usize) {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at).map(|word| word.to_bytes()) {
        match word {
            b"--" => return (items, at + 1),
            [b'-', b'-', long @ ..] if !grammar.long.is_empty() => {
                at += grammar.long(long, words.get(at + 1), &mut items)
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                at += grammar.letters(letters, words.get(at + 1), &mut items)
            }
            _ => break,
        }
    }
    (items, at)
}

impl Grammar {
    /// Reads one word of letters; the number of words used.
    fn letters(&self, letters: &'static [u8], next: Option<&&'static CStr>, items: &mut Vec<Item>) -> usize {
        let mut rest = letters;
        while let [letter, tail @ ..] = rest {
            if self.values.contains(letter) {
                if !tail.is_empty() {
                    items.push(Item::Option(*letter, Some(tail)));
                    return 1;
                }
                return self.value(*letter, next, items);
            }
            items.push(if self.flags.contains(letter) {
                Item::Option(*letter, None)
            } else {
                Item::Unknown(rest.get(..1).unwrap_or(rest))
            });
            rest = tail;
        }
        1
    }

    /// Reads one long option (without its dashes); the number of words used.
    fn long(&self, word: &'static [u8], next: Option<&&'static CStr>, items: &mut Vec<Item>) -> usize {
        let (name, attached) = match word.iter().position(|&byte| byte == b'=') {
            Some(at) => (word.get(..at).unwrap_or(word), word.get(at + 1..)),
            None => (word, None),
        };
        let exact = self.long.iter().find(|(long, _)| long.as_bytes() == name);
        let mut prefixed = self.long.iter().filter(|(long, _)| long.as_bytes().starts_with(name));
        let letter = match (exact, prefixed.next(), prefixed.next()) {
            (Some((_, letter)), ..) | (None, Some((_, letter)), None) => *letter,
            _ => {
                items.push(Item::Unknown(word));
                return 1;
            }
        };
        match (self.values.contains(&letter), attached) {
            (true, None) => self.value(letter, next, items),
            (true, attached) => {
                items.push(Item::Option(letter, attached));
                1
            }
            (false, None) => {
                items.push(Item::Option(letter, None));
                1
            }
            (false, Some(_)) => {
                items.push(Item::Unknown(word));
                1
            }
        }
    }

    fn value(&self, letter: u8, next: Option<&&'static CStr>, items: &mut Vec<Item>) -> usize {
        match next {
            Some(value) => {
                items.push(Item::Option(letter, Some(value.to_bytes())));
                2
            }
            None => {
                items.push(Item::MissingValue(letter));
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: Grammar =
        Grammar { flags: b"cvV", values: b"r", long: &[("rewrite", b'r'), ("verbose", b'v'), ("version", b'V')] };

    #[test]
    fn options_end_at_the_first_operand_or_behind_two_dashes() {
        assert_eq!(scan(&GRAMMAR, &[c"-c", c"ls", c"-v"]), (vec![Item::Option(b'c', None)], 1));
        assert_eq!(scan(&GRAMMAR, &[c"--", c"-c"]), (vec![], 1));
        assert_eq!(scan(&GRAMMAR, &[c"-", c"-c"]), (vec![], 0));
    }

    #[test]
    fn values_are_attached_or_apart_and_letters_are_grouped() {
        let expected = vec![Item::Option(b'c', None), Item::Option(b'r', Some(b"15:3"))];
        assert_eq!(scan(&GRAMMAR, &[c"-cr15:3", c"x"]), (expected.clone(), 1));
        assert_eq!(scan(&GRAMMAR, &[c"-cr", c"15:3", c"x"]), (expected, 2));
        assert_eq!(scan(&GRAMMAR, &[c"--rewrite=15:3"]), (vec![Item::Option(b'r', Some(b"15:3"))], 1));
        assert_eq!(scan(&GRAMMAR, &[c"-r"]), (vec![Item::MissingValue(b'r')], 1));
    }

    #[test]
    fn long_names_may_be_abbreviated_where_only_one_fits() {
        assert_eq!(scan(&GRAMMAR, &[c"--verb"]).0, vec![Item::Option(b'v', None)]);
        assert_eq!(scan(&GRAMMAR, &[c"--ver"]).0, vec![Item::Unknown(b"ver")]);
        assert_eq!(scan(&GRAMMAR, &[c"--verbose=1"]).0, vec![Item::Unknown(b"verbose=1")]);
    }
}
