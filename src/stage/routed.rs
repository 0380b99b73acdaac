//! Who could answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower::BoxError;

use super::Call;
use crate::catalog::Target;

/// A call and the targets that could answer it. As a body, the caller's payload.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The call.
    pub call: Call,
    /// Who could answer.
    pub plan: Plan,
}

/// Targets in the order to try.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The targets; never empty.
    pub targets: Vec<Arc<Target>>,
    /// Whether another target may be tried after the first fails.
    pub fallbacks: bool,
}

impl Body for Routed {
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
