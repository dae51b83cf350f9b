//! The few lines of YAML on top of SKILL.md: `name` and `description`.
//!
//! Only scalars are read: plain, quoted, and the folded and literal blocks that skill authors use for descriptions.

/// `name` and `description`, where given.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FrontMatter {
    pub(crate) name: Option<String>,
    pub(super) description: Option<String>,
}

impl FrontMatter {
    /// Reads the block between the first two `---` lines; a file without one has none.
    pub(crate) fn parse(text: &str) -> Self {
        let mut out = Self::default();
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = text.lines().peekable();
        if lines.next().map(str::trim_end) != Some("---") {
            return out;
        }
        while let Some(line) = lines.next() {
            if line.trim_end() == "---" {
                break;
            }
            if line.starts_with([' ', '\t', '#']) {
                continue;
            }
            let Some((key, rest)) = line.split_once(':') else { continue };
            let rest = rest.trim();
            let mut continued = Vec::new();
            while let Some(next) = lines.peek() {
                if next.starts_with([' ', '\t']) || (next.trim().is_empty() && !continued.is_empty()) {
                    continued.push(next.trim().to_owned());
                    lines.next();
                } else {
                    break;
                }
            }
            let value = match rest.chars().next() {
                Some('|') => continued.join("\n").trim_end().to_owned(),
                Some('>') => continued.join(" ").trim_end().to_owned(),
                _ => {
                    let mut value = unquote(rest).to_owned();
                    for part in continued.iter().filter(|part| !part.is_empty()) {
                        value.push(' ');
                        value.push_str(part);
                    }
                    value
                }
            };
            match key.trim() {
                "name" => out.name = Some(value),
                "description" => out.description = Some(value),
                _ => {}
            }
        }
        out
    }
}

fn unquote(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote)) {
            return inner;
        }
    }
    text.split(" #").next().unwrap_or(text).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_quoted_and_folded_values_are_read() {
        let text = "---\nname: demo # the id\ndescription: >-\n  two\n  lines\nmetadata:\n  name: not this\n---\nname: nor this\n";
        let read = FrontMatter::parse(text);
        assert_eq!(read.name.as_deref(), Some("demo"));
        assert_eq!(read.description.as_deref(), Some("two lines"));
        assert_eq!(FrontMatter::parse("---\nname: \"a: b\"\n---").name.as_deref(), Some("a: b"));
        assert_eq!(FrontMatter::parse("# no front matter"), FrontMatter::default());
    }
}
