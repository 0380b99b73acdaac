//! Letting others go first.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Waits until the other tasks that are ready had their turn: what each of them does up to here, they do together.
///
/// Under an executor that polls in turns, as Tokio's do, it costs a poll where nobody else is ready, and no time.
#[derive(Debug, Default)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Turn {
    given: bool,
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.given {
            return Poll::Ready(());
        }
        self.given = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
