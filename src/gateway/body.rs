//! Bodies.

use std::{
    convert::Infallible,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tower::BoxError;

use crate::{
    fault::{Fault, FaultKind},
    stage::AnswerBody,
};

/// The body of a gateway's answer. An answer counts as running until its body is dropped.
pub struct GatewayBody {
    inner: UnsyncBoxBody<Bytes, Fault>,
    running: Option<Running>,
}

/// How many answers are running.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    running: AtomicUsize,
    idle: Notify,
}

/// One running answer.
#[derive(Debug)]
pub(super) struct Running(InFlight);

impl InFlight {
    pub(super) fn start(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        Running(self.clone())
    }

    pub(super) fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// Resolves when nothing is running.
    pub(super) async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            if self.running() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let count = &self.0.0;
        if count.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            count.idle.notify_waiters();
        }
    }
}

impl GatewayBody {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { inner: body.map_err(|error| Fault::from(error.into())).boxed_unsync(), running: None }
    }

    pub(super) fn running(self, running: Running) -> Self {
        Self { running: Some(running), ..self }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let inner = Pin::new(&mut self.inner);
        catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))).unwrap_or_else(|_| {
            // A body that panicked is not polled again.
            self.inner = Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync();
            Poll::Ready(Some(Err(FaultKind::Internal.into())))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl From<Bytes> for GatewayBody {
    fn from(bytes: Bytes) -> Self {
        Self::new(AnswerBody::<Empty<Bytes>>::own(bytes))
    }
}

impl fmt::Debug for GatewayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBody").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The gateway's answer, or the inner service's, untouched.
    #[derive(Debug)]
    pub struct LayeredBody<B> {
        #[pin]
        inner: Layered<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = LayeredProj]
    enum Layered<B> {
        Gateway { #[pin] body: GatewayBody },
        Inner { #[pin] body: B },
    }
}

impl<B> LayeredBody<B> {
    pub(super) fn gateway(body: GatewayBody) -> Self {
        Self { inner: Layered::Gateway { body } }
    }

    pub(super) fn inner(body: B) -> Self {
        Self { inner: Layered::Inner { body } }
    }
}

impl<B> Body for LayeredBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().inner.project() {
            LayeredProj::Gateway { body } => body.poll_frame(cx).map_err(Into::into),
            LayeredProj::Inner { body } => body.poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Layered::Gateway { body } => body.is_end_stream(),
            Layered::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Layered::Gateway { body } => body.size_hint(),
            Layered::Inner { body } => body.size_hint(),
        }
    }
}
