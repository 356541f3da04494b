//! The same connection, read by hyper: what the machine takes, hyper takes too, and
//! reads the same in it. hyper is more lenient here and there, never the machine.

use super::machine::{requests, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, Uri};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};

/// # Panics
///
/// When hyper reads something else.
pub fn check(bytes: &[u8]) {
    let (ours, refused) = requests(bytes);
    let theirs = by_hyper(bytes);
    let more = theirs.len() > ours.len();
    assert!(refused || !more, "hyper goes on behind the end: {theirs:?}");
    for (place, our) in ours.iter().enumerate() {
        let Some(their) = theirs.get(place) else {
            let excused = is_strict_about(our, bytes);
            assert!(excused, "hyper does not take request {place}: {our:?}");
            return;
        };
        assert_eq!((&our.method, &our.body), (&their.method, &their.body));
        assert!(!our.target.starts_with(b"/") || our.target == their.target);
        // It keeps fields of one name together.
        let mut trailers = our.trailers.clone();
        trailers.sort_by(|(name, _), (other, _)| name.cmp(other));
        assert_eq!(trailers, their.trailers);
    }
}

/// What hyper refuses for reasons of its own.
fn is_strict_about(request: &Request, bytes: &[u8]) -> bool {
    let target = Uri::try_from(&request.target[..]);
    let later = |bytes: &[u8]| bytes.starts_with(b"HTTP/1.") && bytes[7] > b'1';
    // It reads no trailers beyond 16 kB.
    let trailers = request.trailers.iter().map(|(_, value)| value.len() + 100);
    target.is_err() || bytes.windows(8).any(later) || trailers.sum::<usize>() > 10_000
}

/// The requests that hyper's server has read to their ends.
fn by_hyper(bytes: &[u8]) -> Vec<Request> {
    let taken = RefCell::new(Vec::new());
    let service = service_fn(|request: hyper::Request<Incoming>| async {
        let (head, body) = request.into_parts();
        if let Ok(body) = body.collect().await {
            let fields = body.trailers().into_iter().flatten();
            let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let mut trailers: Vec<_> = fields.collect();
            trailers.sort_by(|(name, _), (other, _)| name.cmp(other));
            taken.borrow_mut().push(Request {
                method: head.method.to_string(),
                target: head.uri.to_string().into_bytes(),
                head: String::new(),
                trailers,
                body: body.to_bytes().to_vec(),
                whole: true,
            });
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let client = Client(bytes.to_vec(), 0);
    let mut server = http1::Builder::new();
    server.half_close(true).header_read_timeout(None);
    {
        let mut connection = pin!(server.serve_connection(client, service));
        let mut context = Context::from_waker(Waker::noop());
        // Everything is there, so it only rests to let others run.
        let mut polls = (0..100_000).map(|_| connection.as_mut().poll(&mut context));
        assert!(
            polls.any(|poll| poll.is_ready()),
            "hyper waits for something"
        );
    }
    taken.into_inner()
}

/// Sends these bytes, from that place on, and reads whatever comes.
struct Client(Vec<u8>, usize);

impl Read for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let size = to.remaining().min(self.0.len() - self.1);
        to.put_slice(&self.0[self.1..self.1 + size]);
        self.1 += size;
        Poll::Ready(Ok(()))
    }
}

impl Write for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
