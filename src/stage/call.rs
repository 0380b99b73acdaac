//! What is asked.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

use super::{GenerationId, Operation, Preferences, Tally};
use crate::dialect::{Dialect, scan::Members};

/// A call of a model: what is asked, the payload as it came, and the tally of what it costs.
///
/// As a body it is the caller's own payload, so that any HTTP client can send it. Cheap to clone; a clone of an upload
/// shares it, and whoever reads first has it.
#[derive(Clone, Debug)]
pub struct Call {
    facts: Arc<CallFacts>,
    payload: Payload,
    tally: Tally,
}

/// What is known of a call before anybody is asked.
#[derive(Debug)]
pub struct CallFacts {
    /// What is to be done.
    pub operation: Operation,
    /// In whose words it is asked.
    pub dialect: &'static dyn Dialect,
    /// The call's id.
    pub id: GenerationId,
    /// The model asked for, as written.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the caller wants the usage of a stream.
    pub include_usage: bool,
    /// Whether the caller wants our additions to `usage`. Default: yes.
    pub rich_usage: bool,
    /// Whether the caller wants the `meta` object.
    pub meta: bool,
    /// What the caller prefers.
    pub preferences: Preferences,
    /// The application, as its `X-Title` or `HTTP-Referer` says.
    pub app: Option<String>,
    /// The top-level members of a whole payload.
    pub members: Members,
    /// When it came.
    pub started: Instant,
    /// When it came, by the calendar.
    pub created: SystemTime,
}

/// A call's body.
#[derive(Clone)]
pub enum Payload {
    /// All of it, in memory.
    Whole(Bytes),
    /// A large upload, read once: it allows one attempt at one target.
    Stream(Upload),
}

/// A body that can be read once.
#[derive(Clone)]
pub struct Upload(Arc<Mutex<Option<UnsyncBoxBody<Bytes, BoxError>>>>);

impl Call {
    /// A call with an inert tally.
    pub fn new(facts: impl Into<Arc<CallFacts>>, payload: Payload) -> Self {
        Self { facts: facts.into(), payload, tally: Tally::default() }
    }

    /// What is known of it.
    pub fn facts(&self) -> &Arc<CallFacts> {
        &self.facts
    }

    /// Its payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Its tally; inert without a meter.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The same call, counted by `tally`.
    #[must_use]
    pub fn with_tally(self, tally: Tally) -> Self {
        Self { tally, ..self }
    }
}

impl Payload {
    /// The payload, if it is in memory.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Stream(_) => None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(upload) => upload.poll_frame(cx),
        }
    }
}

impl Upload {
    /// Wraps a body.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        use http_body_util::BodyExt;
        Self(Arc::new(Mutex::new(Some(body.map_err(Into::into).boxed_unsync()))))
    }

    /// Takes the body, if nobody has.
    pub fn take(&self) -> Option<UnsyncBoxBody<Bytes, BoxError>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut body = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match body.as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Body for Call {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.payload.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.payload, Payload::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.payload {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(upload) => upload.fmt(f),
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}
