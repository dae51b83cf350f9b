//! Wall-clock time as text, UTC only, without a time zone database (RFC 3339; proleptic Gregorian).
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub i64);

impl Utc {
    /// Now.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// `2026-11-23T14:03:02.417Z`.
    pub fn rfc3339(self) -> String {
        let (y, mo, d, h, mi, s, ms) = self.fields();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z")
    }

    /// `20261123T140302Z`: for file names.
    pub fn compact(self) -> String {
        let (y, mo, d, h, mi, s, _) = self.fields();
        format!("{y:04}{mo:02}{d:02}T{h:02}{mi:02}{s:02}Z")
    }

    /// Reads RFC 3339 with any offset and any number of fractional digits.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let is = |at: usize, allowed: &str| text.get(at..at + 1).is_some_and(|c| allowed.contains(c));
        if !(is(4, "-") && is(7, "-") && is(10, "Tt ") && is(13, ":") && is(16, ":")) {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let rest = text.get(19..)?;
        let digits = rest.strip_prefix('.').map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
        let fraction: String = rest.chars().skip(1).take(digits.min(3)).collect();
        let millis = format!("{fraction:0<3}").parse::<i64>().ok()?;
        let zone = rest.get(if digits == 0 { 0 } else { digits + 1 }..)?;
        let offset = match zone.as_bytes() {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), a, b, b':', c, d] if [a, b, c, d].iter().all(|x| x.is_ascii_digit()) => {
                let digit = |x: &u8| i64::from(x - b'0');
                let minutes = (digit(a) * 10 + digit(b)) * 60 + digit(c) * 10 + digit(d);
                if *sign == b'-' { -minutes } else { minutes }
            }
            _ => return None,
        };
        let seconds = days(year, month, day) * 86400 + hour * 3600 + (minute - offset) * 60 + second;
        Some(Self(seconds * 1000 + millis))
    }

    fn fields(self) -> (i64, i64, i64, i64, i64, i64, i64) {
        let (seconds, ms) = (self.0.div_euclid(1000), self.0.rem_euclid(1000));
        let (day, time) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
        // Days to a civil date: years begin in March, so that the leap day is the last of the year.
        let shifted = day + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        (year, month, of_year - (153 * march + 2) / 5 + 1, time / 3600, time / 60 % 60, time % 60, ms)
    }
}

impl From<SystemTime> for Utc {
    fn from(time: SystemTime) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

/// Days from 1970-01-01 to this date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_442_582_417, "2026-11-23T14:03:02.417Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Utc(ms).rfc3339(), text);
            assert_eq!(Utc::parse(text), Some(Utc(ms)));
        }
        assert_eq!(Utc(1_795_442_582_417).compact(), "20261123T140302Z");
    }

    #[test]
    fn offsets_and_long_fractions_are_read_and_nonsense_is_not() {
        assert_eq!(Utc::parse("2026-11-23T15:03:02.417999+01:00"), Some(Utc(1_795_442_582_417)));
        assert_eq!(Utc::parse("2026-11-23T14:03:02Z"), Some(Utc(1_795_442_582_000)));
        for bad in ["", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T14:03:02", "2026-11-23T14:03:02+1", "é"] {
            assert_eq!(Utc::parse(bad), None, "{bad}");
        }
    }
}
