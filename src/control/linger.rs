//! A close that loses no answer.
//!
//! A socket that is closed while bytes of its peer are unread, or still come, is reset, and with the reset goes what
//! of the answer has not been taken yet (RFC 9112, 9.6). So after an answer that did not wait for the whole request
//! (a refused upload, a body that nobody wanted) the sending half is closed first, and what still comes is read and
//! dropped until the peer closes too, is quiet, or has taken too long.

use hyper::{
    Request,
    body::{Body, Frame, SizeHint},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A peer that sends nothing for so long has nothing more to send.
const QUIET: Duration = Duration::from_secs(2);
/// How long a peer may go on sending what nobody reads.
const LONGEST: Duration = Duration::from_secs(5);
/// How many bytes of it are taken: a client that reads no answer before it has sent everything gets one nevertheless.
const MOST: usize = 64 << 20;

/// Whether something of the last request's body may be left, unread or on its way.
#[derive(Debug, Clone, Default)]
pub struct Owed(Arc<AtomicBool>);

impl Owed {
    /// To be called for each request, before it is answered. A body that is read to its end leaves nothing.
    pub fn watch<B: Body>(&self, request: Request<B>) -> Request<Watched<B>> {
        self.set(!request.body().is_end_stream());
        request.map(|body| Watched { body, owed: self.clone() })
    }

    /// The same for who reads no bodies.
    pub fn note<B: Body>(&self, request: &Request<B>) {
        self.set(!request.body().is_end_stream());
    }

    fn set(&self, owed: bool) {
        self.0.store(owed, Ordering::Relaxed);
    }
}

/// A body that says when nothing of it is left.
#[derive(Debug)]
pub struct Watched<B> {
    body: B,
    owed: Owed,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.owed.set(false);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose shutdown waits for the peer where a body may be on its way.
#[derive(Debug)]
pub struct Linger<T> {
    stream: T,
    owed: Owed,
    closing: Option<Closing>,
    patience: Option<Duration>,
    waiting: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Closing {
    quiet: Pin<Box<Sleep>>,
    end: Instant,
    left: usize,
}

impl<T> Linger<T> {
    /// `owed` is the one that notes this connection's requests.
    pub fn new(stream: T, owed: Owed) -> Self {
        Self { stream, owed, closing: None, patience: None, waiting: None }
    }

    /// Breaks the connection when the peer takes nothing for so long: what is ready for it is held meanwhile.
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// What became of a write, in view of how long the peer has been taking nothing.
    fn taken<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        let Some(patience) = self.patience.filter(|_| written.is_pending()) else {
            self.waiting = None;
            return written;
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taken(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, owed, closing, .. } = self.get_mut();
        let closing = match closing {
            Some(closing) => closing,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                if !owed.0.load(Ordering::Relaxed) {
                    return Poll::Ready(Ok(()));
                }
                closing.insert(Closing { quiet: Box::pin(sleep(QUIET)), end: Instant::now() + LONGEST, left: MOST })
            }
        };
        let mut scratch = [0; 8192];
        loop {
            let mut dropped = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut dropped) {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {
                    let now = Instant::now();
                    closing.left = closing.left.saturating_sub(dropped.filled().len());
                    if closing.left == 0 || now >= closing.end {
                        return Poll::Ready(Ok(()));
                    }
                    closing.quiet.as_mut().reset((now + QUIET).min(closing.end));
                }
                // Closed or broken by the peer: nothing is left to wait for.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return closing.quiet.as_mut().poll(cx).map(Ok),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panic")]
mod tests {
    use super::*;
    use http_body_util::Full;
    use hyper::body::Bytes;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    /// More than a socket's buffers take: whoever closes with a reset loses the rest of it.
    const ANSWER: usize = 16 << 20;

    fn block<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// A connection, and the server's end of it with a request noted that has a body or none.
    async fn pair(body: &'static str) -> (TcpStream, Linger<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let owed = Owed::default();
        owed.note(&Request::new(Full::new(Bytes::from_static(body.as_bytes()))));
        (client, Linger::new(listener.accept().await.unwrap().0, owed))
    }

    #[test]
    fn an_answer_is_whole_although_nobody_read_the_request() {
        block(async {
            let (mut client, mut server) = pair("body").await;
            let serving = tokio::spawn(async move {
                server.write_all(&vec![b'a'; ANSWER]).await.unwrap();
                server.shutdown().await.unwrap();
            });
            // The answer has begun; what comes now is of no use to the server.
            client.read_u8().await.unwrap();
            client.write_all(b"body").await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest.len(), ANSWER - 1);
            client.write_all(&[b'b'; 4096]).await.unwrap();
            drop(client);
            serving.await.unwrap();
        });
    }

    #[test]
    fn a_peer_that_stays_is_not_waited_for() {
        block(async {
            for body in ["", "body"] {
                let (mut client, mut server) = pair(body).await;
                server.write_all(b"answer").await.unwrap();
                server.shutdown().await.unwrap();
                drop(server);
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, "answer", "{body}");
            }
        });
    }

    #[test]
    fn a_body_that_was_read_leaves_nothing() {
        block(async {
            let owed = Owed::default();
            let request = owed.watch(Request::new(Full::new(Bytes::from_static(b"body"))));
            assert!(owed.0.load(Ordering::Relaxed));
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
            assert_eq!((body.to_bytes(), owed.0.load(Ordering::Relaxed)), (Bytes::from_static(b"body"), false));
        });
    }

    #[test]
    fn a_peer_that_takes_nothing_is_left_and_one_that_is_slow_is_not() {
        block(async {
            let (client, server) = pair("").await;
            let mut server = server.patient(Duration::from_millis(200));
            let error = server.write_all(&vec![b'a'; 2 * ANSWER]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(client);
            let (mut client, server) = pair("").await;
            let mut server = server.patient(Duration::from_secs(60));
            let serving = tokio::spawn(async move { server.write_all(&vec![b'a'; 2 * ANSWER]).await });
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            serving.await.unwrap().unwrap();
            assert_eq!(answer.len(), 2 * ANSWER);
        });
    }

    #[test]
    fn a_peer_that_goes_on_is_left_after_a_while() {
        block(async {
            let (mut client, mut server) = pair("body").await;
            let sending = tokio::spawn(async move { while client.write_all(&[b'b'; 4096]).await.is_ok() {} });
            server.shutdown().await.unwrap();
            drop(server);
            sending.await.unwrap();
        });
    }
}
