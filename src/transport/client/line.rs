//! One HTTP/1.1 connection, driven by whoever uses it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;

use super::{
    dial::{Heard, Stream},
    origin::{Runtime, here},
    pulse::Pulse,
};
use crate::stage::Outgoing;

/// A connection and the two ends hyper gives of it. Dropping it closes the socket.
pub(super) struct Line {
    /// Where it was opened.
    pub(super) runtime: Runtime,
    sender: http1::SendRequest<Outgoing>,
    /// `None` once it ended.
    connection: Option<http1::Connection<TokioIo<Stream>, Outgoing>>,
    pulse: Pulse,
    heard: Heard,
}

/// The head of an answer, to come.
pub(super) trait Head: Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + Send + 'static {}

impl<F> Head for F where F: Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + Send + 'static {}

/// An exchange that gave no answer.
pub(super) struct Broken {
    pub(super) error: hyper::Error,
    /// The request, if not a byte of it was written.
    pub(super) unsent: Option<Request<Outgoing>>,
    /// Whether any byte of an answer came.
    pub(super) heard: bool,
}

/// The largest head of an answer, and its trailers, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// The most bytes read at once, and held before they are written.
const MAX_BUFFER: usize = 64 << 10;

impl Line {
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let heard = stream.heard();
        let (sender, connection) =
            http1::Builder::new().max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream)).await?;
        Ok(Self { runtime: here(), sender, connection: Some(connection), pulse: Pulse::new(), heard })
    }

    /// Sends a request, and gives the head of its answer: [`poll_head`](Self::poll_head) waits for that.
    pub(super) fn send(&mut self, request: Request<Outgoing>) -> impl Head + use<> {
        self.heard.forget();
        self.sender.try_send_request(request)
    }

    /// Waits for the head of the answer.
    pub(super) fn poll_head(&mut self, mut head: Pin<&mut impl Head>, cx: &mut Context<'_>) -> Poll<Result<Response<Incoming>, Broken>> {
        let (pulse, connection) = (&self.pulse, &mut self.connection);
        let outcome = ready!(pulse.drive(cx, |cx| {
            // A connection that ends drops its end of the answer, which is ready then, with an error.
            poll_connection(connection, cx);
            head.as_mut().poll(cx)
        }));
        Poll::Ready(outcome.map_err(|mut broken| {
            let unsent = broken.take_message();
            Broken { error: broken.into_error(), unsent, heard: self.heard.is_set() }
        }))
    }

    /// Polls the answer's body, and the connection for what the body waits for.
    pub(super) fn poll_frame(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (pulse, connection) = (&self.pulse, &mut self.connection);
        pulse.drive(cx, |cx| {
            let next = Pin::new(&mut *body).poll_frame(cx);
            if next.is_ready() {
                return next;
            }
            // It also writes what is left of the request: an answer may come before all of that was sent. Once ended, it
            // has dropped its end of the body, which is ready then.
            poll_connection(connection, cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
    }

    /// Whether another request can be sent, now that the answer was read to its end.
    pub(super) fn rest(&mut self) -> bool {
        self.pulse.let_go();
        // Mostly the connection saw the end before its reader did.
        if !self.is_ready() {
            self.look();
        }
        self.is_ready()
    }

    /// Whether an idle connection still seems open.
    pub(super) fn is_alive(&mut self) -> bool {
        if self.pulse.is_woken() {
            self.look();
        }
        self.is_ready()
    }

    fn look(&mut self) {
        let (pulse, connection) = (&self.pulse, &mut self.connection);
        let _ = pulse.glance(|cx| {
            poll_connection(connection, cx);
            Poll::<()>::Pending
        });
    }

    /// Whether it takes a request. One that its provider closed unseen gives the request back, not a byte of it sent.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

fn poll_connection(connection: &mut Option<http1::Connection<TokioIo<Stream>, Outgoing>>, cx: &mut Context<'_>) {
    if let Some(open) = connection
        && let Poll::Ready(end) = Pin::new(open).poll(cx)
    {
        if let Err(error) = end {
            tracing::debug!(%error, "connection to a provider ended");
        }
        *connection = None;
    }
}
