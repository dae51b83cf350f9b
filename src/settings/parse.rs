//! Text to value, by kind: pure, bounded, and with a message that says what would be right.

use super::{
    mistake::shown,
    registry::Kind,
    value::{Secret, Value},
};
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// The longest span of time that a setting takes.
const LONGEST: Duration = Duration::from_secs(366 * 86400);

/// Parses the environment's spelling of a value.
pub(super) fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    if text.contains('\0') {
        return Err("contains a NUL character".to_owned());
    }
    // Text and secrets are the user's to the last blank; everything else has no use for white space.
    let trimmed = text.trim();
    match kind {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Secret => Ok(Value::Secret(Secret::new(text.to_owned()))),
        Kind::Path => path(trimmed).map(Value::Text),
        Kind::Address => address(trimmed).map(Value::Text),
        Kind::Host => host(trimmed).map(Value::Text),
        Kind::User => user(trimmed).map(|()| Value::Text(trimmed.to_owned())),
        Kind::Command => words(trimmed).map(|_| Value::Text(trimmed.to_owned())),
        Kind::List => Ok(Value::List(
            trimmed
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter(|w| !w.is_empty())
                .map(str::to_owned)
                .collect(),
        )),
        Kind::Bool => boolean(trimmed).map(Value::Bool),
        Kind::Int { min, max } => whole(trimmed, min, max).map(Value::Int),
        Kind::Float { min, max } => trimmed
            .parse::<f64>()
            .ok()
            .filter(|n| (min..=max).contains(n))
            .map(Value::Float)
            .ok_or_else(|| format!("{} is not a number from {min} to {max}", shown(trimmed))),
        Kind::OneOf(choices) => choices
            .iter()
            .find(|word| word.eq_ignore_ascii_case(trimmed))
            .map(|word| Value::Text((*word).to_owned()))
            .ok_or_else(|| format!("{} is none of: {}", shown(trimmed), choices.join(", "))),
        Kind::Duration => duration(trimmed).map(Value::Duration),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!("{} is not a boolean; use true or false", shown(text))),
    }
}

fn whole(text: &str, min: i64, max: i64) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(number) => Err(format!("{number} is out of range; use a whole number from {min} to {max}")),
        // Kubernetes sets NAME_PORT=tcp://ADDRESS:PORT for a Service called NAME.
        Err(_) if text.starts_with("tcp://") || text.starts_with("udp://") => Err(format!(
            "{} is Kubernetes' variable for a Service of that name, not a number; rename the Service or set \
             enableServiceLinks: false",
            shown(text)
        )),
        Err(_) => Err(format!("{} is not a whole number from {min} to {max}", shown(text))),
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else if text.starts_with('~') {
        Err(format!("{} is not expanded here; write the whole path, beginning with /", shown(text)))
    } else {
        Err(format!("{} is a relative path; write the whole path, beginning with /", shown(text)))
    }
}

/// `IP:PORT` or `[v6]:PORT`. No name is resolved: PID 1 does no DNS.
fn address(text: &str) -> Result<String, String> {
    match SocketAddr::from_str(text) {
        Ok(address) if address.port() != 0 => Ok(text.to_owned()),
        Ok(_) => Err(format!("{} has port 0; use a port from 1 to 65535", shown(text))),
        Err(_) => {
            let hint = match text.rsplit_once(':') {
                Some(("localhost", port)) => format!("write 127.0.0.1:{port}"),
                Some(("" | "*", port)) => format!("write 0.0.0.0:{port}"),
                None if text.parse::<u16>().is_ok() => format!("write 0.0.0.0:{text}"),
                _ => "write IP:PORT, such as 127.0.0.1:8079 or [::1]:8079".to_owned(),
            };
            Err(format!("{} is not an address; {hint}", shown(text)))
        }
    }
}

/// An IP address, or a name (an interface, `localhost`); four numbers that are no address are a slip.
fn host(text: &str) -> Result<String, String> {
    let named = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.len() <= 253;
    if IpAddr::from_str(text).is_ok() || named {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not an IP address or a host name (a port has a setting of its own)", shown(text)))
    }
}

/// `uid[:gid]` in numbers; names would need a look-up that a static binary does not do.
pub(super) fn user(text: &str) -> Result<(), String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    // 2^32 - 1 means "leave unchanged" to setresuid(2).
    let good = |id: &str| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && id.parse::<u32>().is_ok_and(|id| id != u32::MAX)
    };
    if good(uid) && good(gid) {
        Ok(())
    } else {
        Err(format!("{} is not UID or UID:GID in numbers (names are not looked up), such as 10001:10001", shown(text)))
    }
}

/// A command line as a POSIX shell splits words; nothing is expanded.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    match shlex::split(text) {
        Some(words) if words.first().is_some_and(|word| !word.is_empty()) => Ok(words),
        Some(_) => Err("is an empty command line".to_owned()),
        None => Err(format!("{} has a quote or backslash without an end", shown(text))),
    }
}

/// `8s`, `500ms`, `2m`, `1h`; a bare number is seconds. At most 366 days.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{} is not a span of time (at most 366 days); use 500ms, 8s, 2m or 1h", shown(text));
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|n| Duration::try_from_secs_f64(n * scale).ok())
        .filter(|span| *span <= LONGEST)
        .ok_or_else(wrong)
}

/// A span of time in the spelling that `duration` reads: `500ms`, `8s`, `1m30s` is `90s`.
pub fn duration_text(span: Duration) -> String {
    let seconds = span.as_secs();
    match span.subsec_nanos() {
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        _ => format!("{}ms", span.as_secs_f64() * 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_keep_their_units() {
        for (text, ms) in
            [("8", 8000), ("8s", 8000), ("500ms", 500), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(ms), "{text}");
            assert_eq!(duration(&duration_text(Duration::from_millis(ms))).unwrap(), Duration::from_millis(ms));
        }
        for text in ["", "s", "-1s", "8 days", "8d", "1e9h", "999999h", "nan", "inf", "1.2.3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_are_never_guessed() {
        for text in ["enabled", "y", "t", "2", "True!", "-"] {
            assert!(parse(Kind::Bool, text).unwrap_err().contains("use true or false"), "{text}");
        }
        for text in ["1", "TRUE", " yes ", "On"] {
            assert_eq!(parse(Kind::Bool, text), Ok(Value::Bool(true)), "{text}");
        }
    }

    #[test]
    fn addresses_are_numbers_and_the_hint_says_which() {
        assert!(parse(Kind::Address, "0.0.0.0:8079").is_ok());
        assert!(parse(Kind::Address, "[::1]:8079").is_ok());
        assert!(parse(Kind::Address, ":8079").unwrap_err().contains("write 0.0.0.0:8079"));
        assert!(parse(Kind::Address, "localhost:80").unwrap_err().contains("write 127.0.0.1:80"));
        assert!(parse(Kind::Address, "127.0.0.1:0").unwrap_err().contains("port 0"));
        assert!(parse(Kind::Address, "127.0.0.1:70000").is_err());
        assert!(parse(Kind::Host, "eth0").is_ok());
        assert!(parse(Kind::Host, "300.1.1.1").is_err());
        assert!(parse(Kind::Host, "0.0.0.0:8000").is_err());
    }

    #[test]
    fn a_kubernetes_service_variable_in_the_place_of_a_port_is_named() {
        let message = parse(Kind::Int { min: 1, max: 65535 }, "tcp://10.0.0.1:8000").unwrap_err();
        assert!(message.contains("enableServiceLinks"), "{message}");
    }

    #[test]
    fn users_are_numbers() {
        for text in ["10001", "10001:10001", "0:0"] {
            assert!(user(text).is_ok(), "{text}");
        }
        for text in ["node", "10001:", ":1", "-1", "+1", "4294967295", "1:2:3", "1 2"] {
            assert!(user(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_and_texts_keep_their_blanks() {
        assert_eq!(parse(Kind::Text, " a "), Ok(Value::Text(" a ".to_owned())));
        assert_eq!(parse(Kind::Secret, " p "), Ok(Value::Secret(Secret::new(" p ".to_owned()))));
    }
}
