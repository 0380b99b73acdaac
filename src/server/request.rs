//! Which requests a connection is busy with, and which it does not take.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{BoxError, ServiceExt, util::MapErr};
use tower_service::Service;

use super::{quiet::quietly, streams::Untaken};
use crate::stage::AtOnce;

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
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = Response<TrackedBody<B>>;
    type Error = BoxError;
    type Future = TrackedFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let running = Some(Running::new(&self.activity));
        let alone = request.version() != Version::HTTP_2;
        let request = request.map(|incoming| RequestBody { incoming, alone });
        if !is_plain(&request) {
            return TrackedFuture { inner: None, running };
        }
        let inner = self.inner.clone().map_err(Into::into as fn(S::Error) -> BoxError);
        // Where others share the connection, each call is made by a task of its own.
        let inner = Some(if alone { AtOnce::new(inner, request) } else { AtOnce::later(inner, request) });
        TrackedFuture { inner, running }
    }
}

/// Whether every server on the way here read the request as we do: hyper takes any number of hosts, and codings that
/// nobody undoes. Lengths that contradict each other it refuses itself, and it closes behind a length beside a coding.
fn is_plain<B>(request: &Request<B>) -> bool {
    let (mut hosts, mut codings, mut chunked) = (0, 0, true);
    for (name, value) in request.headers() {
        if *name == header::HOST {
            hosts += 1;
        } else if *name == header::TRANSFER_ENCODING {
            codings += 1;
            chunked &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
        }
    }
    let host = match request.version() {
        // What it calls a host it calls an authority, and it frames bodies itself.
        Version::HTTP_2 => return true,
        Version::HTTP_11 => hosts == 1,
        _ => hosts <= 1,
    };
    // A tunnel is none of ours, and what follows the request for one is no request.
    host && chunked && codings <= 1 && request.method() != Method::CONNECT
}

/// A request's body, as it comes in.
///
/// # Errors
/// The connection broke, or what came is not HTTP.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    /// Whether the connection is this request's alone.
    alone: bool,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Whoever takes a piece wakes the connection for the next one. Behind the last there is none; but where others share
        // the connection, they may wait for the room that it took.
        let (next, wakes) = quietly(|| Pin::new(&mut self.incoming).poll_frame(cx));
        let last = matches!(next, Poll::Ready(Some(Ok(_)))) && self.incoming.is_end_stream();
        if !(last && self.alone) {
            wakes.go();
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Takes a request.
type Taken<S> = MapErr<S, fn(<S as Service<Request<RequestBody>>>::Error) -> BoxError>;

pin_project! {
    pub(super) struct TrackedFuture<S: Service<Request<RequestBody>>> {
        // Nobody, where the request is not taken.
        #[pin]
        inner: Option<AtOnce<Taken<S>, Request<RequestBody>>>,
        running: Option<Running>,
    }
}

impl<S, B> Future for TrackedFuture<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Output = Result<Response<TrackedBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            let mut refusal = Response::new(TrackedBody { inner: None, running: None, untaken: None });
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Poll::Ready(Ok(refusal));
        };
        let response = ready!(inner.poll(cx));
        let running = this.running.take();
        Poll::Ready(response.map(|response| response.map(|inner| TrackedBody { inner: Some(inner), running, untaken: Untaken::current() })))
    }
}

pin_project! {
    /// An answer's body: the same, but that the connection is busy as long as it lives.
    pub(super) struct TrackedBody<B> {
        #[pin]
        inner: Option<B>,
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
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let frame = inner.poll_frame(cx);
        if let Some(untaken) = this.untaken {
            untaken.set(matches!(frame, Poll::Ready(Some(Ok(_)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
