//! Points in time that cannot overflow, and waiting until them.

use std::{
    borrow::BorrowMut,
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

/// What `future` gives, or `None` if it has not by `deadline`, if there is one. What is ready at once needs no timer.
pub(crate) fn by<F: Future>(deadline: impl Into<Option<Instant>>, future: F) -> By<F> {
    By { future, alarm: Alarm::at(deadline) }
}

pin_project! {
    /// The future of [`by`], and of [`Alarm::bound`].
    pub(crate) struct By<F, A = Alarm> {
        #[pin]
        future: F,
        alarm: A,
    }
}

impl<F: Future, A: BorrowMut<Alarm>> Future for By<F, A> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        this.alarm.borrow_mut().poll(cx).map(|()| None)
    }
}

/// Rings at a moment, or never. Boxed once it is needed: most futures that have one are ready before they wait.
#[derive(Default)]
pub(crate) struct Alarm {
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(crate) fn at(moment: impl Into<Option<Instant>>) -> Self {
        Self { at: moment.into(), sleep: None }
    }

    /// What `future` gives, or `None` if it has not by then. Of several futures one after the other, each may use the timer
    /// that one before it has needed.
    pub(crate) fn bound<F: Future>(&mut self, future: F) -> By<F, &mut Self> {
        By { future, alarm: self }
    }

    /// Rings at another moment from now on.
    pub(crate) fn set(&mut self, moment: Instant) {
        self.at = Some(moment);
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(moment);
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at))).as_mut().poll(cx)
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

    #[tokio::test(start_paused = true)]
    async fn several_futures_have_one_moment() {
        let started = Instant::now();
        let mut alarm = Alarm::at(started + Duration::from_secs(3));
        assert_eq!(alarm.bound(tokio::time::sleep(Duration::from_secs(2))).await, Some(()));
        assert_eq!(alarm.bound(pending::<()>()).await, None);
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert_eq!(alarm.bound(pending::<()>()).await, None, "it is over");
        assert_eq!(alarm.bound(ready(7)).await, Some(7));
    }
}
