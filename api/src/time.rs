//! Wall-clock time as the surface shows it: RFC 3339 in UTC with milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub type Millis = i64;

/// Now, in milliseconds since 1970.
pub fn now_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| Millis::try_from(d.as_millis()).unwrap_or(Millis::MAX))
}

/// `2026-11-23T14:00:00.000Z`.
pub fn rfc3339(ms: Millis) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_millis(at).to_string()
}

/// Reads RFC 3339, with or without a fraction, `Z` or nothing (UTC is meant); `None` where it is something else.
pub fn parse(text: &str) -> Option<Millis> {
    let text = text.trim();
    let text = text.strip_suffix("+00:00").unwrap_or(text);
    let at = humantime::parse_rfc3339_weak(text).ok()?;
    Millis::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(parse(&rfc3339(1_795_442_400_123)), Some(1_795_442_400_123));
        assert_eq!(parse("2026-11-23T14:00:00"), parse("2026-11-23T14:00:00+00:00"));
        assert_eq!(parse("yesterday"), None);
    }
}
