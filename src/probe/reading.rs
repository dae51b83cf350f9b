//! A fact that may be unlimited or unknown, and a limit that knows where it was read.
#![forbid(unsafe_code)]

use serde::Serialize;
use std::fmt;

/// What was read: a value, "no limit here", or why it is not known. Never an error that stops a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The value.
    Value(T),
    /// There is no limit (`max`, `-1`, `unlimited`, or the file does not exist where it only exists with a limit).
    Unlimited,
    /// Not known.
    Unknown {
        /// Why: the path and what was wrong with it.
        reason: String,
    },
}

impl<T> Reading<T> {
    /// Unknown, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }
    /// The value, if there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unlimited | Self::Unknown { .. } => None,
        }
    }
    /// The same reading of another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(f(value)),
            Self::Unlimited => Reading::Unlimited,
            Self::Unknown { reason } => Reading::Unknown { reason },
        }
    }
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Value(value),
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Unlimited => f.pad("unlimited"),
            Self::Unknown { reason } => write!(f, "unknown ({reason})"),
        }
    }
}

/// A limit and the file (or call) that it was read from, so that a plan can name what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound<T> {
    /// The limit.
    pub reading: Reading<T>,
    /// The path it came from; of several levels the binding one. Empty where there was nothing to read.
    pub from: String,
}

impl<T> Bound<T> {
    /// A limit read from `from`.
    pub fn new(reading: Reading<T>, from: impl Into<String>) -> Self {
        Self { reading, from: from.into() }
    }
    /// The value, if there is one.
    pub const fn value(&self) -> Option<&T> {
        self.reading.value()
    }
}

impl<T: PartialOrd> Bound<T> {
    /// The tightest of several: the least value; else unknown if one of them is; else unlimited.
    ///
    /// `None` for no bounds at all. Of equal values the first wins, so put the leaf before its ancestors.
    pub fn tightest(bounds: impl IntoIterator<Item = Self>) -> Option<Self> {
        bounds.into_iter().reduce(|best, next| match (&best.reading, &next.reading) {
            (Reading::Value(a), Reading::Value(b)) if b < a => next,
            (Reading::Value(_), _) => best,
            (_, Reading::Value(_)) => next,
            (Reading::Unlimited, Reading::Unknown { .. }) => next,
            _ => best,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beats_unknown_and_unknown_beats_unlimited() {
        let bounds = |readings: Vec<Reading<u64>>| {
            Bound::tightest(readings.into_iter().map(|r| Bound::new(r, "x"))).unwrap().reading
        };
        assert_eq!(bounds(vec![Reading::Unlimited, Reading::unknown("y"), Reading::Value(5)]), Reading::Value(5));
        assert_eq!(bounds(vec![Reading::unknown("y"), Reading::Unlimited]), Reading::unknown("y"));
        assert_eq!(bounds(vec![Reading::Unlimited, Reading::unknown("y")]), Reading::unknown("y"));
        assert_eq!(bounds(vec![Reading::Value(7), Reading::Value(5), Reading::Value(6)]), Reading::Value(5));
    }

    #[test]
    fn of_equal_limits_the_leaf_is_named() {
        let found = Bound::tightest([Bound::new(Reading::Value(5), "leaf"), Bound::new(Reading::Value(5), "parent")]);
        assert_eq!(found.map(|b| b.from), Some("leaf".to_owned()));
    }
}
