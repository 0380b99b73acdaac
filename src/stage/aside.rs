//! Long work, off the thread that serves.

use std::{panic::resume_unwind, sync::LazyLock, thread::available_parallelism};

use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};

use crate::fault::{Fault, FaultKind};

/// A longer body, in bytes, is translated aside. So much of it takes up to 2 ms where it is many short messages, 0.8 ms
/// where every other word is escaped, and 0.02 ms where it is plain: the other calls of a thread wait no longer than that.
pub(crate) const LONGEST_TRANSLATED: usize = 256 << 10;

/// A longer body, in bytes, is scanned aside. So much of it takes up to 2 ms where it is many short messages or numbers,
/// 1.5 ms where every other word is escaped, and 0.06 ms where it is plain or an image.
pub(crate) const LONGEST_SCANNED: usize = 2 << 20;

/// As many at once as there are cores: more would take turns, and hold memory meanwhile.
static LANES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does `work`, which knows no task and takes long, on a thread of its own, so that it does not hold up the calls that
/// this one serves. Without a Tokio runtime it is done here.
///
/// A panic in it goes on here. If the future is dropped, nobody waits for `work`: it is not begun any more, or its result
/// is dropped where it was made.
///
/// # Errors
/// The runtime shuts down.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let Ok(runtime) = Handle::try_current() else { return Ok(work()) };
    // Nobody closes it.
    let lane = LANES.acquire().await.ok();
    let mut job = Job(runtime.spawn_blocking(move || {
        let _lane = lane;
        work()
    }));
    match (&mut job.0).await.map_err(|error| error.try_into_panic()) {
        Ok(done) => Ok(done),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => Err(FaultKind::Cancelled.into()),
    }
}

/// Work that is not begun once nobody waits for it.
struct Job<T>(JoinHandle<T>);

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::mpsc,
        task::{Context, Poll, Waker},
        thread,
        time::Duration,
    };

    use tokio::runtime::Builder;

    use super::*;

    /// Far longer than it takes: a test that fails ends by it.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn other_tasks_of_the_thread_run_meanwhile() {
        let (say, heard) = mpsc::channel();
        let here = thread::current().id();
        let job = tokio::spawn(aside(move || (heard.recv_timeout(LONG), thread::current().id())));
        let other = tokio::spawn(async move { say.send(7) });
        let (word, there) = job.await.unwrap().unwrap();
        assert_eq!(word, Ok(7), "only a task of this thread says it");
        assert_ne!(there, here);
        other.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_goes_on() {
        let work: fn() = || panic!("half-way");
        let panic = tokio::spawn(aside(work)).await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"half-way"));
    }

    #[test]
    fn without_a_runtime_it_is_done_here() {
        let here = thread::current().id();
        let done = pin!(aside(move || thread::current().id() == here)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(done, Poll::Ready(Ok(true))));
    }

    #[tokio::test]
    async fn who_leaves_waits_for_nobody_and_the_lane_is_free_again() {
        for _ in 0..3 * LANES.available_permits() {
            let (begin, begun) = tokio::sync::oneshot::channel();
            let (say, heard) = mpsc::channel::<()>();
            let job = tokio::spawn(aside(move || {
                let _ = begin.send(());
                heard.recv_timeout(LONG)
            }));
            begun.await.unwrap();
            job.abort();
            assert!(job.await.unwrap_err().is_cancelled(), "while the work goes on");
            drop(say);
        }
    }

    #[test]
    fn a_runtime_that_shuts_down_is_a_fault() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let _inside = handle.enter();
        let done = pin!(aside(|| 7)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(done, Poll::Ready(Err(fault)) if matches!(fault.kind(), FaultKind::Cancelled)));
    }
}
