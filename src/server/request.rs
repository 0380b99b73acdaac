//! Which requests a connection is busy with.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{ServiceExt, util::Oneshot};
use tower_service::Service;

use super::streams::Untaken;

/// What a connection is doing, as its socket's guard must know it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: AtomicUsize,
    began: AtomicBool,
}

impl Activity {
    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.running.load(Relaxed) > 0
    }

    /// Whether a request began since this was last asked.
    pub(super) fn take_began(&self) -> bool {
        self.began.load(Relaxed) && self.began.swap(false, Relaxed)
    }
}

/// A request that is being answered, until its answer's body is gone.
#[derive(Debug)]
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Relaxed);
        activity.began.store(true, Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

/// The service, as hyper calls it.
pub(super) struct Tracked<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> Tracked<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Tracked<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<TrackedBody<B>>;
    type Error = S::Error;
    type Future = TrackedFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let running = Some(Running::new(&self.activity));
        TrackedFuture { inner: self.inner.clone().oneshot(request), running }
    }
}

pin_project! {
    pub(super) struct TrackedFuture<S: Service<Request<Incoming>>> {
        #[pin]
        inner: Oneshot<S, Request<Incoming>>,
        running: Option<Running>,
    }
}

impl<S, B> Future for TrackedFuture<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Output = Result<Response<TrackedBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        let running = this.running.take();
        Poll::Ready(response.map(|response| response.map(|inner| TrackedBody { inner, running, untaken: Untaken::current() })))
    }
}

pin_project! {
    /// An answer's body: the same, but that the connection is busy as long as it lives.
    pub(super) struct TrackedBody<B> {
        #[pin]
        inner: B,
        running: Option<Running>,
        // Of an HTTP/2 stream.
        untaken: Option<Arc<Untaken>>,
    }
}

impl<B: Body> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = this.inner.poll_frame(cx);
        if let Some(untaken) = this.untaken {
            untaken.set(matches!(frame, Poll::Ready(Some(Ok(_)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
