//! The beginning of a text that somebody else wrote: what an agent, a skill or a client said may be megabytes long, and a
//! message about it must not be.

/// At most this many bytes of it, never half a character.
pub(crate) fn excerpt(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The same as a text of its own that shows where it was cut.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let start = excerpt(text, most);
    if start.len() < text.len() { format!("{start}…") } else { start.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!([excerpt("aéb", 1), excerpt("aéb", 2), excerpt("aéb", 3), excerpt("", 5)], ["a", "a", "aé", ""]);
        assert_eq!([shown("aéb", 2), shown("aéb", 4)], ["a…", "aéb"]);
    }
}
