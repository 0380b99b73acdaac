//! Who is let in, and when the door closes.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tower::BoxError;
use tower_service::Service;

use super::{Limits, RequestBody, connection, spread::Spread};

/// An accept loop over a listener.
///
/// Dropping the future of [`serve`](Self::serve) drops every connection.
#[derive(Debug)]
#[must_use]
pub struct Server {
    listener: TcpListener,
    connections: u32,
    drain: Duration,
    limits: Limits,
    spread: Spread,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Connections that were still busy at the drain's end, and were dropped.
    pub dropped: usize,
}

/// What the connections are told. That nobody tells them anything any more means the same as the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    Finish,
}

/// What is longer than that is no different, and could not be added to a point in time.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long to wait after an error that another attempt would only repeat.
const BACK_OFF: Duration = Duration::from_millis(100);

impl Server {
    /// Serves what comes to `listener`.
    pub fn new(listener: TcpListener) -> Self {
        let limits = Limits { head: Duration::from_secs(10), idle: Duration::from_secs(75), write_stall: Duration::from_secs(30) };
        Self { listener, connections: 10_000, drain: Duration::from_secs(30), limits, spread: Spread::default() }
    }

    /// The most connections open at once. At least one.
    pub fn connections(mut self, most: u32) -> Self {
        self.connections = most.clamp(1, u32::MAX >> 3);
        self
    }

    /// The time for a request's head.
    pub fn head_timeout(mut self, time: Duration) -> Self {
        self.limits.head = time.min(FOREVER);
        self
    }

    /// The time a connection may be silent between two requests.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.limits.idle = time.min(FOREVER);
        self
    }

    /// The time a write may make no progress.
    pub fn write_stall(mut self, time: Duration) -> Self {
        self.limits.write_stall = time.min(FOREVER);
        self
    }

    /// The time running answers have once `shutdown` is ready.
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// The runtimes that serve the connections, each new one where the least is running, and so each stream of an HTTP/2
    /// connection. Default, and with an empty list: the one that accepts them.
    ///
    /// With a runtime of one thread for each core, what a call does happens on one thread, its connection to the provider
    /// included. That is cheaper than threads that take work from each other; in return neither a connection nor a stream can
    /// move away from a thread that is busy. One at rest counts as much as one at work.
    ///
    /// They need I/O and time, a thread that runs them, and to outlive the server: what one is given after its end is closed,
    /// and it is given nothing more.
    pub fn runtimes(mut self, runtimes: impl IntoIterator<Item = Handle>) -> Self {
        self.spread = Spread::over(runtimes);
        self
    }

    /// Serves until `shutdown` is ready, then lets nobody in and waits for what runs.
    ///
    /// An error of `service` closes its connection without an answer.
    pub async fn serve<S, B>(self, service: S, shutdown: impl Future<Output = ()>) -> Ended
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let room = Arc::new(Semaphore::new(self.connections as usize));
        let (orders, order) = watch::channel(Order::Serve);
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, permit) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &room) => accepted,
            };
            let (service, limits, spread, order) = (service.clone(), self.limits, self.spread.clone(), order.clone());
            let spawned = self.spread.connection(stream, move |stream| async move {
                connection::serve(stream, service, limits, spread, order).await;
                drop(permit);
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "cannot pass a connection on");
            }
        }
        drop(self.listener);
        let _ = orders.send(Order::Finish);
        // Whoever holds a permit is still there.
        let empty = room.acquire_many(self.connections);
        let dropped = match timeout(self.drain, empty).await {
            Ok(_) => 0,
            Err(_) => self.connections as usize - room.available_permits(),
        };
        Ended { dropped }
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small frames of a stream must not wait for the acknowledgement of the ones before.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) if is_the_peers(&error) => {}
            // No descriptors or memory left: the connection stays in the backlog, so `accept` would fail at once again.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Whether the error is about the connection that would have come, and the next may be well.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
