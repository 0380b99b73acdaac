//! Which runtime serves what.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{net::TcpStream, runtime::Handle};

/// The runtimes that connections are spread over, and the streams of those that carry several; none: the one they come on.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread(Arc<[Place]>);

#[derive(Debug)]
struct Place {
    runtime: Handle,
    /// Connections and streams that are there.
    running: AtomicUsize,
    /// Whether it takes nothing any more.
    ended: AtomicBool,
}

/// Something that is at a place, or on its way there.
struct Guest {
    spread: Spread,
    at: usize,
    came: bool,
}

impl Spread {
    pub(super) fn over(runtimes: impl IntoIterator<Item = Handle>) -> Self {
        let place = |runtime| Place { runtime, running: AtomicUsize::new(0), ended: AtomicBool::new(false) };
        Self(runtimes.into_iter().map(place).collect())
    }

    /// Has `serve` look after a connection where the least is running.
    pub(super) fn connection<S, F>(&self, stream: TcpStream, serve: S) -> io::Result<()>
    where
        S: FnOnce(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Some(mut guest) = self.guest() else {
            // A future that is moved in would take its room twice: it is made where it runs.
            tokio::spawn(async move { serve(stream).await });
            return Ok(());
        };
        // What is ready to be read is told to one runtime.
        let stream = stream.into_std().inspect_err(|_| guest.came = true)?;
        guest.spawn(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        });
        Ok(())
    }

    /// Runs a stream of a connection where the least is running: a peer that has one connection has all cores.
    pub(super) fn stream(&self, stream: impl Future<Output = ()> + Send + 'static) {
        match self.guest() {
            Some(guest) => guest.spawn(stream),
            None => drop(tokio::spawn(stream)),
        }
    }

    /// Takes room where the least is running.
    fn guest(&self) -> Option<Guest> {
        let open = self.0.iter().enumerate().filter(|(_, place)| !place.ended.load(Ordering::Relaxed));
        let (at, place) = open.min_by_key(|(_, place)| place.running.load(Ordering::Relaxed))?;
        place.running.fetch_add(1, Ordering::Relaxed);
        Some(Guest { spread: self.clone(), at, came: false })
    }
}

impl Guest {
    fn place(&self) -> Option<&Place> {
        self.spread.0.get(self.at)
    }

    fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = self.place().map(|place| place.runtime.clone()) else { return };
        runtime.spawn(Visit { task, guest: self });
    }
}

pin_project! {
    /// A guest's time at its place. No `async` block: what that takes and awaits, it holds twice.
    struct Visit<F> {
        #[pin]
        task: F,
        guest: Guest,
    }
}

impl<F: Future<Output = ()>> Future for Visit<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.guest.came = true;
        this.task.poll(cx)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(place) = self.place() else { return };
        place.running.fetch_sub(1, Ordering::Relaxed);
        if !self.came && !place.ended.swap(true, Ordering::Relaxed) {
            tracing::error!("a runtime that served has ended; the others serve alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    /// A runtime on a thread of this name, until the other end is dropped.
    fn runtime(name: &'static str) -> (Handle, oneshot::Sender<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        thread::Builder::new().name(name.into()).spawn(move || drop(runtime.block_on(stopped))).unwrap();
        (handle, stop)
    }

    /// Spawns something that says where it is, until it is let go.
    async fn settle(spread: &Spread) -> (String, oneshot::Sender<()>) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (leave, left) = oneshot::channel::<()>();
        spread.stream(async move {
            tell.send(thread::current().name().unwrap_or_default().to_owned()).unwrap();
            let _ = left.await;
        });
        (told.recv().await.unwrap(), leave)
    }

    async fn until(done: impl Fn() -> bool) {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn who_comes_goes_where_the_fewest_are() {
        let ((east, _stop_east), (west, _stop_west)) = (runtime("east"), runtime("west"));
        let spread = Spread::over([east, west]);
        let mut there = Vec::new();
        for expected in ["east", "west", "east", "west"] {
            let (name, leave) = settle(&spread).await;
            assert_eq!(name, expected);
            there.push((name, leave));
        }
        there.retain(|(name, _)| name == "east");
        until(|| spread.0[1].running.load(Ordering::Relaxed) == 0).await;
        for _ in 0..2 {
            let (name, leave) = settle(&spread).await;
            assert_eq!(name, "west", "not each in its turn");
            there.push((name, leave));
        }
    }

    #[tokio::test]
    async fn a_runtime_that_has_ended_is_left_out() {
        let ((east, _stop), (gone, stop)) = (runtime("east"), runtime("gone"));
        drop(stop);
        while gone.spawn(async {}).await.is_ok() {}
        let spread = Spread::over([gone, east]);
        // What it is given shows that it has ended.
        spread.stream(async { unreachable!("nobody runs it") });
        until(|| spread.0[0].ended.load(Ordering::Relaxed)).await;
        for _ in 0..3 {
            assert_eq!(settle(&spread).await.0, "east");
        }
    }
}
