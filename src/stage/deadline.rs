//! Points in time that cannot overflow, and waiting until them.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// The moment `after` from now. A host says "never" with [`Duration::MAX`], which no clock can add.
pub(crate) fn deadline(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + FAR)
}

/// What `future` gives, or `None` if it has not by `deadline`. What is ready at once needs no timer.
pub(crate) fn by<F: Future>(deadline: Instant, future: F) -> By<F> {
    By { future, deadline, sleep: None }
}

pin_project! {
    /// The future of [`by`].
    pub(crate) struct By<F> {
        #[pin]
        future: F,
        deadline: Instant,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F: Future> Future for By<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(*this.deadline)));
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn never_is_far_away() {
        assert!(deadline(Duration::MAX) > Instant::now() + Duration::from_secs(24 * 3600));
    }

    #[test]
    fn what_is_ready_needs_no_timer() {
        // No runtime is here that could make one.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let late = Instant::now();
        assert_eq!(std::pin::pin!(by(late, ready(7))).poll(&mut cx), Poll::Ready(Some(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_is_nothing() {
        let started = Instant::now();
        assert_eq!(by(started + Duration::from_secs(3), pending::<()>()).await, None);
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert_eq!(by(started, async { tokio::task::yield_now().await }).await, None);
    }
}
