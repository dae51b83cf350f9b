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

/// Reads RFC 3339 with any offset (none: UTC is meant), also where a query string has made a space of the offset's `+`;
/// `None` where it is something else.
pub fn parse(text: &str) -> Option<Millis> {
    let text = text.trim();
    let (local, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, 0),
        None => split_offset(text)?,
    };
    let (whole, fraction) = local.split_once('.').unwrap_or((local, "0"));
    let (date, clock) = whole.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    // A leap second is the next one.
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    let millis: Millis = format!("{fraction:0<3}").get(..3).filter(|_| digits)?.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    Some(seconds * 1000 + millis)
}

/// A time without its offset, and the offset in minutes.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    let Some((local, offset)) = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) else {
        return Some((text, 0));
    };
    let sign = match offset.chars().next() {
        Some('+' | ' ') => 1,
        Some('-') => -1,
        _ => return Some((text, 0)),
    };
    let [hours, minutes] = numbers(offset.get(1..)?, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some((local, sign * (hours * 60 + minutes)))
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut out = [0; N];
    for (number, digits) in out.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that the leap day is their last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(parse(&rfc3339(1_795_442_400_123)), Some(1_795_442_400_123));
        assert_eq!(parse("2026-11-23T14:00:00"), parse("2026-11-23T14:00:00+00:00"));
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999z", -1),
            ("1970-01-01t08:00:00+08:00", 0),
            ("1970-01-01 08:00:00 08:00", 0),
            ("1969-12-31T14:30:00.5-09:30", 500),
            ("2000-02-29T12:00:00.123456Z", 951_825_600_123),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "yesterday",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.xZ",
            "2026-01-01T00:00:00+24:00",
            "2026-1-01T00:00:00Z",
            "2026-01-01T00:00:00+0800",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00ZZ",
            "ä2026-01-01T00:00:00ä",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_moment_reads_back(ms in 0..253_402_300_800_000_i64) {
            proptest::prop_assert_eq!(parse(&rfc3339(ms)), Some(ms));
        }
    }
}
