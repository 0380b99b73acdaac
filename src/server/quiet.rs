//! Wakes that nobody needs.

use std::{
    cell::RefCell,
    sync::Arc,
    task::{Context, Wake, Waker},
};

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held::Off) };
}

/// What becomes of a [`Sleeper`]'s wakes on a thread.
#[derive(Debug)]
enum Held {
    /// They come through.
    Off,
    /// They are held.
    On(Option<Arc<Task>>),
}

/// The wake that was held, if there was one.
#[derive(Debug)]
#[must_use]
pub(super) struct Wakes(Option<Arc<Task>>);

impl Wakes {
    /// Lets it through.
    pub(super) fn go(self) {
        if let Some(task) = self.0 {
            task.0.wake_by_ref();
        }
    }
}

/// Acts, and holds the wake of a [`Sleeper`] that comes of it.
pub(super) fn quietly<T>(act: impl FnOnce() -> T) -> (T, Wakes) {
    /// Ends the silence also where the act panics.
    struct Silence;

    impl Silence {
        fn end() -> Option<Arc<Task>> {
            match set(Held::Off) {
                Held::On(task) => task,
                Held::Off => None,
            }
        }
    }

    impl Drop for Silence {
        fn drop(&mut self) {
            if let Some(task) = Self::end() {
                task.0.wake_by_ref();
            }
        }
    }

    set(Held::On(None));
    let silence = Silence;
    let acted = act();
    let held = Silence::end();
    drop(silence);
    (acted, Wakes(held))
}

/// Sets what becomes of wakes from here on; gives what became of them so far. On a thread that ends they come through.
fn set(held: Held) -> Held {
    HELD.try_with(|cell| cell.replace(held)).unwrap_or(Held::Off)
}

/// A task as its connection sees it: it is woken as ever, but that one may act [quietly].
#[derive(Debug, Default)]
pub(super) struct Sleeper(Option<(Arc<Task>, Waker)>);

#[derive(Debug)]
struct Task(Waker);

impl Sleeper {
    /// The context of `cx`'s task, which mostly stays the same.
    pub(super) fn context(&mut self, cx: &Context<'_>) -> Context<'_> {
        if self.0.as_ref().is_some_and(|(task, _)| !task.0.will_wake(cx.waker())) {
            self.0 = None;
        }
        let (_, waker) = self.0.get_or_insert_with(|| {
            let task = Arc::new(Task(cx.waker().clone()));
            (task.clone(), Waker::from(task))
        });
        Context::from_waker(waker)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let held = HELD.try_with(|held| match &mut *held.borrow_mut() {
            // Another connection's wake is not this act's.
            Held::On(task) if task.as_ref().is_none_or(|task| Arc::ptr_eq(task, self)) => {
                *task = Some(self.clone());
                true
            }
            _ => false,
        });
        if !held.unwrap_or(false) {
            self.0.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[derive(Default)]
    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_wake_is_held_and_never_lost() {
        let counts = Arc::new(Counts::default());
        let woken = || counts.0.load(Relaxed);
        let task = Waker::from(counts.clone());
        let mut sleeper = Sleeper::default();
        let waker = sleeper.context(&Context::from_waker(&task)).waker().clone();
        assert!(sleeper.context(&Context::from_waker(&task)).waker().will_wake(&waker));

        waker.wake_by_ref();
        assert_eq!(woken(), 1);
        let ((), wakes) = quietly(|| waker.wake_by_ref());
        assert_eq!(woken(), 1);
        wakes.go();
        assert_eq!(woken(), 2);
        // Dropped unused, it was nobody's.
        let ((), wakes) = quietly(|| waker.wake_by_ref());
        drop(wakes);
        assert_eq!(woken(), 2);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            quietly(|| {
                waker.wake_by_ref();
                panic!("on the way");
            })
        }));
        assert!(failed.is_err());
        assert_eq!(woken(), 3);
        waker.wake_by_ref();
        assert_eq!(woken(), 4);
    }
}
