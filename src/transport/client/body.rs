//! An answer's body.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{error, line::Line, origin::Origin};
use crate::fault::Fault;

/// The body of a provider's answer, as it came.
///
/// Over HTTP/1.1 it drives its connection: polling it reads, dropping it closes the connection, and at its clean end the
/// connection goes back to rest. Frames that are ready can be taken one after another without any task being woken.
///
/// # Errors
/// [`Truncated`](crate::fault::FaultKind::Truncated) if the answer broke off before its declared end,
/// [`Upstream`](crate::fault::FaultKind::Upstream) if the connection broke or what came is not HTTP. After an error it has
/// ended.
#[must_use = "an answer that is not read closes its connection"]
pub struct ProviderBody {
    incoming: Incoming,
    /// The connection to drive: none for HTTP/2, none once the answer ended.
    line: Option<(Box<Line>, Arc<Origin>)>,
    failed: bool,
}

impl ProviderBody {
    pub(super) fn http1(incoming: Incoming, line: Box<Line>, origin: Arc<Origin>) -> Self {
        let mut body = Self { incoming, line: Some((line, origin)), failed: false };
        // An answer without a body is at its end already, and may never be polled.
        if body.incoming.is_end_stream() {
            body.rest();
        }
        body
    }

    pub(super) fn http2(incoming: Incoming) -> Self {
        Self { incoming, line: None, failed: false }
    }

    /// Gives the connection back.
    fn rest(&mut self) {
        if let Some((line, origin)) = self.line.take() {
            origin.checkin(line);
        }
    }
}

impl Body for ProviderBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let next = match &mut this.line {
            Some((line, _)) => ready!(line.poll_frame(&mut this.incoming, cx)),
            None => ready!(Pin::new(&mut this.incoming).poll_frame(cx)),
        };
        Poll::Ready(match next {
            Some(Ok(frame)) => {
                // Whoever sees `is_end_stream` need not poll again.
                if this.incoming.is_end_stream() {
                    this.rest();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                this.failed = true;
                this.line = None;
                Some(Err(error::of_body(error)))
            }
            None => {
                this.rest();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.failed { SizeHint::with_exact(0) } else { self.incoming.size_hint() }
    }
}

impl fmt::Debug for ProviderBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderBody").field("open", &self.line.is_some()).field("failed", &self.failed).finish_non_exhaustive()
    }
}
