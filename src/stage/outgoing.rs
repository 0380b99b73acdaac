//! What goes to a provider.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use tower::BoxError;

use super::{Payload, Upload};
use crate::{
    catalog::{Target, Timeouts},
    dialect::Dialect,
};

/// A provider's request: its body as a few slices, and where it goes.
///
/// The request's URI is absolute and its headers are complete but for the credential, which the client adds from
/// [`target`](Self::target). The slices share the caller's bytes.
// Shared: a request moves through many hands, and whoever may have to send it again keeps a clone.
#[derive(Clone, Debug)]
pub struct Outgoing {
    parcel: Arc<Parcel>,
    /// How many slices were read.
    read: usize,
}

#[derive(Debug)]
struct Parcel {
    target: Arc<Target>,
    dialect: &'static dyn Dialect,
    content: Content,
}

enum Content {
    Slices(SmallVec<[Bytes; 1]>),
    Upload(Upload),
}

/// Shows no prompt.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slices(slices) => write!(f, "Slices({} of {} bytes)", slices.len(), length(slices)),
            Self::Upload(upload) => upload.fmt(f),
        }
    }
}

impl Outgoing {
    /// A request made of slices, in order.
    pub fn from_slices(target: Arc<Target>, dialect: &'static dyn Dialect, slices: impl IntoIterator<Item = Bytes>) -> Self {
        let slices = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        Self::new(target, dialect, Content::Slices(slices))
    }

    fn new(target: Arc<Target>, dialect: &'static dyn Dialect, content: Content) -> Self {
        Self { parcel: Arc::new(Parcel { target, dialect, content }), read: 0 }
    }

    /// The caller's payload, untouched.
    pub fn from_payload(target: Arc<Target>, dialect: &'static dyn Dialect, payload: Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => Self::from_slices(target, dialect, [bytes]),
            Payload::Stream(upload) => Self::new(target, dialect, Content::Upload(upload)),
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.parcel.target
    }

    /// The dialect it is in.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.parcel.dialect
    }

    /// The deadlines it has.
    pub fn timeouts(&self) -> &Timeouts {
        &self.parcel.target.timeouts
    }

    /// Whether it can be sent again: it is all in memory.
    pub fn is_replayable(&self) -> bool {
        matches!(self.parcel.content, Content::Slices(_))
    }
}

/// The bytes in `slices`.
fn length(slices: &[Bytes]) -> u64 {
    slices.iter().map(|slice| slice.len() as u64).sum()
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match &this.parcel.content {
            Content::Slices(slices) => Poll::Ready(slices.get(this.read).map(|slice| {
                this.read += 1;
                Ok(Frame::data(slice.clone()))
            })),
            Content::Upload(upload) => upload.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.parcel.content, Content::Slices(slices) if self.read >= slices.len())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.parcel.content {
            Content::Slices(slices) => SizeHint::with_exact(length(slices.get(self.read..).unwrap_or_default())),
            Content::Upload(_) => SizeHint::default(),
        }
    }
}
