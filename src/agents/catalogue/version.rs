//! Versions as CLIs print them and packages carry them: three numbers that compare.

use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// A version of three numbers; what follows them (`-nightly.1`) does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64, pub u64, pub u64);

impl Version {
    /// The first `N.N.N` in a text.
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
            let mut parts = word.trim_matches('.').split('.').map(|part| part.parse().ok());
            Some(Self(parts.next()??, parts.next()??, parts.next()??))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::find(&text).ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a version of three numbers")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_lines_that_the_clis_print() {
        assert_eq!(Version::find("codex-cli 0.169.0"), Some(Version(0, 169, 0)));
        assert_eq!(Version::find("2.1.197 (Claude Code)"), Some(Version(2, 1, 197)));
        assert_eq!(Version::find("v1.18.33-beta.1"), Some(Version(1, 18, 33)));
        assert_eq!(Version::find("no version 1.2"), None);
    }
}
