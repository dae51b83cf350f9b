//! Which version is higher: PEP 440, as the reference orders them.

use pep440_rs::Version;
use std::str::FromStr;

/// A package's version; the error is for its author.
pub(super) fn parse(text: &str) -> Result<Version, String> {
    Version::from_str(text.trim())
        .map_err(|_| format!("version \"{text}\" is no version: write dotted numbers such as 1.4.0 (PEP 440)"))
}

/// May `new` take the place of `old`? The error says why not.
///
/// An installed skill without a readable version is older than every version.
pub(super) fn may_replace(new: &str, old: &str) -> Result<(), String> {
    if new.is_empty() {
        return Err(format!(
            "the skill is installed already ({}) and the package has no version: an update needs a higher one",
            if old.is_empty() { "without a version" } else { old }
        ));
    }
    let new_version = parse(new)?;
    match parse(old) {
        Ok(old_version) if new_version <= old_version => {
            Err(format!("version {new} is not higher than the installed {old}; an update needs a higher one"))
        }
        _ => Ok(()),
    }
}

/// A version as the name of a folder.
pub(super) fn folder_name(version: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+!-".contains(c) { c } else { '_' };
    let name: String = version.trim().chars().map(plain).take(64).collect();
    match name.trim_matches('.') {
        "" => "unversioned".to_owned(),
        _ if name.starts_with('.') => format!("_{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_texts() {
        for (new, old) in [
            ("1.10.0", "1.9.0"),
            ("2", "1.99.99"),
            ("1.0", "1.0rc1"),
            ("1.0.post1", "1.0"),
            ("0.1", "whatever"),
            ("1", ""),
        ] {
            assert_eq!(may_replace(new, old), Ok(()), "{new} over {old}");
        }
        for (new, old) in
            [("1.9.0", "1.10.0"), ("1.0", "1.0.0"), ("1.0.dev1", "1.0"), ("", "1.0"), ("", ""), ("x", "1")]
        {
            assert!(may_replace(new, old).is_err(), "{new} over {old}");
        }
    }

    #[test]
    fn any_version_is_a_plain_folder_name() {
        assert_eq!(folder_name("1!2.0+local.1"), "1!2.0+local.1");
        assert_eq!(folder_name("../../etc"), "_.._.._etc");
        assert_eq!((folder_name("").as_str(), folder_name("..").as_str()), ("unversioned", "unversioned"));
    }
}
