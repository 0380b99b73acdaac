//! One connection: which HTTP it speaks, and until when.

use std::{
    future::{Future, poll_fn},
    ops::DerefMut,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    task::coop,
    time::{Duration, timeout},
};
use tower::BoxError;
use tower_service::Service;

use super::{
    Limits,
    guard::Guarded,
    listen::Order,
    quiet::Sleeper,
    request::{Activity, RequestBody, Tracked},
    spread::Spread,
    streams::Streams,
};

/// The largest head over HTTP/1, and the most of a body that is read or written at a time.
const BUFFER: usize = 64 << 10;
/// The largest head over HTTP/2. How many continuations it may come in follows from it.
const HEAD: u32 = 64 << 10;
/// The most streams of one HTTP/2 connection at once.
const STREAMS: u32 = 100;
/// The most streams that a peer may reset before they were looked at, and the most that its mistakes may make us reset.
const RESETS: usize = 20;
const MISTAKES: usize = 200;
/// What an HTTP/2 peer may send before somebody reads it, on one stream and on all together.
const WINDOW: u32 = 1 << 20;
/// The most headers.
const HEADERS: usize = 100;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// Serves a connection to its end, or to the order's.
pub(super) async fn serve<S, B>(stream: TcpStream, service: S, limits: Limits, spread: Spread, mut order: watch::Receiver<Order>)
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let activity = Arc::new(Activity::default());
    let mut io = Guarded::new(stream, limits, activity.clone());
    let preface = tokio::select! {
        biased;
        preface = timeout(limits.head, io.read_preface()) => preface,
        // Nothing was asked yet.
        _ = order.changed() => return,
    };
    let service = Tracked::new(service, activity);
    let ended = match preface {
        Ok(Ok(true)) => {
            io.expect_frames();
            let mut builder = http2::Builder::new(Streams { stall: limits.write_stall, spread });
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .max_header_list_size(HEAD)
                .max_concurrent_streams(STREAMS)
                .max_pending_accept_reset_streams(RESETS)
                .max_local_error_reset_streams(MISTAKES)
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_send_buf_size(BUFFER);
            let connection = builder.serve_connection(TokioIo::new(io), service);
            // Boxed, so that the many HTTP/1 connections are no larger for it.
            let connection = Box::pin(connection);
            until(connection, |connection| connection.graceful_shutdown(), order).await
        }
        Ok(Ok(false)) => {
            let mut builder = http1::Builder::new();
            // The guard keeps the time: hyper's own would count silence between requests as a slow head.
            // It looks for peers that are gone as well.
            builder.header_read_timeout(None).half_close(true).max_headers(HEADERS).max_buf_size(BUFFER);
            let connection = builder.serve_connection(TokioIo::new(io), service);
            until(pin!(connection), |connection| connection.graceful_shutdown(), order).await
        }
        Ok(Err(_)) | Err(_) => return,
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Runs a connection; `None` if it had to be dropped.
async fn until<C>(
    mut connection: Pin<C>,
    finish: impl Fn(Pin<&mut C::Target>),
    mut order: watch::Receiver<Order>,
) -> Option<<C::Target as Future>::Output>
where
    C: DerefMut,
    C::Target: Future,
{
    // A look that costs nothing, at what the future below waits for.
    let seen = order.clone();
    let mut sleeper = Sleeper::default();
    loop {
        let mut changed = pin!(order.changed());
        let mut waits = false;
        let changed = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(&mut sleeper.context(cx)) {
                return Poll::Ready(Err(ended));
            }
            // The task is this connection's own, so whom it wakes stays the same.
            if waits && matches!(seen.has_changed(), Ok(false)) {
                return Poll::Pending;
            }
            // Who has used up its budget is told to wait, but not waited for.
            waits = coop::has_budget_remaining();
            changed.as_mut().poll(cx).map(Ok)
        });
        match changed.await {
            Err(ended) => return Some(ended),
            Ok(Ok(())) => finish(connection.as_mut()),
            // The server is gone.
            Ok(Err(_)) => return None,
        }
    }
}
