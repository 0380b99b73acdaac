//! One try at one target.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;

use super::{AttemptTally, Call};
use crate::catalog::Target;

/// A call, the target to try, and the attempt's own tally. As a body, the caller's payload.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The call.
    pub call: Call,
    /// Who is to answer.
    pub target: Arc<Target>,
    /// The attempt's number, from 1.
    pub number: u32,
    /// What this attempt uses.
    pub tally: AttemptTally,
    /// When whoever sent it gives up, if ever: nobody needs a timer of its own for a later moment.
    pub deadline: Option<Instant>,
}

impl Body for Attempt {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.call).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.call.size_hint()
    }
}
