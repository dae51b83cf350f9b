//! A body whose end is told one poll after its last data.
//!
//! multer 3.1.0, which reads axum's forms, polls a body twice before it looks at what came, and takes an end that the
//! second poll finds for the end of a form without a boundary: a small form that arrives just between the two would be
//! refused as incomplete (<https://github.com/rwf2/multer/pull/70>).

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::Request,
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

struct LateEnd {
    body: BodyDataStream,
    ended: bool,
}

impl Stream for LateEnd {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.body).poll_next(cx));
        if next.is_none() {
            self.ended = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(next)
    }
}

/// The same request with such a body.
pub(super) fn late_end(request: Request) -> Request {
    request.map(|body| Body::from_stream(LateEnd { body: body.into_data_stream(), ended: false }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;
    use axum::{extract::FromRequest, extract::Multipart, http::header::CONTENT_TYPE};

    /// A form in pieces, each of which arrives just after somebody has looked for it.
    fn form(pieces: &'static [&'static str]) -> Request {
        let (mut left, mut asked) = (pieces.iter(), false);
        let body = futures_util::stream::poll_fn(move |cx| {
            asked = !asked;
            if asked {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(left.next().map(|piece| {
                asked = true;
                Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes()))
            }))
        });
        Request::builder()
            .header(CONTENT_TYPE, "multipart/form-data; boundary=B")
            .body(Body::from_stream(body))
            .unwrap()
    }

    /// The first field's text, or what is wrong.
    fn read(request: Request) -> Result<String, String> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut form = Multipart::from_request(request, &()).await.unwrap();
            let field = form.next_field().await.map_err(|error| error.body_text())?.unwrap();
            let text = field.text().await.map_err(|error| error.body_text())?;
            assert!(form.next_field().await.map_err(|error| error.body_text())?.is_none());
            Ok(text)
        })
    }

    const HEAD: &str = "content-disposition: form-data; name=\"a\"\r\n\r\n";

    #[test]
    fn a_form_that_arrives_between_two_polls_is_whole() {
        const WHOLE: &str = "--B\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\ntext\r\n--B--\r\n";
        // Why this is here: without it the form is lost. Once this fails, multer has been mended and all of it can go.
        assert_eq!(read(form(&[WHOLE])), Err("incomplete multipart stream".to_owned()));
        for pieces in
            [&[WHOLE][..], &["-", "-B\r\n", HEAD, "te", "xt\r", "\n--B", "--\r\n"], &["--B\r\n", HEAD, "text\r\n--B--"]]
        {
            assert_eq!(read(late_end(form(pieces))), Ok("text".to_owned()), "{pieces:?}");
        }
    }

    #[test]
    fn a_form_that_is_cut_off_is_incomplete() {
        for pieces in [&[][..], &["-"], &["--B\r\n"], &["--B\r\n", HEAD, "te"], &["--B\r\n", HEAD, "text\r\n--B"]] {
            assert!(read(late_end(form(pieces))).is_err(), "{pieces:?}");
        }
    }
}
