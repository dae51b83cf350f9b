//! A multipart form, read piece by piece, with little of it in memory.
//!
//! multer 3.1.0, which reads axum's forms, keeps everything that it has not understood yet: text before the first field,
//! or a field's head, would be held up to the largest form. And it polls a body twice before it looks at what came, and
//! takes an end that the second poll finds for the end of a form without a boundary: a small form that arrives just
//! between the two would be refused (<https://github.com/rwf2/multer/pull/70>). So it is given one piece at a time, and
//! what lies between two fields has a bound.

use super::upload::broken;
use crate::error::{ApiError, ApiResult};
use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{FromRequest, Multipart, Request, multipart::Field},
};
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

/// Most bytes between the content of two fields, and before the first: a boundary and the head of a field.
const HEAD_MAX: usize = 64 * 1024;
/// Most bytes of a piece there: few, since multer takes one more before it looks whether it has the head already.
const HEAD_PIECE: usize = 4 * 1024;

/// A multipart form; anything else is 422.
#[derive(Debug)]
pub struct Form {
    form: Multipart,
    head: Head,
}

impl Form {
    /// The next field. The one before must have been read to its end, or `skip`ped.
    pub async fn next_field(&mut self) -> ApiResult<Option<Field<'_>>> {
        self.head.allow(HEAD_MAX);
        match self.form.next_field().await {
            Ok(field) => {
                self.head.allow(usize::MAX);
                Ok(field)
            }
            Err(_) if self.head.spent() => Err(ApiError::unprocessable(format!(
                "the form cannot be read: a field's head, or what precedes the first field, has more than {HEAD_MAX} bytes"
            ))),
            Err(error) => Err(broken(error)),
        }
    }
}

/// Reads a field that nobody asked for.
pub async fn skip(mut field: Field<'_>) -> ApiResult<()> {
    while field.chunk().await.map_err(broken)?.is_some() {}
    Ok(())
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let head = Head::default();
        let pieces = |body: Body| {
            Body::from_stream(Pieces {
                body: body.into_data_stream(),
                rest: Bytes::new(),
                given: false,
                head: head.clone(),
            })
        };
        match Multipart::from_request(request.map(pieces), state).await {
            Ok(form) => Ok(Self { form, head }),
            Err(rejection) => Err(ApiError::unprocessable(rejection.body_text())),
        }
    }
}

/// How many bytes may still come before the next field's content; `usize::MAX`: any number.
#[derive(Debug, Clone, Default)]
struct Head(Arc<AtomicUsize>);

impl Head {
    fn allow(&self, bytes: usize) {
        self.0.store(bytes, Relaxed);
    }
    /// How many bytes the next piece may have.
    fn piece(&self) -> usize {
        match self.0.load(Relaxed) {
            usize::MAX => usize::MAX,
            left => left.min(HEAD_PIECE),
        }
    }
    fn take(&self, bytes: usize) {
        let left = self.0.load(Relaxed);
        if left != usize::MAX {
            self.0.store(left.saturating_sub(bytes), Relaxed);
        }
    }
    /// Nothing may come any more.
    fn spent(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

/// A body that after each piece is not ready once, so that its reader looks at it before it asks for more or for the end.
struct Pieces {
    body: BodyDataStream,
    /// What has come and is not given yet.
    rest: Bytes,
    given: bool,
    head: Head,
}

impl Stream for Pieces {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.head.spent() {
            return Poll::Ready(Some(Err(axum::Error::new("the head of a field is too long"))));
        }
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(piece)) => self.rest = piece,
                other => return Poll::Ready(other),
            }
        }
        let size = self.head.piece().min(self.rest.len());
        let piece = self.rest.split_to(size);
        self.head.take(size);
        self.given = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;
    use axum::http::header::CONTENT_TYPE;

    const WHOLE: &str = "--B\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\ntext\r\n--B--\r\n";
    const HEAD: &str = "content-disposition: form-data; name=\"a\"\r\n\r\n";

    /// A request whose body comes in pieces, each just after somebody has looked for it; with the last comes the end.
    fn request(pieces: &[&str]) -> Request {
        let (mut left, mut asked) =
            (pieces.iter().map(|piece| (*piece).to_owned()).collect::<Vec<_>>().into_iter(), false);
        let body = futures_util::stream::poll_fn(move |cx| {
            asked = !asked;
            if asked {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let next = left.next();
            asked = left.len() == 0;
            Poll::Ready(next.map(Ok::<_, std::io::Error>))
        });
        Request::builder()
            .header(CONTENT_TYPE, "multipart/form-data; boundary=B")
            .body(Body::from_stream(body))
            .unwrap()
    }

    fn block<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// The first field's text, or what is wrong.
    fn read(pieces: &[&str]) -> Result<String, String> {
        let say = |error: ApiError| error.to_string();
        block(async {
            let mut form = Form::from_request(request(pieces), &()).await.unwrap();
            let text =
                form.next_field().await.map_err(say)?.unwrap().text().await.map_err(|error| say(broken(error)))?;
            assert!(form.next_field().await.map_err(say)?.is_none());
            Ok(text)
        })
    }

    #[test]
    fn a_form_that_arrives_between_two_polls_is_whole() {
        for pieces in
            [&[WHOLE][..], &["-", "-B\r\n", HEAD, "te", "xt\r", "\n--B", "--\r\n"], &["--B\r\n", HEAD, "text\r\n--B--"]]
        {
            assert_eq!(read(pieces), Ok("text".to_owned()), "{pieces:?}");
        }
    }

    #[test]
    fn it_would_be_lost_without_the_pieces() {
        // Once this fails, multer has been mended.
        let error = block(async {
            let mut form = Multipart::from_request(request(&[WHOLE]), &()).await.unwrap();
            form.next_field().await.unwrap_err()
        });
        assert_eq!(error.body_text(), "incomplete multipart stream");
    }

    #[test]
    fn a_form_that_is_cut_off_is_incomplete() {
        for pieces in [&[][..], &["-"], &["--B\r\n"], &["--B\r\n", HEAD, "te"], &["--B\r\n", HEAD, "text\r\n--B"]] {
            assert!(read(pieces).is_err(), "{pieces:?}");
        }
    }

    #[test]
    fn what_lies_between_fields_has_a_bound_and_a_field_has_none() {
        let (long, many) = ("a".repeat(1024), 2 * HEAD_MAX / 1024);
        let with = |before: &[&str], after: &[&str]| {
            let long = std::iter::repeat_n(long.as_str(), many);
            let pieces: Vec<&str> = before.iter().copied().chain(long).chain(after.iter().copied()).collect();
            read(&pieces)
        };
        assert_eq!(with(&["--B\r\n", HEAD], &["\r\n--B--"]), Ok(long.repeat(many)));
        for before in [&[][..], &["--B\r\n", "x: "]] {
            let error = with(before, &["\r\n", WHOLE]).unwrap_err();
            assert!(error.contains("has more than"), "{before:?}: {error}");
        }
        // Within the bound, what precedes the first field is passed over (RFC 2046, 5.1.1).
        assert_eq!(read(&[&long, "\r\n", WHOLE]), Ok("text".to_owned()));
    }

    #[test]
    fn pieces_of_any_size_hold_fields_of_any_size() {
        let (one, two) = ("b".repeat(300_000), "c".repeat(500_000));
        let body = format!("--B\r\n{HEAD}{one}\r\n--B\r\n{HEAD}{two}\r\n--B--\r\n");
        for size in [61, 4095, 4096, 4097, 64 * 1024, 128 * 1024, body.len()] {
            let pieces: Vec<&str> =
                body.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            let texts = block(async {
                let mut form = Form::from_request(request(&pieces), &()).await.unwrap();
                let mut texts = Vec::new();
                while let Some(field) = form.next_field().await.unwrap() {
                    texts.push(field.text().await.unwrap());
                }
                texts
            });
            assert!(
                texts == [one.as_str(), two.as_str()],
                "pieces of {size}: {:?}",
                texts.iter().map(String::len).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_field_that_nobody_asked_for_may_be_of_any_length() {
        let long = "a".repeat(3 * HEAD_MAX);
        let pieces = ["--B\r\n", HEAD, &long, "\r\n", WHOLE];
        let text = block(async {
            let mut form = Form::from_request(request(&pieces), &()).await.unwrap();
            skip(form.next_field().await.unwrap().unwrap()).await.unwrap();
            form.next_field().await.unwrap().unwrap().text().await.unwrap()
        });
        assert_eq!(text, "text");
    }
}
