//! The waker that an inline connection is polled with.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Stands between a connection and the task that drives it.
///
/// hyper's two halves wake each other: taking a frame wakes the connection, reading one wakes the body. Here both halves
/// live in one task, which is awake already, so these wakes would only make it run once more, for each burst. The pulse
/// notes them, lets the driver go round again, and passes on to the task only what comes while the task sleeps.
///
/// ```text
///  drive()       inner work is pending            wake()
///  ----> QUIET ------------------------> ARMED ----------> WOKEN, and the task is woken
///          |  wake()                                          |
///          +-------> WOKEN: the driver goes round again       | drive()
///          ^--------------------------------------------------+
/// ```
///
/// For the same reason a task that is polled while the pulse is `ARMED` was woken by somebody else.
///
/// An idle connection is `QUIET` and has no task: what happens to it is only noted.
#[derive(Debug)]
pub(super) struct Pulse {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

const QUIET: u8 = 0;
const WOKEN: u8 = 1;
const ARMED: u8 = 2;

/// How often a driver goes round before it lets other tasks run. Tokio's budget answers every read with "pending, and
/// wake me" once it is used up, so going round for ever would never end.
const ROUNDS: usize = 4;

impl Pulse {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared { state: AtomicU8::new(WOKEN), task: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker }
    }

    /// Polls `step` with the pulse's own waker until it is ready or sleeps without having been woken. While it sleeps, the
    /// task may be polled for other reasons, which are none of the connection's: those polls come no further.
    pub(super) fn drive<T>(&self, cx: &mut Context<'_>, mut step: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if self.shared.sleeps(cx.waker()) {
            return Poll::Pending;
        }
        for _ in 0..ROUNDS {
            self.shared.state.store(QUIET, Ordering::Release);
            let ready = step(&mut Context::from_waker(&self.waker));
            if ready.is_ready() {
                return ready;
            }
            self.shared.register(cx.waker());
            if self.shared.state.compare_exchange(QUIET, ARMED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls `step` once, for no task.
    pub(super) fn glance<T>(&self, step: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.let_go();
        self.shared.state.store(QUIET, Ordering::Release);
        step(&mut Context::from_waker(&self.waker))
    }

    /// Forgets the task, which is done with the connection: its waker would keep its memory alive.
    pub(super) fn let_go(&self) {
        let task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(task);
    }

    /// Whether anything happened since the last poll.
    pub(super) fn is_woken(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) == WOKEN
    }
}

impl Shared {
    fn register(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// Whether nothing happened since the task was told that it would be woken. It will be, at `waker`.
    fn sleeps(&self, waker: &Waker) -> bool {
        let armed = || self.state.load(Ordering::Acquire) == ARMED;
        // Once more behind the registration: who came between may have woken a waker that is gone.
        armed() && {
            self.register(waker);
            armed()
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == ARMED {
            // Woken outside the lock: a waker is foreign code.
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn wakes_from_inside_go_round_and_wake_nobody() {
        let (count, task) = counted();
        let pulse = Pulse::new();
        let mut rounds = 0;
        let ready = pulse.drive(&mut Context::from_waker(&task), |cx| {
            rounds += 1;
            cx.waker().wake_by_ref();
            if rounds == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!((ready, rounds, count.0.load(Ordering::Relaxed)), (Poll::Ready(()), 2, 0));
    }

    #[test]
    fn a_wake_from_outside_wakes_the_task_once() {
        let (count, task) = counted();
        let pulse = Pulse::new();
        let mut inner = None;
        let pending = pulse.drive(&mut Context::from_waker(&task), |cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let inner = inner.unwrap();
        inner.wake_by_ref();
        inner.wake();
        assert_eq!((pending, count.0.load(Ordering::Relaxed), pulse.is_woken()), (Poll::Pending, 1, true));
    }

    #[test]
    fn a_poll_without_cause_steps_nowhere() {
        let (count, task) = counted();
        let (other_count, other) = counted();
        let pulse = Pulse::new();
        let (mut inner, mut steps) = (None, 0);
        let mut poll = |task: &Waker| {
            let pending = pulse.drive(&mut Context::from_waker(task), |cx| {
                steps += 1;
                inner = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(pending.is_pending());
            (steps, inner.clone().unwrap())
        };
        assert_eq!((poll(&task).0, poll(&task).0), (1, 1));
        // The connection moved to another task, which is the one that is woken.
        let (steps, inner) = poll(&other);
        inner.wake();
        assert_eq!((steps, count.0.load(Ordering::Relaxed), other_count.0.load(Ordering::Relaxed)), (1, 0, 1));
        assert_eq!(poll(&other).0, 2, "woken, it is polled");
    }

    #[test]
    fn endless_wakes_yield_to_the_runtime() {
        let (count, task) = counted();
        let pending = Pulse::new().drive(&mut Context::from_waker(&task), |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((pending, count.0.load(Ordering::Relaxed)), (Poll::Pending, 1));
    }

    #[test]
    fn an_idle_connection_wakes_nobody_and_holds_no_task() {
        let (count, task) = counted();
        let pulse = Pulse::new();
        let mut inner = None;
        assert!(pulse.drive(&mut Context::from_waker(&task), |_| Poll::<()>::Pending).is_pending());
        assert!(
            pulse
                .glance(|cx| {
                    inner = Some(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .is_pending()
        );
        inner.unwrap().wake();
        drop(task);
        assert!(pulse.is_woken());
        assert_eq!((count.0.load(Ordering::Relaxed), Arc::strong_count(&count)), (0, 1));
    }
}
