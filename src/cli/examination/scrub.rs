//! Takes out of a text what must not leave the machine: known secrets, and what looks like one.
//!
//! A bundle is read by strangers. Known secrets are replaced wherever they stand, also inside other texts; after
//! that, words that have the look of a token and values whose name says that they are secret.

use serde_json::Value;

const GONE: &str = "[redacted]";
/// Shorter secrets are not searched for inside texts: `on` would take half of the words with it.
const SHORTEST: usize = 4;

/// What is taken out.
#[derive(Debug, Default)]
pub(in crate::cli) struct Scrub {
    secrets: Vec<String>,
}

impl Scrub {
    /// With these secrets; of two where one contains the other, the longer goes first.
    pub(in crate::cli) fn new(secrets: impl Iterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// The value without secrets; names and structure stay.
    pub(in crate::cli) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(all) => {
                // An argument list: `--password` and its value are two texts.
                let mut hide = false;
                let item = |value| match value {
                    Value::String(text) => {
                        let hidden =
                            std::mem::replace(&mut hide, announces(text.rsplit(' ').next().unwrap_or_default()));
                        if hidden && !text.is_empty() { GONE.into() } else { self.text(&text).into() }
                    }
                    value => self.value(value),
                };
                all.into_iter().map(item).collect()
            }
            Value::Object(map) => map
                .into_iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::String(text) if says_secret(&name) && !text.is_empty() => Value::String(GONE.to_owned()),
                        value => self.value(value),
                    };
                    (self.text(&name), value)
                })
                .collect(),
            other => other,
        }
    }

    /// The text without secrets.
    pub(in crate::cli) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), GONE);
        }
        let mut out = String::with_capacity(text.len());
        let mut hide_next = false;
        for piece in
            text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')'))
        {
            let end = piece
                .char_indices()
                .next_back()
                .filter(|(_, c)| !c.is_alphanumeric() && (c.is_whitespace() || "\"',;()".contains(*c)));
            let (word, rest) = piece.split_at(end.map_or(piece.len(), |(at, _)| at));
            out += &if hide_next && !word.is_empty() { GONE.to_owned() } else { scrubbed(word) };
            out += rest;
            if !word.is_empty() {
                hide_next = announces(word);
            }
        }
        out
    }
}

/// What comes next is a secret: `--password X`, `Bearer X`, `token: X`.
fn announces(word: &str) -> bool {
    let name = word.trim_start_matches('-').trim_end_matches([':', '=']);
    name.eq_ignore_ascii_case("bearer")
        || name.eq_ignore_ascii_case("basic")
        || ((word.starts_with("--") || word.ends_with([':', '='])) && !word.contains(['=', '/']) && says_secret(name))
        || (word.ends_with('=') && says_secret(name))
}

/// One word: `NAME=value` of a secret name, credentials in an address, or the look of a token.
fn scrubbed(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
    {
        if says_secret(name.rsplit(['?', '&', '-']).next().unwrap_or(name)) || says_secret(name) {
            return format!("{name}={GONE}");
        }
        return format!("{name}={}", scrubbed(value));
    }
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((user, host)) = rest.split_once('@')
        && !user.contains('/')
    {
        return format!("{scheme}://{GONE}@{host}");
    }
    if looks_like_a_token(word) { GONE.to_owned() } else { word.to_owned() }
}

/// Names of secrets: `..._TOKEN`, `password`, `apiKey`, `client_secret`.
fn says_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    // The file that holds it, or whether it is there, is no secret.
    if name.ends_with("file") || name.ends_with("path") || name.ends_with("enabled") {
        return false;
    }
    [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "credential",
        "authorization",
        "privatekey",
        "accesskey",
        "cookie",
    ]
    .iter()
    .any(|word| name.ends_with(word))
}

/// Prefixes that providers give their tokens, a JWT, or a long run of letters and digits mixed without a path.
fn looks_like_a_token(word: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "sk-",
        "sk_",
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
        "ya29.",
        "npm_",
        "hf_",
    ];
    let long = word.len() >= 20;
    if long && PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return true;
    }
    if long && word.starts_with("eyJ") {
        return true;
    }
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'=' | b'.'));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let lower = word.bytes().any(|b| b.is_ascii_lowercase());
    let upper = word.bytes().any(|b| b.is_ascii_uppercase());
    word.len() >= 32 && plain && digits >= 4 && lower && upper && word.matches(['.', '-', '_']).count() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_known_secret_is_taken_out_wherever_it_stands() {
        let scrub = Scrub::new(["hunter2".to_owned(), "hunter2-long".to_owned()].into_iter());
        assert_eq!(scrub.text("x --login=hunter2-long;y"), "x --login=[redacted];y");
        let value = scrub.value(json!({"a": ["b hunter2"], "hunter2": 1}));
        assert!(!value.to_string().contains("hunter2"), "{value}");
        let args = scrub.value(json!(["x", "--password", "s3cr3t", "-v", "Bearer", "abc"]));
        assert_eq!(args, json!(["x", "--password", "[redacted]", "-v", "Bearer", "[redacted]"]));
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        let scrub = Scrub::default();
        for (text, secret) in [
            ("run --password s3cr3t now", "s3cr3t"),
            ("run --api-key=s3cr3t now", "s3cr3t"),
            ("Authorization: Bearer abc.def", "abc.def"),
            ("OPENAI_API_KEY=sk-1", "sk-1"),
            ("curl http://user:pass@127.0.0.1/", "pass"),
            ("http://127.0.0.1/?x=1&token=s3cr3t", "s3cr3t"),
            ("it said ghp_0123456789abcdefghij", "ghp_"),
            ("key sk-proj-0123456789abcdefghij.", "sk-proj"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "eyJ"),
            ("id aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fG", "aB3d"),
        ] {
            assert!(!scrub.text(text).contains(secret), "{text} -> {}", scrub.text(text));
        }
    }

    #[test]
    fn what_helps_is_kept() {
        let scrub = Scrub::default();
        for text in [
            "/opt/cache/skill-runner/npm/lib/node_modules/@openai/codex/bin/codex.js",
            "UI_BASIC_AUTH_PASSWORD_FILE=/run/secrets/ui",
            "6.12.0-1-amd64 4.18.0-553.el8_10.x86_64",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "exit 3: probe: connection refused (127.0.0.1:8000)",
        ] {
            assert_eq!(scrub.text(text), text);
        }
        assert_eq!(scrub.value(json!({"auth_ready": true, "token": 3})), json!({"auth_ready": true, "token": 3}));
        assert_eq!(scrub.value(json!({"access_token": "x"})), json!({"access_token": "[redacted]"}));
    }

    proptest! {
        #[test]
        fn a_known_secret_never_survives(before in ".{0,20}", secret in "[!-~]{4,20}", after in ".{0,20}") {
            prop_assume!(!GONE.contains(&secret) );
            let scrub = Scrub::new(std::iter::once(secret.clone()));
            let out = scrub.text(&format!("{before}{secret}{after}"));
            // What stands around the gap can by chance spell the secret anew.
            prop_assert!(!out.contains(&secret) || format!("{before}{GONE}{after}").contains(&secret), "{}", out);
        }
    }
}
