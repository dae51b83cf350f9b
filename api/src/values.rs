//! JSON that somebody else wrote: a number of two bytes is a value of seventy, so values are counted before they are made.

use serde::de::{DeserializeOwned, Error};

/// Most values, with the names of members, of a JSON text: 50 MB of them at most.
pub(crate) const VALUES_MAX: usize = 250_000;

/// Bytes that one of them takes at most, on average: `[0],` is two, and an array of four.
pub(crate) const VALUE_BYTES: usize = 200;
/// Values up to which a text for people is indented: at a depth of a hundred the indentation is a hundred times the rest.
const INDENTED: usize = 10_000;

/// JSON for people: indented, unless it is large. The error is a value that is no JSON.
pub(crate) fn pretty(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let text = serde_json::to_vec(value)?;
    if count(&text) > INDENTED { Ok(text) } else { serde_json::to_vec_pretty(value) }
}

/// Parses a JSON text that is not larger than that.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    if count(text) > VALUES_MAX {
        return Err(serde_json::Error::custom(format!("it has more than {VALUES_MAX} values")));
    }
    serde_json::from_slice(text)
}

/// How many values and names a JSON text has at most. Right for JSON; of anything else, right up to where it stops to be.
pub(crate) fn count(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b',' | b':' | b'[' | b'{') => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn in_it(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(in_it).sum::<usize>(),
            Value::Object(members) => 1 + members.values().map(|value| 1 + in_it(value)).sum::<usize>(),
            _ => 1,
        }
    }

    fn json_values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from)];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((".*", inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_is_left_out(value in json_values()) {
            let (told, truth) = (count(value.to_string().as_bytes()), in_it(&value));
            prop_assert!(told >= truth && told <= 2 * truth, "{told} for {truth}");
            prop_assert!(count(serde_json::to_string_pretty(&value).unwrap().as_bytes()) == told);
        }
    }

    #[test]
    fn a_value_is_not_larger_than_is_reckoned_with() {
        // The smallest array has room for four.
        assert!(5 * size_of::<Value>() <= 2 * VALUE_BYTES, "{}", size_of::<Value>());
    }

    #[test]
    fn what_is_large_is_not_indented() {
        let deep = |width: usize| {
            let leaves = Value::from(vec![Value::from(vec![0]); width]);
            (0..100).fold(leaves, |inner, _| Value::from(vec![inner]))
        };
        let (small, large) = (pretty(&deep(10)).unwrap(), pretty(&deep(100_000)).unwrap());
        assert!(small.contains(&b'\n') && large.len() < 600_000, "{}", large.len());
    }

    #[test]
    fn text_is_one_value() {
        assert_eq!(count(br#""a,b:[{\",\\,""#), 1);
        assert_eq!(count(br#"{"a,": ["\\", ",", 1]}"#), 1 + 1 + 1 + 1 + 2);
    }

    #[test]
    fn what_has_too_many_is_not_parsed() {
        let with = |count: usize| format!("[0{}]", ",0".repeat(count - 2));
        assert_eq!(parse::<Vec<u8>>(with(VALUES_MAX).as_bytes()).unwrap().len(), VALUES_MAX - 1);
        let error = parse::<Vec<u8>>(with(VALUES_MAX + 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
