//! What the bodies that are read as a whole (JSON, short forms) may take of the memory, each and all together.
//!
//! A container of half a GiB must survive whoever sends what is allowed, as often as is allowed: a number of two bytes
//! becomes a value of seventy, and a body is held from its first byte to the answer.

use crate::error::ApiError;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures_util::StreamExt;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of a body; multipart forms have limits of their own.
pub const BODY_MAX: usize = 8 << 20;
/// How long a body may take that is held while it comes: who sends slowly on purpose holds room no longer.
const LONGEST: Duration = Duration::from_secs(180);
/// Most bytes of all bodies at a time.
const TOGETHER: usize = 8 * BODY_MAX;
/// A body up to this size takes none: what asks and orders goes on while large ones are refused.
const SMALL: usize = 64 * 1024;

/// The bytes that are left for bodies.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER)))
    }
}

impl Room {
    /// Room for one request's body, which takes none yet.
    pub fn part(&self) -> Part {
        Part { room: Arc::clone(&self.0), held: None, size: 0, refused: false }
    }
}

/// What one request's body holds of the room, until it is dropped.
#[derive(Debug)]
pub struct Part {
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    size: usize,
    refused: bool,
}

impl Part {
    /// Takes room for that many bytes more; without it the request is to be refused.
    pub fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.size = self.size.saturating_add(bytes);
        if self.size <= SMALL {
            return Ok(());
        }
        let more = self.size - self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        // Both limits are far below a u32's.
        let taken = u32::try_from(more).ok().and_then(|more| Arc::clone(&self.room).try_acquire_many_owned(more).ok());
        match (taken, &mut self.held) {
            (None, _) => {
                self.refused = true;
                return Err(full());
            }
            (Some(taken), Some(held)) => held.merge(taken),
            (Some(taken), none) => *none = Some(taken),
        }
        Ok(())
    }
}

fn full() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many large requests at once; send it again later")
}

/// The part of a request, for whoever reads its body.
#[derive(Debug, Clone)]
pub struct Share(Arc<Mutex<Part>>);

impl Share {
    /// As [`Part::grow`].
    pub fn grow(&self, bytes: usize) -> Result<(), ApiError> {
        self.part().grow(bytes)
    }
    fn part(&self) -> MutexGuard<'_, Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a large body while there is no room for it: 503, before any of it is read where its length is told.
/// Multipart forms are streamed to the disk; who keeps some of one takes the room for that.
pub async fn counted(State(room): State<Room>, mut request: Request, next: Next) -> Response {
    let (streamed, length) = announced(&request);
    if streamed {
        return next.run(request).await;
    }
    let share = Share(Arc::new(Mutex::new(room.part())));
    request.extensions_mut().insert(share.clone());
    if let Some(length) = length {
        return match share.grow(BODY_MAX.min(length)) {
            Ok(()) => next.run(request).await,
            Err(full) => full.into_response(),
        };
    }
    let counting = share.clone();
    let pieces = |body: Body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let piece = piece?;
            counting.grow(piece.len()).map_err(|full| axum::Error::new(full.to_string()))?;
            Ok::<Bytes, axum::Error>(piece)
        }))
    };
    let answer = next.run(request.map(pieces)).await;
    let refused = share.part().refused;
    // Whoever read it knows only that it broke.
    if refused { full().into_response() } else { answer }
}

/// Whether the request is a multipart form, and its length in bytes where that is told.
fn announced(request: &Request) -> (bool, Option<usize>) {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let multipart = header(CONTENT_TYPE).to_ascii_lowercase().starts_with(b"multipart/");
    // hyper has checked it: a body without a length comes in chunks, or there is none.
    let length = std::str::from_utf8(header(CONTENT_LENGTH)).ok().and_then(|length| length.parse().ok());
    (multipart, length)
}

/// Reads a body into one piece of memory: 413 for one that is too large, 408 for one that stops or never ends.
///
/// Copied, since each piece of a body keeps the whole buffer alive that it was read into: 8 KiB for a byte sent alone.
pub async fn read(body: Body) -> Result<Bytes, ApiError> {
    let mut body = body.into_data_stream();
    let reading = async {
        let mut text = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| ApiError::cut_off())?;
            if text.len() + piece.len() > BODY_MAX {
                return Err(ApiError::too_large(format!("the body is larger than {BODY_MAX} bytes")));
            }
            text.extend_from_slice(&piece);
        }
        Ok(text.freeze())
    };
    tokio::time::timeout(LONGEST, reading).await.unwrap_or_else(|_| Err(ApiError::cut_off()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_above_a_small_size_and_given_back() {
        let room = Room::default();
        let mut small: Vec<Part> = (0..2000).map(|_| room.part()).collect();
        assert!(small.iter_mut().all(|part| part.grow(SMALL).is_ok()));
        let mut parts: Vec<Part> = (0..8).map(|_| room.part()).collect();
        for part in &mut parts {
            (0..BODY_MAX / SMALL).for_each(|_| part.grow(SMALL).unwrap());
        }
        assert!(small.iter_mut().all(|part| part.grow(1).is_err()) && room.part().grow(SMALL + 1).is_err());
        assert!(room.part().grow(SMALL).is_ok());
        parts.pop();
        assert!(room.part().grow(BODY_MAX).is_ok());
        drop((parts, small));
        assert_eq!(room.0.available_permits(), TOGETHER);
    }
}
