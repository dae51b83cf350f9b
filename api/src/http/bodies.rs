//! What the bodies that are read as a whole (JSON, short forms) may take of the memory, each and all together.
//!
//! A container of half a GiB must survive whoever sends what is allowed, as often as is allowed: a number of two bytes
//! becomes a value of seventy, and a body is held from its first byte to the answer.

use crate::error::ApiError;
use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most bytes of a body; multipart forms have limits of their own.
pub const BODY_MAX: usize = 8 << 20;
/// Most values, with the names of members, in a JSON body.
pub const VALUES_MAX: usize = 250_000;
/// Most bytes of all bodies at a time.
const TOGETHER: usize = 8 * BODY_MAX;
/// Bodies up to this size are not counted: what asks and orders goes on while large ones are refused.
const SMALL: usize = 64 * 1024;

/// The bytes that are left for bodies.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER)))
    }
}

/// Refuses a large body while there is no room for it: 503, before any of it is read.
pub async fn counted(State(room): State<Room>, request: Request, next: Next) -> Response {
    let size = held(&request);
    if size <= SMALL {
        return next.run(request).await;
    }
    // A u32 holds BODY_MAX.
    let Ok(_held) = room.0.try_acquire_many(u32::try_from(size).unwrap_or(u32::MAX)) else {
        let told = "too many large requests at once; send it again later";
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, told).into_response();
    };
    next.run(request).await
}

/// Bytes that the request's body may take of the memory.
fn held(request: &Request) -> usize {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let multipart = header(CONTENT_TYPE).to_ascii_lowercase().starts_with(b"multipart/");
    // Streamed to the disk, but for the text of a page's form, which has the same limit.
    if multipart && !request.uri().path().starts_with("/ui/") {
        return 0;
    }
    // hyper has checked both: a body without a length comes in chunks.
    match std::str::from_utf8(header(CONTENT_LENGTH)).ok().and_then(|length| length.parse().ok()) {
        Some(length) => BODY_MAX.min(length),
        None if header(TRANSFER_ENCODING).is_empty() => 0,
        None => BODY_MAX,
    }
}

/// How many values and names a JSON text has at most. Right for JSON; of anything else, right up to where it stops to be.
pub fn values(text: &[u8]) -> usize {
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
            let (told, truth) = (values(value.to_string().as_bytes()), in_it(&value));
            prop_assert!(told >= truth && told <= 2 * truth, "{told} for {truth}");
            prop_assert!(values(serde_json::to_string_pretty(&value).unwrap().as_bytes()) == told);
        }
    }

    #[test]
    fn text_is_one_value() {
        assert_eq!(values(br#""a,b:[{\",\\,""#), 1);
        assert_eq!(values(br#"{"a,": ["\\", ",", 1]}"#), 1 + 1 + 1 + 1 + 2);
    }
}
