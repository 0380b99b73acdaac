//! The streams of an HTTP/2 connection, each with the patience that a socket has.
//!
//! A peer that opens no window stalls one stream while its connection goes on. hyper then waits for the window and polls
//! nothing else, so no timer inside the answer's body would ever ring: the task around both keeps the time.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::{
    task::futures::TaskLocalFuture,
    time::{Duration, Instant},
};

use super::{guard::Alarm, spread::Spread};

tokio::task_local! {
    static STREAM: Arc<Untaken>;
}

/// Since when the peer of a stream has not taken what was given.
#[derive(Debug, Default)]
pub(super) struct Untaken(Mutex<Option<Instant>>);

impl Untaken {
    /// That of the stream that is running. Over HTTP/1 there is none: the socket itself keeps the time.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// Bytes were handed out, or it is our turn to bring more.
    pub(super) fn set(&self, given: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = given.then(Instant::now);
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the streams of a connection, and resets those whose peer takes nothing for as long as `stall`.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) stall: Duration,
    pub(super) spread: Spread,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let untaken = Arc::new(Untaken::default());
        let stream = STREAM.scope(untaken.clone(), stream);
        self.spread.stream(Patient { stream, untaken, stall: self.stall, alarm: Alarm::default() });
    }
}

pin_project! {
    struct Patient<F> {
        #[pin]
        stream: TaskLocalFuture<Arc<Untaken>, F>,
        untaken: Arc<Untaken>,
        stall: Duration,
        alarm: Alarm,
    }
}

impl<F: Future> Future for Patient<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = this.untaken.since() else { return Poll::Pending };
        // The task is over then, which drops the stream, and dropping resets it.
        if this.alarm.rings(since + *this.stall, Instant::now(), cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}
